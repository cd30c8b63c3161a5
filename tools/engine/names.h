/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network Monitor's names of protocols and of their fields. */
#ifndef ENGINE_NAMES_H
#define ENGINE_NAMES_H

/* Network Monitor's name of the protocol with Wireshark's filter name @filter_name, or NULL. */
const char *names_protocol(const char *filter_name);
/* The filter names of the protocol that Network Monitor calls @name, by turn; NULL: no more. */
const char *names_filter_name(const char *name, unsigned int turn);
/*
 * The filter names of the field that Network Monitor calls @label in the protocol with the filter
 * name @filter_name, by turn; NULL: no more. Not all exist in each version of Wireshark.
 */
const char *names_field(const char *filter_name, const char *label, unsigned int turn);
/* Network Monitor's label of the field with the filter name @field, or NULL. */
const char *names_label(const char *field);

#endif /* ENGINE_NAMES_H */
