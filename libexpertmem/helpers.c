// SPDX-License-Identifier: LGPL-2.1-or-later
/* Labels of sets, and integers of any length. */
#include "capture.h"

/* Find @value in a table of the set whose entries are of @type, and return its label. */
#define LOOK_UP(set, table, value)							\
	do {										\
		DWORD i;								\
											\
		if (!(set) || !(set)->table)						\
			return em_fail_null(NMERR_INVALID_PARAMETER);			\
		for (i = 0; i < (set)->nEntries; i++)					\
			if ((set)->table[i].Value == (value))				\
				return (LPBYTE)(set)->table[i].Label;			\
		return em_fail_null(NMERR_OUT_OF_RANGE);				\
	} while (0)

LPBYTE WINAPI LookupByteSetString(LPSET lpSet, BYTE Value)
{
	LOOK_UP(lpSet, lpLabeledByteTable, Value);
}

LPBYTE WINAPI LookupWordSetString(LPSET lpSet, WORD Value)
{
	LOOK_UP(lpSet, lpLabeledWordTable, Value);
}

LPBYTE WINAPI LookupDwordSetString(LPSET lpSet, DWORD Value)
{
	LOOK_UP(lpSet, lpLabeledDwordTable, Value);
}

LPDWORD WINAPI VarLenSmallIntToDword(LPBYTE pValue, WORD ValueLen, BOOL fIsByteswapped,
				     LPDWORD lpDword)
{
	uint64_t value = 0;
	WORD i;

	if (!pValue || !lpDword || !ValueLen || ValueLen > sizeof(value))
		return em_fail_null(NMERR_INVALID_PARAMETER);
	for (i = 0; i < ValueLen; i++)
		value = value << 8 | pValue[fIsByteswapped ? i : ValueLen - 1 - i];
	if (value > UINT32_MAX)
		return em_fail_null(NMERR_OUT_OF_RANGE);
	*lpDword = (DWORD)value;
	return lpDword;
}
