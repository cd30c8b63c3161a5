/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network Monitor's names of protocols and of their fields. */
#ifndef ENGINE_NAMES_H
#define ENGINE_NAMES_H

/* Network Monitor's name of the protocol with Wireshark's filter name @filter_name, or NULL. */
const char *names_protocol(const char *filter_name);
/*
 * The filter name number @turn, from 0, of Network Monitor's protocol @name; NULL: there is none.
 */
const char *names_filter_name(const char *name, unsigned int turn);
/*
 * The filter name number @turn, from 0, of the field that Network Monitor calls @label, in the
 * protocol with the filter name @filter_name; NULL: there is none. A version of Wireshark may lack
 * the name.
 */
const char *names_field(const char *filter_name, const char *label, unsigned int turn);
/* Network Monitor's label of the field with the filter name @field, or NULL. */
const char *names_label(const char *field);

#endif /* ENGINE_NAMES_H */
