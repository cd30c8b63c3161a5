/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The error codes, which Windows sources include as <nmerr.h>, are in Netmon.h. */
#ifndef EXPERTMEM_NMERR_H
#define EXPERTMEM_NMERR_H

#include <Netmon.h>

#endif /* EXPERTMEM_NMERR_H */
