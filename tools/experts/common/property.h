/* SPDX-License-Identifier: GPL-2.0 */
/* Properties by their names, and the values of instances. */
#ifndef PROPERTY_H
#define PROPERTY_H

#include <stdbool.h>
#include <stdint.h>
#include <Netmon.h>

/*
 * Find a property by PROTOCOL/PROPERTY, or by Wireshark's filter name, which begins with the name of the
 * protocol. 0: there is none; *@error says why.
 */
HPROPERTY property_find(const char *name, DWORD *error);

/* The bytes of a value, and in *@length how many. */
const BYTE *property_bytes(LPPROPERTYINST instance, DWORD *length);

/* A number for the bytes of a value, which two values share only by chance. */
uint64_t property_hash(LPPROPERTYINST instance);

/* The value of an integer. False: the property is none. */
bool property_number(LPPROPERTYINST instance, uint64_t *number);

/*
 * Why FindPropertyInstance() has found nothing: SUCCESS: the frame does not have the property;
 * INTERNAL_EXCEPTION or RUNAWAY_PROTOCOL: the dissector has failed in this frame; else the expert
 * cannot go on.
 */
DWORD property_absent(void);

#endif /* PROPERTY_H */
