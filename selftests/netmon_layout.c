// SPDX-License-Identifier: GPL-2.0
/*
 * Prints what this project's Netmon.h says as _Static_assert()s, for a compiler that has
 * another Netmon.h to confirm. Built and run by netmon_header, which makes netmon_names.h:
 * ERRORS(X), CONSTANTS(X) and STRINGS(X), lists of every constant found in the header.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <Netmon.h>

#include "netmon_names.h"

#define TYPES(X)								\
	X(BYTE) X(WORD) X(DWORD) X(LONG) X(BOOL) X(SIZE_T) X(LPVOID) X(LPDWORD)	\
	X(LPSTR) X(LPCSTR) X(HEXPERTKEY) X(HEXPERT) X(HINSTANCE) X(HWND)	\
	X(HCAPTURE) X(HFRAME) X(HPROTOCOL) X(ULPFRAME) X(LPPROPERTYINST)	\
	X(LPPROPERTYTABLE) X(LPRECOGNIZEDATATABLE) X(PEXPERTREGISTERPROC)	\
	X(PEXPERTCONFIGPROC) X(PEXPERTRUNPROC) X(EXPERTSTATUSENUMERATION)	\
	X(NMCOLUMNTYPE)

#define STRUCTURES(X)								\
	X(EXPERTCONFIG) X(EXPERTSTARTUPINFO) X(EXPERTENUMINFO)			\
	X(EXPERTFRAMEDESCRIPTOR) X(SYSTEMTIME) X(IPX_ADDR) X(NMCOLUMNVARIANT)	\
	X(NMCOLUMNINFO) X(NMEVENTDATA)

#define MEMBERS(X)								\
	X(EXPERTCONFIG, RawConfigLength)					\
	X(EXPERTSTARTUPINFO, Flags)						\
	X(EXPERTSTARTUPINFO, hCapture)						\
	X(EXPERTSTARTUPINFO, szCaptureFile)					\
	X(EXPERTSTARTUPINFO, dwFrameNumber)					\
	X(EXPERTSTARTUPINFO, hProtocol)						\
	X(EXPERTSTARTUPINFO, lpPropertyInst)					\
	X(EXPERTSTARTUPINFO, sBitfield)						\
	X(EXPERTSTARTUPINFO, sBitfield.BitNumber)				\
	X(EXPERTSTARTUPINFO, sBitfield.bOn)					\
	X(EXPERTENUMINFO, szName)						\
	X(EXPERTENUMINFO, szVendor)						\
	X(EXPERTENUMINFO, szDescription)					\
	X(EXPERTENUMINFO, Version)						\
	X(EXPERTENUMINFO, Flags)						\
	X(EXPERTENUMINFO, szDllName)						\
	X(EXPERTENUMINFO, hExpert)						\
	X(EXPERTENUMINFO, hModule)						\
	X(EXPERTENUMINFO, pRegisterProc)					\
	X(EXPERTENUMINFO, pConfigProc)						\
	X(EXPERTENUMINFO, pRunProc)						\
	X(EXPERTFRAMEDESCRIPTOR, FrameNumber)					\
	X(EXPERTFRAMEDESCRIPTOR, hFrame)					\
	X(EXPERTFRAMEDESCRIPTOR, pFrame)					\
	X(EXPERTFRAMEDESCRIPTOR, lpRecognizeDataTable)				\
	X(EXPERTFRAMEDESCRIPTOR, lpPropertyTable)				\
	X(SYSTEMTIME, wYear)							\
	X(SYSTEMTIME, wMonth)							\
	X(SYSTEMTIME, wDayOfWeek)						\
	X(SYSTEMTIME, wDay)							\
	X(SYSTEMTIME, wHour)							\
	X(SYSTEMTIME, wMinute)							\
	X(SYSTEMTIME, wSecond)							\
	X(SYSTEMTIME, wMilliseconds)						\
	X(IPX_ADDR, Subnet)							\
	X(IPX_ADDR, Address)							\
	X(NMCOLUMNVARIANT, Type)						\
	X(NMCOLUMNVARIANT, Value)						\
	X(NMCOLUMNVARIANT, Value.Uint8Val)					\
	X(NMCOLUMNVARIANT, Value.Sint8Val)					\
	X(NMCOLUMNVARIANT, Value.Uint16Val)					\
	X(NMCOLUMNVARIANT, Value.Sint16Val)					\
	X(NMCOLUMNVARIANT, Value.Uint32Val)					\
	X(NMCOLUMNVARIANT, Value.Sint32Val)					\
	X(NMCOLUMNVARIANT, Value.Float64Val)					\
	X(NMCOLUMNVARIANT, Value.FrameVal)					\
	X(NMCOLUMNVARIANT, Value.YesNoVal)					\
	X(NMCOLUMNVARIANT, Value.OnOffVal)					\
	X(NMCOLUMNVARIANT, Value.TrueFalseVal)					\
	X(NMCOLUMNVARIANT, Value.MACAddrVal)					\
	X(NMCOLUMNVARIANT, Value.IPXAddrVal)					\
	X(NMCOLUMNVARIANT, Value.IPAddrVal)					\
	X(NMCOLUMNVARIANT, Value.VarTimeVal)					\
	X(NMCOLUMNVARIANT, Value.pStringVal)					\
	X(NMCOLUMNINFO, szColumnName)						\
	X(NMCOLUMNINFO, VariantData)						\
	X(NMEVENTDATA, pszReserved)						\
	X(NMEVENTDATA, Version)							\
	X(NMEVENTDATA, EventIdent)						\
	X(NMEVENTDATA, Flags)							\
	X(NMEVENTDATA, Severity)						\
	X(NMEVENTDATA, NumColumns)						\
	X(NMEVENTDATA, szSourceName)						\
	X(NMEVENTDATA, szEventName)						\
	X(NMEVENTDATA, szDescription)						\
	X(NMEVENTDATA, szMachine)						\
	X(NMEVENTDATA, Justification)						\
	X(NMEVENTDATA, pvReserved)						\
	X(NMEVENTDATA, SysTime)

/* Members without a size of their own. */
#define TAILS(X)								\
	X(EXPERTCONFIG, RawConfigData)						\
	X(NMEVENTDATA, Column)

#define SAME(expression)							\
	printf("_Static_assert((%s) == %lld, \"%s is %lld\");\n", #expression,	\
	       (long long)(expression), #expression, (long long)(expression));

#define SAME_STRING(name)							\
	printf("_Static_assert(!__builtin_strcmp(%s, \"%s\"), \"%s is %s\");\n",	\
	       #name, name, #name, name);

/* KIND(), whether signed, unsigned, fraction or none of these, is the script's. */
#define SAME_TYPE(type)								\
	SAME(sizeof(type))							\
	SAME(KIND((type)0))

#define SAME_MEMBER(type, member)						\
	SAME(offsetof(type, member))						\
	SAME(sizeof(((type *)0)->member))					\
	SAME(KIND(((type *)0)->member))

#define SAME_TAIL(type, member)							\
	SAME(offsetof(type, member))						\
	SAME(sizeof(((type *)0)->member[0]))

#define SAME_STRUCTURE(type)							\
	SAME(sizeof(type))							\
	SAME(_Alignof(type))

int main(int argc, char **argv)
{
	const char *group = argc == 2 ? argv[1] : "";

	if (!strcmp(group, "errors")) {
		ERRORS(SAME)
	} else if (!strcmp(group, "constants")) {
		CONSTANTS(SAME)
		STRINGS(SAME_STRING)
	} else if (!strcmp(group, "structures")) {
		TYPES(SAME_TYPE)
		STRUCTURES(SAME_STRUCTURE)
		MEMBERS(SAME_MEMBER)
		TAILS(SAME_TAIL)
	} else {
		fprintf(stderr, "usage: %s errors|constants|structures\n", argv[0]);
		return 2;
	}
	return 0;
}
