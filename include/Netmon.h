/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * DOC: Netmon.h, the expert's side of libexpertmem
 *
 * An *expert* is a shared object that analyses a capture. It exports Register() and Run(),
 * and Configure() if it has a configuration. A *host* loads the expert, and calls these
 * functions. It passes a key to them, which names the expert in every call below:
 *
 *	BOOL Run(HEXPERTKEY key, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup,
 *		 DWORD flags, HWND parent)
 *	{
 *		DWORD error;
 *		struct flow *flows = ExpertAllocMemory(key, SIZE, &error);
 *
 *		if (!flows)
 *			return FALSE;
 *		...
 *
 * When the expert ends, all blocks that it has not freed are freed, whether the expert
 * returned, crashed or was killed.
 *
 * Each call but ExpertMemorySize() can return NMERR_EXPERT_TERMINATE: the expert was
 * terminated or reclaimed. It then has to clean up and return. A terminated expert can use
 * and free its blocks. If it was reclaimed, a touch of a block raises SIGSEGV.
 *
 * All functions may be called by any thread, and by several threads at once. They may take
 * locks and wait for memory, so a signal handler must not call them.
 *
 * Rules marked [MS] are those of Microsoft's Netmon.h reference for Network Monitor 2.1.
 * Rules marked [here] are this project's: the reference has no rule there.
 *
 * Functions without a key that fail set the code of BhGetLastError().
 *
 * This header has the types, constants, macros and functions of the expert's side. It does not
 * have what only parsers, monitors and network packet providers use. It does not have dprintf()
 * either, because POSIX has a function with this name.
 */
#ifndef NETMON_H
#define NETMON_H

#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX < UINT64_MAX
#error "libexpertmem is for 64-bit programs: its heap takes more addresses than 32 bits have"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Types have the sizes that they have on Windows. DWORD and LONG have 32 bits, so they are
 * int, not long: print them by %u and %d.
 */
typedef uint8_t BYTE;
typedef uint16_t WORD;
typedef uint32_t DWORD;
typedef int32_t LONG;
typedef int32_t BOOL;
typedef size_t SIZE_T;
typedef void *LPVOID;
typedef DWORD *LPDWORD;
typedef char *LPSTR;
typedef const char *LPCSTR;
typedef BYTE *LPBYTE;
typedef WORD *LPWORD;
typedef uintptr_t DWORD_PTR;
typedef LONG HRESULT;

#ifndef FALSE
#define FALSE 0
#endif
#ifndef TRUE
#define TRUE 1
#endif

#define MAX_PATH 260

/* Calling conventions. They are empty: Linux has one for all functions. */
#define WINAPI
#define BHAPI

/*
 * HEXPERTKEY is a number that is stored in a pointer, not an address. The host passes a key
 * to Run() and Configure(). The two keys may differ. An expert must not use the key of
 * Configure() after Configure() has returned [MS].
 */
typedef LPVOID HEXPERTKEY;
typedef LPVOID HEXPERT;
typedef LPVOID HINSTANCE;
typedef LPVOID HWND;

/* Handles, which are numbers and not addresses; and pointers to types that are defined below. */
typedef struct CAPTURE *HCAPTURE;
typedef struct CAPFRAMEDESC *HFRAME;
typedef struct PROTOCOL *HPROTOCOL;
typedef struct FRAME *ULPFRAME;
typedef struct PROPERTYINST *LPPROPERTYINST;
typedef struct PROPERTYTABLE *LPPROPERTYTABLE;
typedef struct RECOGNIZEDATATABLE *LPRECOGNIZEDATATABLE;

/*
 * Error codes. Those of this library come first. The library does not return the others:
 * they are here so that experts that were written for Network Monitor compile.
 */
#define NMERR_SUCCESS				0
#define NMERR_INVALID_HFILTER			2
#define NMERR_NO_MORE_FRAMES			5
#define NMERR_BUFFER_TOO_SMALL			6
#define NMERR_INVALID_HFRAME			11
#define NMERR_INVALID_HPROTOCOL			12
#define NMERR_INVALID_HPROPERTY			13
#define NMERR_STACK_OVERFLOW			16
#define NMERR_FILE_NOT_FOUND			18
#define NMERR_OUT_OF_MEMORY			19	/* or the limit is reached */
#define NMERR_OUT_OF_RANGE			24
#define NMERR_PROPERTY_NOT_FOUND		32
#define NMERR_PROTOCOL_NOT_FOUND		35
#define NMERR_INVALID_FILE_FORMAT		39
#define NMERR_UNKNOWN_MACTYPE			46
#define NMERR_FRAME_NOT_FOUND			51
#define NMERR_INVALID_HCAPTURE			55
#define NMERR_FILTER_INVALID_EXPRESSION		57
#define NMERR_INVALID_DATA			60
#define NMERR_INTERNAL_EXCEPTION		69
#define NMERR_RUNAWAY_PROTOCOL			72
#define NMERR_ACCESS_DENIED			74	/* another expert's block */
#define NMERR_INVALID_PARAMETER			76	/* or not the start of a live block */
#define NMERR_FILE_READ_ERROR			77
#define NMERR_NOT_SUPPORTED			90
#define NMERR_LOST_CONNECTION			93
#define NMERR_EXPERT_REPORT_FAILED		119
#define NMERR_FRAME_FAILED_FILTER		124
#define NMERR_EXPERT_TERMINATE			125	/* clean up and return */
#define NMERR_INVALID_EXPERT_HANDLE		130	/* not the key of an open expert */

/* Experts and their groups */
#define NMERR_LOAD_EXPERT_FAILED		118
#define NMERR_NO_DLLS_FOUND			121
#define NMERR_INVALID_EXPERT_GROUP		128
#define NMERR_INVALID_EXPERT_NAME		129
#define NMERR_GROUP_NAME_ALREADY_EXISTS		131
#define NMERR_INVALID_GROUP_NAME		132
#define NMERR_EXPERT_ALREADY_IN_GROUP		133
#define NMERR_EXPERT_NOT_IN_GROUP		134
#define NMERR_INVALID_GROUP_ROOT		136

/* Frames and filters */
#define NMERR_FRAME_NOT_RECOGNIZED		7
#define NMERR_STACK_EMPTY			15
#define NMERR_NO_FRAMES				38
#define NMERR_LOCKED_FRAMES			82
#define NMERR_NO_FRAME_NUMBER			86
#define NMERR_FRAME_HAS_NO_CAPTURE		87
#define NMERR_FRAME_ALREADY_HAS_CAPTURE		88
#define NMERR_DISCARD_FRAME			91
#define NMERR_INVALID_FRAMESPROC		100

/* Captures and their files */
#define NMERR_MEMORY_MAPPED_FILE_ERROR		1
#define NMERR_FILE_ALREADY_EXISTS		8
#define NMERR_COULD_NOT_CREATE_TEMPFILE		40
#define NMERR_FILE_WRITE_ERROR			78
#define NMERR_PATH_NOT_FOUND			84
#define NMERR_CANCEL_SAVE_CAPTURE		92
#define NMERR_UNKNOWN_CAPTURETYPE		101
#define NMERR_DISK_NOT_LOCAL_FIXED		114
#define NMERR_COULD_NOT_CREATE_DIRECTORY	115
#define NMERR_NO_DEFAULT_CAPTURE_DIRECTORY	116
#define NMERR_UPLEVEL_CAPTURE_FILE		117
#define NMERR_SECURITY_BREACH_CAPTURE_DELETED	123

/* Protocols, parsers and properties */
#define NMERR_TOO_MANY_PROTOCOLS		17
#define NMERR_LOAD_PARSER_FAILED		26
#define NMERR_UNLOAD_PARSER_FAILED		27
#define NMERR_NO_PROPERTY_DATABASE		31
#define NMERR_INVALID_HPROPERTYDB		33
#define NMERR_PROTOCOL_NOT_ENABLED		34
#define NMERR_INVALID_PARSER_DLL		36
#define NMERR_NO_ATTACHED_PROPERTIES		37
#define NMERR_NO_PROTOCOLS_ENABLED		42
#define NMERR_PROTOCOL_ALREADY_ENABLED		56
#define NMERR_PROTOCOL_NOT_REGISTERED		79

/* Addresses */
#define NMERR_ADDRESS_ALREADY_EXISTS		10
#define NMERR_INVALID_HADDRESSDB		28
#define NMERR_ADDRESS_NOT_FOUND			29
#define NMERR_ROUTING_INFO_NOT_PRESENT		47
#define NMERR_IP_ADDRESS_NOT_FOUND		80

/* Running captures */
#define NMERR_CAPTURING				3
#define NMERR_NOT_CAPTURING			4
#define NMERR_CAPTURE_PAUSED			20
#define NMERR_NO_BUFFERS			21
#define NMERR_BUFFERS_ALREADY_EXIST		22
#define NMERR_INVALID_HBUFFER			59
#define NMERR_CAPTURE_NOT_PAUSED		66
#define NMERR_NO_CONVERSATION_STATS		122

/* Networks and their drivers */
#define NMERR_DRIVER_NOT_FOUND			9
#define NMERR_NETWORK_NOT_PRESENT		30
#define NMERR_OUT_OF_DOS_MEMORY			41
#define NMERR_INVALID_HNETWORK			48
#define NMERR_NETWORK_ALREADY_OPENED		49
#define NMERR_NETWORK_NOT_OPENED		50
#define NMERR_INVALID_NETWORK_ID		54
#define NMERR_MSDOS_DRIVER_NOT_LOADED		61
#define NMERR_WINDOWS_DRIVER_NOT_LOADED		62
#define NMERR_MSDOS_DRIVER_INIT_FAILURE		63
#define NMERR_WINDOWS_DRIVER_INIT_FAILURE	64
#define NMERR_NETWORK_BUSY			65
#define NMERR_INVALID_PACKET_LENGTH		67
#define NMERR_PROMISCUOUS_MODE_NOT_SUPPORTED	70
#define NMERR_MAC_DRIVER_OPEN_FAILURE		71
#define NMERR_INVALID_MEDIA_TYPE		94
#define NMERR_NETWORK_ERROR			99

/* Modes in which a network was opened, and transmission */
#define NMERR_TRANSMIT_ERROR			58
#define NMERR_TRANSMIT_CANCELLED		81
#define NMERR_NO_TRANSMITS_PENDING		83
#define NMERR_DELAYED				105
#define NMERR_NOT_DELAYED			106
#define NMERR_REALTIME				107
#define NMERR_NOT_REALTIME			108
#define NMERR_STATS_ONLY			109
#define NMERR_NOT_STATS_ONLY			110
#define NMERR_TRANSMIT				111
#define NMERR_NOT_TRANSMIT			112
#define NMERR_TRANSMITTING			113
#define NMERR_ESP				138
#define NMERR_NOT_ESP				139

/* Remote captures */
#define NMERR_INVALID_HPASSWORD			75
#define NMERR_NAL_IS_NOT_REMOTE			89
#define NMERR_AGENT_IN_USE			95
#define NMERR_DISCONNECTED			97
#define NMERR_NOT_CONNECTED			102
#define NMERR_ALREADY_CONNECTED			103
#define NMERR_REMOTE_NOT_A_SERVER		126
#define NMERR_REMOTE_VERSION_OUTOFSYNC		127
#define NMERR_INVALID_REMOTE_COMPUTERNAME	1016
#define NMERR_RPC_REMOTE_FAILURE		1017

/* Others */
#define NMERR_LOCKED				14
#define NMERR_NOT_LOCKED			23
#define NMERR_LOCK_NESTING_TOO_DEEP		25
#define NMERR_NO_HANDLES			53
#define NMERR_PENDING				73
#define NMERR_WINDOWS_ERROR			85
#define NMERR_TIMEOUT				96
#define NMERR_SETTIMER_FAILED			98
#define NMERR_INVALID_REGISTRY_CONFIGURATION	104
#define NMERR_REG_OPERATION_FAILED		120
#define NMERR_NOT_INITIALIZED			135
#define NMERR_BAD_VERSION			137

/* Blobs, Network Monitor's configuration records, and the providers that read them */
#define NMERR_BLOB_NOT_INITIALIZED		1000
#define NMERR_INVALID_BLOB			1001
#define NMERR_UPLEVEL_BLOB			1002
#define NMERR_BLOB_ENTRY_ALREADY_EXISTS		1003
#define NMERR_BLOB_ENTRY_DOES_NOT_EXIST		1004
#define NMERR_AMBIGUOUS_SPECIFIER		1005
#define NMERR_BLOB_OWNER_NOT_FOUND		1006
#define NMERR_BLOB_CATEGORY_NOT_FOUND		1007
#define NMERR_UNKNOWN_CATEGORY			1008
#define NMERR_UNKNOWN_TAG			1009
#define NMERR_BLOB_CONVERSION_ERROR		1010
#define NMERR_ILLEGAL_TRIGGER			1011
#define NMERR_BLOB_STRING_INVALID		1012
#define NMERR_UNABLE_TO_LOAD_LIBRARY		1013
#define NMERR_UNABLE_TO_GET_PROCADDR		1014
#define NMERR_CLASS_NOT_REGISTERED		1015
#define NMERR_NO_NPPS				3016
#define NMERR_NO_MATCHING_NPPS			3017
#define NMERR_NO_NPP_SELECTED			3018
#define NMERR_NO_INPUT_BLOBS			3019
#define NMERR_NO_NPP_DLLS			3020
#define NMERR_NO_VALID_NPP_DLLS			3021

/*
 * Hosts and experts must have equal layouts. So the packing is set here: a file may include
 * this header with another packing.
 */
#pragma pack(push, 8)

/**
 * struct EXPERTCONFIG - an expert's configuration, as the host stores it
 * @RawConfigLength: size in bytes, with this member
 * @RawConfigData: data that the expert defines
 */
__extension__ typedef struct EXPERTCONFIG {
	DWORD RawConfigLength;
	BYTE RawConfigData[];
} EXPERTCONFIG, *PEXPERTCONFIG;

/**
 * struct EXPERTSTARTUPINFO - what the user had selected when the expert was started
 * @Flags: value that the host defines
 * @hCapture: handle of the capture; NULL: the host has given the expert no capture
 * @szCaptureFile: path of the capture
 * @dwFrameNumber: number of the selected frame, or INVALID_FRAME_NUMBER
 * @hProtocol: protocol of the selected property; NULL: the user has selected none
 * @lpPropertyInst: its first instance in the selected frame, or NULL
 * @sBitfield: number of the selected bit, and whether it is set
 */
typedef struct EXPERTSTARTUPINFO {
	DWORD Flags;
	HCAPTURE hCapture;
	char szCaptureFile[MAX_PATH];
	DWORD dwFrameNumber;
	HPROTOCOL hProtocol;
	LPPROPERTYINST lpPropertyInst;
	struct {
		BYTE BitNumber;
		BOOL bOn;
	} sBitfield;
} EXPERTSTARTUPINFO, *PEXPERTSTARTUPINFO;

/* For StartupFlags: the start-up information takes precedence over the configuration. */
#define EXPERT_STARTUP_FLAG_USE_STARTUP_DATA_OVER_CONFIG_DATA	0x1

/* Names of the entry points of an expert, for dlsym(), and their types. */
#define EXPERTENTRY_REGISTER	"Register"
#define EXPERTENTRY_CONFIGURE	"Configure"
#define EXPERTENTRY_RUN		"Run"

typedef struct EXPERTENUMINFO *PEXPERTENUMINFO;
typedef BOOL (WINAPI *PEXPERTREGISTERPROC)(PEXPERTENUMINFO);
typedef BOOL (WINAPI *PEXPERTCONFIGPROC)(HEXPERTKEY, PEXPERTCONFIG *, PEXPERTSTARTUPINFO,
					 DWORD, HWND);
typedef BOOL (WINAPI *PEXPERTRUNPROC)(HEXPERTKEY, PEXPERTCONFIG, PEXPERTSTARTUPINFO,
				      DWORD, HWND);

#define EXPERTSTRINGLENGTH 260

/**
 * struct EXPERTENUMINFO - description of an expert
 * @szName: name of the expert
 * @szVendor: name of the expert's vendor
 * @szDescription: one line about what the expert does
 * @Version: 0
 * @Flags: EXPERT_ENUM_FLAG_*
 * @szDllName: the host's; the expert does not write it
 * @hExpert: the host's; the expert does not write it
 * @hModule: the host's; the expert does not write it
 * @pRegisterProc: the host's; the expert does not write it
 * @pConfigProc: the host's; the expert does not write it
 * @pRunProc: the host's; the expert does not write it
 *
 * The expert fills in the members up to @Flags in Register().
 */
typedef struct EXPERTENUMINFO {
	char szName[EXPERTSTRINGLENGTH];
	char szVendor[EXPERTSTRINGLENGTH];
	char szDescription[EXPERTSTRINGLENGTH];
	DWORD Version;
	DWORD Flags;
	char szDllName[MAX_PATH];
	HEXPERT hExpert;
	HINSTANCE hModule;
	PEXPERTREGISTERPROC pRegisterProc;
	PEXPERTCONFIGPROC pConfigProc;
	PEXPERTRUNPROC pRunProc;
} EXPERTENUMINFO;

#define EXPERT_ENUM_FLAG_CONFIGURABLE			0x1	/* exports Configure() */
#define EXPERT_ENUM_FLAG_VIEWER_PRIVATE			0x2	/* needs its own event viewer */
#define EXPERT_ENUM_FLAG_NO_VIEWER			0x4	/* raises no events */
/* the context menu of the summary pane, or of the detail pane, has an entry for the expert */
#define EXPERT_ENUM_FLAG_ADD_ME_TO_RMC_IN_SUMMARY	0x10
#define EXPERT_ENUM_FLAG_ADD_ME_TO_RMC_IN_DETAIL	0x20

/* Status of an expert. */
typedef enum EXPERTSTATUSENUMERATION {
	EXPERTSTATUS_INACTIVE	= 0,	/* never started */
	EXPERTSTATUS_STARTING	= 1,
	EXPERTSTATUS_RUNNING	= 2,
	EXPERTSTATUS_PROBLEM	= 3,	/* failed; the sub-status has the expert's reason */
	EXPERTSTATUS_ABORTED	= 4,	/* was stopped; EXPERTSUBSTATUS_ABORTED_* */
	EXPERTSTATUS_DONE	= 5	/* finished without an error */
} EXPERTSTATUSENUMERATION;

#define EXPERTSUBSTATUS_ABORTED_USER		0x1	/* the user has stopped the expert */
#define EXPERTSUBSTATUS_ABORTED_LOAD_FAIL	0x2	/* the host could not load it */
#define EXPERTSUBSTATUS_ABORTED_THREAD_FAIL	0x4	/* the host could not create its thread */
#define EXPERTSUBSTATUS_ABORTED_BAD_ENTRY	0x8	/* an entry point is missing */

/**
 * struct EXPERTFRAMEDESCRIPTOR - a frame that ExpertGetFrame() returned
 * @FrameNumber: number of the frame in the capture
 * @hFrame: handle of the frame
 * @pFrame: header and bytes of the frame
 * @lpRecognizeDataTable: protocols that were found in the frame; NULL if the engine finds none, or
 *	the host does not want them [here]
 * @lpPropertyTable: properties of the frame; only with FLAGS_ATTACH_PROPERTIES
 */
typedef struct EXPERTFRAMEDESCRIPTOR {
	DWORD FrameNumber;
	HFRAME hFrame;
	ULPFRAME pFrame;
	LPRECOGNIZEDATATABLE lpRecognizeDataTable;
	LPPROPERTYTABLE lpPropertyTable;
} EXPERTFRAMEDESCRIPTOR, *LPEXPERTFRAMEDESCRIPTOR;

/* Which frame to get: the frame with the given number, or the next frame in one direction. */
#define GET_SPECIFIED_FRAME		0
#define GET_FRAME_NEXT_FORWARD		1
#define GET_FRAME_NEXT_BACKWARD		2
/* no frame; for the next frame: start before the first or behind the last one */
#define INVALID_FRAME_NUMBER		((DWORD)-1)
/* Get only frames that pass the user's display filter; get the properties, too. */
#define FLAGS_DEFER_TO_UI_FILTER	0x1
#define FLAGS_ATTACH_PROPERTIES		0x2
/*
 * This library's own: lpRecognizeDataTable is NULL. An expert that does not read the table spares
 * the engine the dissection of all frames.
 */
#define FLAGS_NO_RECOGNIZE_DATA		0x80000000

/* Types for events. An event is a line for the user, with columns that the expert defines. */
typedef struct SYSTEMTIME {
	WORD wYear;
	WORD wMonth;		/* 1 to 12 */
	WORD wDayOfWeek;	/* 0: Sunday */
	WORD wDay;
	WORD wHour;
	WORD wMinute;
	WORD wSecond;
	WORD wMilliseconds;
} SYSTEMTIME;

typedef struct IPX_ADDR {
	BYTE Subnet[4];
	BYTE Address[6];
} IPX_ADDR;

/* The member of NMCOLUMNVARIANT.Value that has the value, and the format of the value. */
typedef enum NMCOLUMNTYPE {
	NMCOLUMNTYPE_UINT8	= 0,
	NMCOLUMNTYPE_SINT8	= 1,
	NMCOLUMNTYPE_UINT16	= 2,
	NMCOLUMNTYPE_SINT16	= 3,
	NMCOLUMNTYPE_UINT32	= 4,
	NMCOLUMNTYPE_SINT32	= 5,
	NMCOLUMNTYPE_FLOAT64	= 6,
	NMCOLUMNTYPE_FRAME	= 7,
	NMCOLUMNTYPE_YESNO	= 8,
	NMCOLUMNTYPE_ONOFF	= 9,
	NMCOLUMNTYPE_TRUEFALSE	= 10,
	NMCOLUMNTYPE_MACADDR	= 11,
	NMCOLUMNTYPE_IPXADDR	= 12,
	NMCOLUMNTYPE_IPADDR	= 13,
	NMCOLUMNTYPE_VARTIME	= 14,
	NMCOLUMNTYPE_STRING	= 15
} NMCOLUMNTYPE;

typedef struct NMCOLUMNVARIANT {
	NMCOLUMNTYPE Type;
	union {
		BYTE Uint8Val;
		signed char Sint8Val;	/* char is unsigned on arm64 */
		WORD Uint16Val;
		int16_t Sint16Val;
		DWORD Uint32Val;
		LONG Sint32Val;
		double Float64Val;
		DWORD FrameVal;
		BOOL YesNoVal;
		BOOL OnOffVal;
		BOOL TrueFalseVal;
		BYTE MACAddrVal[6];
		IPX_ADDR IPXAddrVal;
		DWORD IPAddrVal;
		double VarTimeVal;	/* days since 30 December 1899 */
		LPCSTR pStringVal;
	} Value;
} NMCOLUMNVARIANT;

typedef struct NMCOLUMNINFO {
	LPSTR szColumnName;
	NMCOLUMNVARIANT VariantData;
} NMCOLUMNINFO, *PNMCOLUMNINFO;

__extension__ typedef struct NMEVENTDATA {
	LPSTR pszReserved;
	BYTE Version;
	DWORD EventIdent;	/* kind of event; the expert defines the number */
	DWORD Flags;		/* NMEVENTFLAG_* */
	DWORD Severity;		/* NMEVENT_SEVERITY_* */
	BYTE NumColumns;	/* number of entries of Column[] */
	LPSTR szSourceName;
	LPSTR szEventName;
	LPSTR szDescription;
	LPSTR szMachine;
	LPSTR Justification;
	union {
		LPVOID pvReserved;
		LPSTR szUrl;	/* name of pvReserved on Microsoft's page */
	};
	SYSTEMTIME SysTime;
	NMCOLUMNINFO Column[];
} NMEVENTDATA, *PNMEVENTDATA;

#pragma pack(pop)

enum NMEVENT_SEVERITIES {
	NMEVENT_SEVERITY_INFORMATIONAL	= 0,
	NMEVENT_SEVERITY_WARNING	= 1,
	NMEVENT_SEVERITY_STRONG_WARNING	= 2,
	NMEVENT_SEVERITY_ERROR		= 3,
	NMEVENT_SEVERITY_SEVERE_ERROR	= 4,
	NMEVENT_SEVERITY_CRITICAL_ERROR	= 5
};

/* NMEVENTFLAG_EXPERT: an expert has raised the event. The others hide fixed columns. */
#define NMEVENTFLAG_EXPERT				0x00000001
#define NMEVENTFLAG_DO_NOT_DISPLAY_SEVERITY		0x80000000
#define NMEVENTFLAG_DO_NOT_DISPLAY_SOURCE		0x40000000
#define NMEVENTFLAG_DO_NOT_DISPLAY_EVENT_NAME		0x20000000
#define NMEVENTFLAG_DO_NOT_DISPLAY_DESCRIPTION		0x10000000
#define NMEVENTFLAG_DO_NOT_DISPLAY_MACHINE		0x08000000
#define NMEVENTFLAG_DO_NOT_DISPLAY_TIME			0x04000000
#define NMEVENTFLAG_DO_NOT_DISPLAY_DATE			0x02000000
#define NMEVENTFLAG_DO_NOT_DISPLAY_FIXED_COLUMNS	0xfe000000

/*
 * Older names of the NMERR_ codes, which some of Microsoft's pages use.
 */
#define BHERR_SUCCESS				NMERR_SUCCESS
#define BHERR_OUT_OF_MEMORY			NMERR_OUT_OF_MEMORY
#define BHERR_ACCESS_DENIED			NMERR_ACCESS_DENIED
#define BHERR_INVALID_PARAMETER			NMERR_INVALID_PARAMETER
#define BHERR_EXPERT_TERMINATE			NMERR_EXPERT_TERMINATE
#define BHERR_INVALID_EXPERT_HANDLE		NMERR_INVALID_EXPERT_HANDLE
#define BHERR_LOAD_EXPERT_FAILED		NMERR_LOAD_EXPERT_FAILED
#define BHERR_EXPERT_REPORT_FAILED		NMERR_EXPERT_REPORT_FAILED
#define BHERR_NO_DLLS_FOUND			NMERR_NO_DLLS_FOUND
#define BHERR_INVALID_EXPERT_GROUP		NMERR_INVALID_EXPERT_GROUP
#define BHERR_INVALID_EXPERT_NAME		NMERR_INVALID_EXPERT_NAME
#define BHERR_GROUP_NAME_ALREADY_EXISTS		NMERR_GROUP_NAME_ALREADY_EXISTS
#define BHERR_INVALID_GROUP_NAME		NMERR_INVALID_GROUP_NAME
#define BHERR_EXPERT_ALREADY_IN_GROUP		NMERR_EXPERT_ALREADY_IN_GROUP
#define BHERR_EXPERT_NOT_IN_GROUP		NMERR_EXPERT_NOT_IN_GROUP
#define BHERR_INVALID_GROUP_ROOT		NMERR_INVALID_GROUP_ROOT
#define BHERR_INVALID_HFILTER			NMERR_INVALID_HFILTER
#define BHERR_NO_MORE_FRAMES			NMERR_NO_MORE_FRAMES
#define BHERR_FRAME_NOT_RECOGNIZED		NMERR_FRAME_NOT_RECOGNIZED
#define BHERR_INVALID_HFRAME			NMERR_INVALID_HFRAME
#define BHERR_STACK_EMPTY			NMERR_STACK_EMPTY
#define BHERR_STACK_OVERFLOW			NMERR_STACK_OVERFLOW
#define BHERR_NO_FRAMES				NMERR_NO_FRAMES
#define BHERR_FRAME_NOT_FOUND			NMERR_FRAME_NOT_FOUND
#define BHERR_FILTER_INVALID_EXPRESSION		NMERR_FILTER_INVALID_EXPRESSION
#define BHERR_LOCKED_FRAMES			NMERR_LOCKED_FRAMES
#define BHERR_NO_FRAME_NUMBER			NMERR_NO_FRAME_NUMBER
#define BHERR_FRAME_HAS_NO_CAPTURE		NMERR_FRAME_HAS_NO_CAPTURE
#define BHERR_FRAME_ALREADY_HAS_CAPTURE		NMERR_FRAME_ALREADY_HAS_CAPTURE
#define BHERR_DISCARD_FRAME			NMERR_DISCARD_FRAME
#define BHERR_INVALID_FRAMESPROC		NMERR_INVALID_FRAMESPROC
#define BHERR_FRAME_FAILED_FILTER		NMERR_FRAME_FAILED_FILTER
#define BHERR_MEMORY_MAPPED_FILE_ERROR		NMERR_MEMORY_MAPPED_FILE_ERROR
#define BHERR_FILE_ALREADY_EXISTS		NMERR_FILE_ALREADY_EXISTS
#define BHERR_FILE_NOT_FOUND			NMERR_FILE_NOT_FOUND
#define BHERR_INVALID_FILE_FORMAT		NMERR_INVALID_FILE_FORMAT
#define BHERR_COULD_NOT_CREATE_TEMPFILE		NMERR_COULD_NOT_CREATE_TEMPFILE
#define BHERR_INVALID_HCAPTURE			NMERR_INVALID_HCAPTURE
#define BHERR_FILE_READ_ERROR			NMERR_FILE_READ_ERROR
#define BHERR_FILE_WRITE_ERROR			NMERR_FILE_WRITE_ERROR
#define BHERR_PATH_NOT_FOUND			NMERR_PATH_NOT_FOUND
#define BHERR_CANCEL_SAVE_CAPTURE		NMERR_CANCEL_SAVE_CAPTURE
#define BHERR_UNKNOWN_CAPTURETYPE		NMERR_UNKNOWN_CAPTURETYPE
#define BHERR_DISK_NOT_LOCAL_FIXED		NMERR_DISK_NOT_LOCAL_FIXED
#define BHERR_COULD_NOT_CREATE_DIRECTORY	NMERR_COULD_NOT_CREATE_DIRECTORY
#define BHERR_NO_DEFAULT_CAPTURE_DIRECTORY	NMERR_NO_DEFAULT_CAPTURE_DIRECTORY
#define BHERR_UPLEVEL_CAPTURE_FILE		NMERR_UPLEVEL_CAPTURE_FILE
#define BHERR_SECURITY_BREACH_CAPTURE_DELETED	NMERR_SECURITY_BREACH_CAPTURE_DELETED
#define BHERR_INVALID_HPROTOCOL			NMERR_INVALID_HPROTOCOL
#define BHERR_INVALID_HPROPERTY			NMERR_INVALID_HPROPERTY
#define BHERR_TOO_MANY_PROTOCOLS		NMERR_TOO_MANY_PROTOCOLS
#define BHERR_LOAD_PARSER_FAILED		NMERR_LOAD_PARSER_FAILED
#define BHERR_UNLOAD_PARSER_FAILED		NMERR_UNLOAD_PARSER_FAILED
#define BHERR_NO_PROPERTY_DATABASE		NMERR_NO_PROPERTY_DATABASE
#define BHERR_PROPERTY_NOT_FOUND		NMERR_PROPERTY_NOT_FOUND
#define BHERR_INVALID_HPROPERTYDB		NMERR_INVALID_HPROPERTYDB
#define BHERR_PROTOCOL_NOT_ENABLED		NMERR_PROTOCOL_NOT_ENABLED
#define BHERR_PROTOCOL_NOT_FOUND		NMERR_PROTOCOL_NOT_FOUND
#define BHERR_INVALID_PARSER_DLL		NMERR_INVALID_PARSER_DLL
#define BHERR_NO_ATTACHED_PROPERTIES		NMERR_NO_ATTACHED_PROPERTIES
#define BHERR_NO_PROTOCOLS_ENABLED		NMERR_NO_PROTOCOLS_ENABLED
#define BHERR_PROTOCOL_ALREADY_ENABLED		NMERR_PROTOCOL_ALREADY_ENABLED
#define BHERR_RUNAWAY_PROTOCOL			NMERR_RUNAWAY_PROTOCOL
#define BHERR_PROTOCOL_NOT_REGISTERED		NMERR_PROTOCOL_NOT_REGISTERED
#define BHERR_ADDRESS_ALREADY_EXISTS		NMERR_ADDRESS_ALREADY_EXISTS
#define BHERR_INVALID_HADDRESSDB		NMERR_INVALID_HADDRESSDB
#define BHERR_ADDRESS_NOT_FOUND			NMERR_ADDRESS_NOT_FOUND
#define BHERR_UNKNOWN_MACTYPE			NMERR_UNKNOWN_MACTYPE
#define BHERR_ROUTING_INFO_NOT_PRESENT		NMERR_ROUTING_INFO_NOT_PRESENT
#define BHERR_IP_ADDRESS_NOT_FOUND		NMERR_IP_ADDRESS_NOT_FOUND
#define BHERR_CAPTURING				NMERR_CAPTURING
#define BHERR_NOT_CAPTURING			NMERR_NOT_CAPTURING
#define BHERR_CAPTURE_PAUSED			NMERR_CAPTURE_PAUSED
#define BHERR_NO_BUFFERS			NMERR_NO_BUFFERS
#define BHERR_BUFFERS_ALREADY_EXIST		NMERR_BUFFERS_ALREADY_EXIST
#define BHERR_INVALID_HBUFFER			NMERR_INVALID_HBUFFER
#define BHERR_CAPTURE_NOT_PAUSED		NMERR_CAPTURE_NOT_PAUSED
#define BHERR_NO_CONVERSATION_STATS		NMERR_NO_CONVERSATION_STATS
#define BHERR_DRIVER_NOT_FOUND			NMERR_DRIVER_NOT_FOUND
#define BHERR_NETWORK_NOT_PRESENT		NMERR_NETWORK_NOT_PRESENT
#define BHERR_OUT_OF_DOS_MEMORY			NMERR_OUT_OF_DOS_MEMORY
#define BHERR_INVALID_HNETWORK			NMERR_INVALID_HNETWORK
#define BHERR_NETWORK_ALREADY_OPENED		NMERR_NETWORK_ALREADY_OPENED
#define BHERR_NETWORK_NOT_OPENED		NMERR_NETWORK_NOT_OPENED
#define BHERR_INVALID_NETWORK_ID		NMERR_INVALID_NETWORK_ID
#define BHERR_MSDOS_DRIVER_NOT_LOADED		NMERR_MSDOS_DRIVER_NOT_LOADED
#define BHERR_WINDOWS_DRIVER_NOT_LOADED		NMERR_WINDOWS_DRIVER_NOT_LOADED
#define BHERR_MSDOS_DRIVER_INIT_FAILURE		NMERR_MSDOS_DRIVER_INIT_FAILURE
#define BHERR_WINDOWS_DRIVER_INIT_FAILURE	NMERR_WINDOWS_DRIVER_INIT_FAILURE
#define BHERR_NETWORK_BUSY			NMERR_NETWORK_BUSY
#define BHERR_INVALID_PACKET_LENGTH		NMERR_INVALID_PACKET_LENGTH
#define BHERR_PROMISCUOUS_MODE_NOT_SUPPORTED	NMERR_PROMISCUOUS_MODE_NOT_SUPPORTED
#define BHERR_MAC_DRIVER_OPEN_FAILURE		NMERR_MAC_DRIVER_OPEN_FAILURE
#define BHERR_INVALID_MEDIA_TYPE		NMERR_INVALID_MEDIA_TYPE
#define BHERR_NETWORK_ERROR			NMERR_NETWORK_ERROR
#define BHERR_TRANSMIT_ERROR			NMERR_TRANSMIT_ERROR
#define BHERR_TRANSMIT_CANCELLED		NMERR_TRANSMIT_CANCELLED
#define BHERR_NO_TRANSMITS_PENDING		NMERR_NO_TRANSMITS_PENDING
#define BHERR_DELAYED				NMERR_DELAYED
#define BHERR_NOT_DELAYED			NMERR_NOT_DELAYED
#define BHERR_REALTIME				NMERR_REALTIME
#define BHERR_NOT_REALTIME			NMERR_NOT_REALTIME
#define BHERR_STATS_ONLY			NMERR_STATS_ONLY
#define BHERR_NOT_STATS_ONLY			NMERR_NOT_STATS_ONLY
#define BHERR_TRANSMIT				NMERR_TRANSMIT
#define BHERR_NOT_TRANSMIT			NMERR_NOT_TRANSMIT
#define BHERR_TRANSMITTING			NMERR_TRANSMITTING
#define BHERR_ESP				NMERR_ESP
#define BHERR_NOT_ESP				NMERR_NOT_ESP
#define BHERR_INVALID_HPASSWORD			NMERR_INVALID_HPASSWORD
#define BHERR_NAL_IS_NOT_REMOTE			NMERR_NAL_IS_NOT_REMOTE
#define BHERR_LOST_CONNECTION			NMERR_LOST_CONNECTION
#define BHERR_AGENT_IN_USE			NMERR_AGENT_IN_USE
#define BHERR_DISCONNECTED			NMERR_DISCONNECTED
#define BHERR_NOT_CONNECTED			NMERR_NOT_CONNECTED
#define BHERR_ALREADY_CONNECTED			NMERR_ALREADY_CONNECTED
#define BHERR_REMOTE_NOT_A_SERVER		NMERR_REMOTE_NOT_A_SERVER
#define BHERR_REMOTE_VERSION_OUTOFSYNC		NMERR_REMOTE_VERSION_OUTOFSYNC
#define BHERR_INVALID_REMOTE_COMPUTERNAME	NMERR_INVALID_REMOTE_COMPUTERNAME
#define BHERR_RPC_REMOTE_FAILURE		NMERR_RPC_REMOTE_FAILURE
#define BHERR_BUFFER_TOO_SMALL			NMERR_BUFFER_TOO_SMALL
#define BHERR_LOCKED				NMERR_LOCKED
#define BHERR_NOT_LOCKED			NMERR_NOT_LOCKED
#define BHERR_OUT_OF_RANGE			NMERR_OUT_OF_RANGE
#define BHERR_LOCK_NESTING_TOO_DEEP		NMERR_LOCK_NESTING_TOO_DEEP
#define BHERR_NO_HANDLES			NMERR_NO_HANDLES
#define BHERR_INVALID_DATA			NMERR_INVALID_DATA
#define BHERR_INTERNAL_EXCEPTION		NMERR_INTERNAL_EXCEPTION
#define BHERR_PENDING				NMERR_PENDING
#define BHERR_WINDOWS_ERROR			NMERR_WINDOWS_ERROR
#define BHERR_NOT_SUPPORTED			NMERR_NOT_SUPPORTED
#define BHERR_TIMEOUT				NMERR_TIMEOUT
#define BHERR_SETTIMER_FAILED			NMERR_SETTIMER_FAILED
#define BHERR_INVALID_REGISTRY_CONFIGURATION	NMERR_INVALID_REGISTRY_CONFIGURATION
#define BHERR_REG_OPERATION_FAILED		NMERR_REG_OPERATION_FAILED
#define BHERR_NOT_INITIALIZED			NMERR_NOT_INITIALIZED
#define BHERR_BAD_VERSION			NMERR_BAD_VERSION
#define BHERR_BLOB_NOT_INITIALIZED		NMERR_BLOB_NOT_INITIALIZED
#define BHERR_INVALID_BLOB			NMERR_INVALID_BLOB
#define BHERR_UPLEVEL_BLOB			NMERR_UPLEVEL_BLOB
#define BHERR_BLOB_ENTRY_ALREADY_EXISTS		NMERR_BLOB_ENTRY_ALREADY_EXISTS
#define BHERR_BLOB_ENTRY_DOES_NOT_EXIST		NMERR_BLOB_ENTRY_DOES_NOT_EXIST
#define BHERR_AMBIGUOUS_SPECIFIER		NMERR_AMBIGUOUS_SPECIFIER
#define BHERR_BLOB_OWNER_NOT_FOUND		NMERR_BLOB_OWNER_NOT_FOUND
#define BHERR_BLOB_CATEGORY_NOT_FOUND		NMERR_BLOB_CATEGORY_NOT_FOUND
#define BHERR_UNKNOWN_CATEGORY			NMERR_UNKNOWN_CATEGORY
#define BHERR_UNKNOWN_TAG			NMERR_UNKNOWN_TAG
#define BHERR_BLOB_CONVERSION_ERROR		NMERR_BLOB_CONVERSION_ERROR
#define BHERR_ILLEGAL_TRIGGER			NMERR_ILLEGAL_TRIGGER
#define BHERR_BLOB_STRING_INVALID		NMERR_BLOB_STRING_INVALID
#define BHERR_UNABLE_TO_LOAD_LIBRARY		NMERR_UNABLE_TO_LOAD_LIBRARY
#define BHERR_UNABLE_TO_GET_PROCADDR		NMERR_UNABLE_TO_GET_PROCADDR
#define BHERR_CLASS_NOT_REGISTERED		NMERR_CLASS_NOT_REGISTERED
#define BHERR_NO_NPPS				NMERR_NO_NPPS
#define BHERR_NO_MATCHING_NPPS			NMERR_NO_MATCHING_NPPS
#define BHERR_NO_NPP_SELECTED			NMERR_NO_NPP_SELECTED
#define BHERR_NO_INPUT_BLOBS			NMERR_NO_INPUT_BLOBS
#define BHERR_NO_NPP_DLLS			NMERR_NO_NPP_DLLS
#define BHERR_NO_VALID_NPP_DLLS			NMERR_NO_VALID_NPP_DLLS

#pragma pack(push, 8)

/*
 * Names of Microsoft's pages for what has another name in mingw-w64's netmon.h. This header
 * has both names.
 */
typedef EXPERTSTATUSENUMERATION EXPERT_STATUS_ENUMERATION;
typedef NMCOLUMNINFO EVENTCOLUMNINFO;
typedef LPSTR JTYPE;

#define EXPERT_GET_SPECIFIED_FRAME		GET_SPECIFIED_FRAME
#define EXPERT_DEFER_TO_UI_FILTER		FLAGS_DEFER_TO_UI_FILTER
#define EXPERT_ATTACH_PROPERTIES		FLAGS_ATTACH_PROPERTIES
#define EVENT_FLAG_EXPERT			NMEVENTFLAG_EXPERT

/*
 * Pointers into frames. Fields of a frame may be misaligned, and programs read the bytes of
 * a frame as several types. So the types that these pointers point to have an alignment of
 * 1, and integers may alias other types.
 */
#ifdef __GNUC__
#define NETMON_UNALIGNED __attribute__((__aligned__(1)))
#define NETMON_ALIAS __attribute__((__aligned__(1), __may_alias__))
#else
#define NETMON_UNALIGNED
#define NETMON_ALIAS
#endif

typedef SYSTEMTIME *LPSYSTEMTIME;

__extension__ typedef union LARGE_INTEGER {
	struct {
		DWORD LowPart;
		LONG HighPart;
	};
	struct {
		DWORD LowPart;
		LONG HighPart;
	} u;
	int64_t QuadPart;
} LARGE_INTEGER;

typedef LARGE_INTEGER *LPLARGEINT;

typedef WORD NETMON_WORD NETMON_ALIAS;
typedef DWORD NETMON_DWORD NETMON_ALIAS;
typedef LARGE_INTEGER NETMON_LARGE_INTEGER NETMON_UNALIGNED;
typedef SYSTEMTIME NETMON_SYSTEMTIME NETMON_UNALIGNED;

typedef void *ULPVOID;
typedef BYTE *ULPBYTE;
typedef char *ULPSTR;
typedef NETMON_WORD *ULPWORD;
typedef NETMON_DWORD *ULPDWORD;
typedef NETMON_LARGE_INTEGER *ULPLARGEINT;
typedef NETMON_SYSTEMTIME *ULPSYSTEMTIME;

/* Handles. They are numbers, not addresses: do not dereference them. */
typedef struct FILTER *HFILTER;
typedef HFILTER *LPHFILTER;
typedef HPROTOCOL *LPHPROTOCOL;
typedef DWORD_PTR HPROPERTY;
typedef HEXPERTKEY *PHEXPERTKEY;
typedef HEXPERT *PHEXPERT;
typedef LPVOID HRUNNINGEXPERT;
typedef HRUNNINGEXPERT *PHRUNNINGEXPERT;

/* A configured expert, and the status of a running expert. Only hosts use them. */
typedef struct CONFIGUREDEXPERT {
	HEXPERT hExpert;
	DWORD StartupFlags;
	PEXPERTCONFIG pConfig;
} CONFIGUREDEXPERT, *PCONFIGUREDEXPERT;

typedef struct EXPERTSTATUS {
	EXPERTSTATUSENUMERATION Status;
	DWORD SubStatus;
	DWORD PercentDone;		/* 0 to 100 */
	DWORD Frame;			/* number of the current frame */
	char szStatusText[MAX_PATH];
} EXPERTSTATUS, *PEXPERTSTATUS;

#define EXPERTGROUPNAMELENGTH	25

/* Frames. All frames of a capture have one link type, MAC_TYPE_*. */
#define MAC_TYPE_UNKNOWN	0
#define MAC_TYPE_ETHERNET	1
#define MAC_TYPE_TOKENRING	2
#define MAC_TYPE_FDDI		3
#define MAC_TYPE_ATM		4
#define MAC_TYPE_1394		5

/* The page of GetCaptureMacType() has this name for MAC_TYPE_UNKNOWN. */
#define NMERR_MAC_TYPE_UNKNOWN	MAC_TYPE_UNKNOWN

/* A frame as it was captured. */
typedef struct FRAME {
	int64_t TimeStamp;		/* microseconds since the capture started */
	DWORD FrameLength;		/* bytes on the wire */
	DWORD nBytesAvail;		/* bytes in MacFrame[] */
	BYTE MacFrame[1];		/* bytes of the frame; the link header is first */
} FRAME, *LPFRAME;

#define FRAME_SIZE		sizeof(FRAME)

/* Masks for the first byte of an address, which clear its group bit or routing bit. */
#define FRAME_MASK_ETHERNET	((BYTE)~0x01)
#define FRAME_MASK_TOKENRING	((BYTE)~0x80)
#define FRAME_MASK_FDDI		((BYTE)~0x01)

/* Link headers. */
#define MAX_ADDR_LENGTH		6	/* bytes of a link address */

__extension__ typedef struct ETHERNET {
	BYTE DstAddr[MAX_ADDR_LENGTH];
	BYTE SrcAddr[MAX_ADDR_LENGTH];
	union {
		WORD Length;		/* if below ETHERNET_FRAME_TYPE; network order */
		WORD Type;		/* else; network order */
	};
	BYTE Info[];
} ETHERNET, *LPETHERNET;

#define ETHERNET_SIZE		sizeof(ETHERNET)
#define ETHERNET_HEADER_LENGTH	14
#define ETHERNET_DATA_LENGTH	1500	/* most bytes behind the header */
#define ETHERNET_FRAME_LENGTH	1514
#define ETHERNET_FRAME_TYPE	0x600

#pragma pack(push, 1)

/*
 * C does not allow a flexible array member, [], in a union, so these arrays are [0]. Clang
 * warns that the size of such a union differs between C and C++. It is 0 in both.
 */
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wextern-c-compat"
#endif
__extension__ typedef struct TOKENRING {
	BYTE AccessCtrl;
	BYTE FrameCtrl;			/* TOKENRING_TYPE_* */
	BYTE DstAddr[MAX_ADDR_LENGTH];
	BYTE SrcAddr[MAX_ADDR_LENGTH];
	union {
		BYTE Info[0];		/* if IsRoutingInfoPresent() is FALSE */
		WORD RoutingInfo[0];	/* if IsRoutingInfoPresent() is TRUE */
	};
} TOKENRING, *LPTOKENRING, *ULPTOKENRING;
#ifdef __clang__
#pragma clang diagnostic pop
#endif

__extension__ typedef struct FDDI {
	BYTE FrameCtrl;			/* FDDI_TYPE_* */
	BYTE DstAddr[MAX_ADDR_LENGTH];
	BYTE SrcAddr[MAX_ADDR_LENGTH];
	BYTE Info[];
} FDDI, *LPFDDI, *ULPFDDI;

/* IEEE 802.2 */
__extension__ typedef struct LLC {
	BYTE dsap;
	BYTE ssap;
	struct {
		union {
			BYTE Command;
			BYTE NextSend;
		};
		union {
			BYTE NextRecv;
			BYTE Data[1];
		};
	} ControlField;
} LLC, *LPLLC, *ULPLLC;

#pragma pack(pop)

typedef ETHERNET NETMON_ETHERNET NETMON_UNALIGNED;
typedef NETMON_ETHERNET *ULPETHERNET;

typedef union MACFRAME {
	LPBYTE MacHeader;
	LPETHERNET Ethernet;
	LPTOKENRING Tokenring;
	LPFDDI Fddi;
} MACFRAME, *LPMACFRAME;

#define TOKENRING_SIZE			sizeof(TOKENRING)
#define TOKENRING_HEADER_LENGTH		14	/* without routing information */
#define TOKENRING_SA_ROUTING_INFO	0x80	/* in SrcAddr[0] */
#define TOKENRING_SA_LOCAL		0x40
#define TOKENRING_DA_LOCAL		0x40	/* in DstAddr[0] */
#define TOKENRING_DA_GROUP		0x80
#define TOKENRING_RC_LENGTHMASK		0x1f	/* in the first byte of routing information */
#define TOKENRING_BC_MASK		0xe0
#define TOKENRING_TYPE_MAC		0x00
#define TOKENRING_TYPE_LLC		0x40

#define FDDI_SIZE			sizeof(FDDI)
#define FDDI_HEADER_LENGTH		13
#define FDDI_TYPE_MAC			0x00
#define FDDI_TYPE_LLC			0x10
#define FDDI_TYPE_LONG_ADDRESS		0x40

#define LLC_SIZE			sizeof(LLC)

/* @f: address of a token ring frame. The length, in bytes, includes the routing header. */
#define IsRoutingInfoPresent(f) \
	((((ULPTOKENRING)(f))->SrcAddr[0] & TOKENRING_SA_ROUTING_INFO) ? TRUE : FALSE)
#define GetRoutingInfoLength(f) \
	(IsRoutingInfoPresent(f) ? \
	 (((ULPBYTE)(f))[TOKENRING_HEADER_LENGTH] & TOKENRING_RC_LENGTHMASK) : 0)

/* Types of addresses, for ADDRESS.Type, and for calls that get an address of a frame. */
#define ADDRESS_TYPE_ETHERNET		0
#define ADDRESS_TYPE_IP			1
#define ADDRESS_TYPE_IPX		2
#define ADDRESS_TYPE_TOKENRING		3
#define ADDRESS_TYPE_FDDI		4
#define ADDRESS_TYPE_XNS		5
#define ADDRESS_TYPE_ANY		6
#define ADDRESS_TYPE_ANY_GROUP		7
#define ADDRESS_TYPE_FIND_HIGHEST	8	/* that of the highest protocol with addresses */
#define ADDRESS_TYPE_VINES_IP		9
#define ADDRESS_TYPE_LOCAL_ONLY		10
#define ADDRESS_TYPE_ATM		11
#define ADDRESS_TYPE_1394		12
#define ADDRESS_TYPE_IP6		13

/* Changes of an address: clear the group and routing bits; reverse the bits of each byte. */
#define ADDRESSTYPE_FLAGS_NORMALIZE	0x1
#define ADDRESSTYPE_FLAGS_BIT_REVERSE	0x2

/* Flags for comparing pairs of addresses. */
#define ADDRESS_FLAGS_MATCH_DST		0x1
#define ADDRESS_FLAGS_MATCH_SRC		0x2
#define ADDRESS_FLAGS_EXCLUDE		0x4
#define ADDRESS_FLAGS_EXCLUDED		ADDRESS_FLAGS_EXCLUDE	/* name on Microsoft's page */
#define ADDRESS_FLAGS_DST_GROUP_ADDR	0x8	/* compare only the group bit */
#define ADDRESS_FLAGS_MATCH_BOTH	0x3

/* Sizes in bytes. */
#define MAC_ADDRESS_SIZE		6
#define IP_ADDRESS_SIZE			4
#define IP6_ADDRESS_SIZE		16
#define MAX_ADDRESS_SIZE		16
#define MAX_NAME_SIZE			32
#define MAX_NAME_LENGTH			16

typedef IPX_ADDR *LPIPX_ADDR;
typedef IPX_ADDR IPX_ADDRESS;		/* name on Microsoft's page */
typedef IPX_ADDR *LPIPX_ADDRESS;
typedef IPX_ADDR XNS_ADDRESS;
typedef IPX_ADDR *LPXNS_ADDRESS;

#define IPX_ADDR_SIZE			sizeof(IPX_ADDR)
#define IPX_ADDRESS_SIZE		IPX_ADDR_SIZE

#pragma pack(push, 1)

typedef struct VINES_IP_ADDRESS {
	DWORD NetID;
	WORD SubnetID;
} VINES_IP_ADDRESS, *LPVINES_IP_ADDRESS;

#define VINES_IP_ADDRESS_SIZE		sizeof(VINES_IP_ADDRESS)

/* Bit fields of the first byte of an address, in the order in which the link sends the bits. */
__extension__ typedef struct ETHERNET_SRC_ADDRESS {
	BYTE RoutingBit : 1;
	BYTE LocalBit : 1;
	BYTE Byte0 : 6;
	BYTE Reserved[5];
} ETHERNET_SRC_ADDRESS, *LPETHERNET_SRC_ADDRESS;

__extension__ typedef struct ETHERNET_DST_ADDRESS {
	BYTE GroupBit : 1;
	BYTE AdminBit : 1;
	BYTE Byte0 : 6;
	BYTE Reserved[5];
} ETHERNET_DST_ADDRESS, *LPETHERNET_DST_ADDRESS;

typedef ETHERNET_SRC_ADDRESS FDDI_SRC_ADDRESS, *LPFDDI_SRC_ADDRESS;
typedef ETHERNET_DST_ADDRESS FDDI_DST_ADDRESS, *LPFDDI_DST_ADDRESS;

__extension__ typedef struct TOKENRING_SRC_ADDRESS {
	BYTE Byte0 : 6;
	BYTE LocalBit : 1;
	BYTE RoutingBit : 1;
	BYTE Byte1;
	BYTE Byte2 : 7;
	BYTE Functional : 1;
	BYTE Reserved[3];
} TOKENRING_SRC_ADDRESS, *LPTOKENRING_SRC_ADDRESS;

__extension__ typedef struct TOKENRING_DST_ADDRESS {
	BYTE Byte0 : 6;
	BYTE AdminBit : 1;
	BYTE GroupBit : 1;
	BYTE Reserved[5];
} TOKENRING_DST_ADDRESS, *LPTOKENRING_DST_ADDRESS;

/*
 * ADDRESS and ADDRESS2 are one type, which can hold an IPv6 address [here]. Microsoft's pages
 * call ADDRESS obsolete. But they declare functions with ADDRESS that Microsoft's header
 * declares with ADDRESS2.
 */
__extension__ typedef struct ADDRESS2 {
	DWORD Type;			/* ADDRESS_TYPE_* */
	union {
		BYTE MACAddress[MAC_ADDRESS_SIZE];
		BYTE IPAddress[IP_ADDRESS_SIZE];
		BYTE IP6Address[IP6_ADDRESS_SIZE];
		BYTE IPXRawAddress[IPX_ADDR_SIZE];
		IPX_ADDR IPXAddress;
		BYTE VinesIPRawAddress[VINES_IP_ADDRESS_SIZE];
		VINES_IP_ADDRESS VinesIPAddress;
		ETHERNET_SRC_ADDRESS EthernetSrcAddress;
		ETHERNET_DST_ADDRESS EthernetDstAddress;
		TOKENRING_SRC_ADDRESS TokenringSrcAddress;
		TOKENRING_DST_ADDRESS TokenringDstAddress;
		FDDI_SRC_ADDRESS FddiSrcAddress;
		FDDI_DST_ADDRESS FddiDstAddress;
	};
	WORD Flags;			/* ADDRESSTYPE_FLAGS_* */
} ADDRESS2, *LPADDRESS2, ADDRESS, *LPADDRESS;

#pragma pack(pop)

#define ADDRESS2_SIZE			sizeof(ADDRESS2)
#define ADDRESS_SIZE			sizeof(ADDRESS)

/* Protocols that were found in a frame. */
typedef struct RECOGNIZEDATA {
	WORD ProtocolID;
	WORD nProtocolOffset;		/* bytes from the start of the frame */
	LPVOID InstData;		/* data that the parser defines */
} RECOGNIZEDATA, *LPRECOGNIZEDATA;

__extension__ typedef struct RECOGNIZEDATATABLE {
	WORD nRecognizeDatas;
	RECOGNIZEDATA RecognizeData[];
} RECOGNIZEDATATABLE;

/* A property is a field of a protocol. Types of its value, for PROPERTYINFO.DataType: */
#define PROP_TYPE_VOID			0x00	/* unknown */
#define PROP_TYPE_SUMMARY		0x01	/* the heading of a protocol or a group */
#define PROP_TYPE_BYTE			0x02
#define PROP_TYPE_WORD			0x03
#define PROP_TYPE_DWORD			0x04
#define PROP_TYPE_LARGEINT		0x05
#define PROP_TYPE_ADDR			0x06	/* MAC_ADDRESS_SIZE bytes */
#define PROP_TYPE_TIME			0x07	/* SYSTEMTIME */
#define PROP_TYPE_STRING		0x08	/* without a null character; see IFLAG_UNICODE */
#define PROP_TYPE_IP_ADDRESS		0x09
#define PROP_TYPE_IPX_ADDRESS		0x0a
#define PROP_TYPE_BYTESWAPPED_WORD	0x0b	/* obsolete */
#define PROP_TYPE_BYTESWAPPED_DWORD	0x0c	/* obsolete */
#define PROP_TYPE_TYPED_STRING		0x0d	/* obsolete */
#define PROP_TYPE_RAW_DATA		0x0e
#define PROP_TYPE_COMMENT		0x0f	/* unknown, like PROP_TYPE_VOID */
#define PROP_TYPE_SRCFRIENDLYNAME	0x10
#define PROP_TYPE_DSTFRIENDLYNAME	0x11
#define PROP_TYPE_TOKENRING_ADDRESS	0x12
#define PROP_TYPE_FDDI_ADDRESS		0x13
#define PROP_TYPE_ETHERNET_ADDRESS	0x14
#define PROP_TYPE_OBJECT_IDENTIFIER	0x15	/* in BER */
#define PROP_TYPE_VINES_IP_ADDRESS	0x16
#define PROP_TYPE_VAR_LEN_SMALL_INT	0x17	/* an integer of 1 to 8 bytes */
#define PROP_TYPE_ATM_ADDRESS		0x18
#define PROP_TYPE_1394_ADDRESS		0x19
#define PROP_TYPE_IP6_ADDRESS		0x1a

/* Kinds of values, for PROPERTYINFO.DataQualifier, and the member of PROPERTYINFO for each: */
#define PROP_QUAL_NONE			0x00
#define PROP_QUAL_RANGE			0x01	/* lpRange */
#define PROP_QUAL_SET			0x02	/* lpSet, a set of numbers */
#define PROP_QUAL_BITFIELD		0x03	/* obsolete */
#define PROP_QUAL_LABELED_SET		0x04	/* lpSet, a set of numbers with labels */
#define PROP_QUAL_LABELED_BITFIELD	0x08	/* lpSet, a set of LABELED_BIT */
#define PROP_QUAL_CONST			0x09	/* Value */
#define PROP_QUAL_FLAGS			0x0a	/* lpSet, a set of bits with labels */
#define PROP_QUAL_ARRAY			0x0b

typedef struct RANGE {
	DWORD MinValue;
	DWORD MaxValue;
} RANGE, *LPRANGE;

typedef struct LABELED_BYTE {
	BYTE Value;
	LPSTR Label;
} LABELED_BYTE, *LPLABELED_BYTE;

typedef struct LABELED_WORD {
	WORD Value;
	LPSTR Label;
} LABELED_WORD, *LPLABELED_WORD;

typedef struct LABELED_DWORD {
	DWORD Value;
	LPSTR Label;
} LABELED_DWORD, *LPLABELED_DWORD;

typedef struct LABELED_LARGEINT {
	LARGE_INTEGER Value;
	LPSTR Label;
} LABELED_LARGEINT, *LPLABELED_LARGEINT;

typedef struct LABELED_SYSTEMTIME {
	SYSTEMTIME Value;
	LPSTR Label;
} LABELED_SYSTEMTIME, *LPLABELED_SYSTEMTIME;

typedef struct LABELED_BIT {
	BYTE BitNumber;			/* 0 is the lowest bit */
	LPSTR LabelOff;
	LPSTR LabelOn;
} LABELED_BIT, *LPLABELED_BIT;

#define TYPED_STRING_NORMAL	1
#define TYPED_STRING_UNICODE	2
#define TYPED_STRING_EXFLAG	1

__extension__ typedef struct TYPED_STRING {
	BYTE StringType : 7;		/* TYPED_STRING_NORMAL or TYPED_STRING_UNICODE */
	BYTE fStringEx : 1;		/* 1: the string is in Byte[]; 0: at lpString */
	LPSTR lpString;
	BYTE Byte[0];			/* not []: PROPERTYINSTEX has this struct in a union */
} TYPED_STRING, *LPTYPED_STRING;

typedef struct OBJECT_IDENTIFIER {
	DWORD Length;			/* number of entries at lpIdentifier */
	LPDWORD lpIdentifier;
} OBJECT_IDENTIFIER, *LPOBJECT_IDENTIFIER;

__extension__ typedef struct SET {
	DWORD nEntries;			/* of the table, whose type is PROPERTYINFO.DataType */
	union {
		LPVOID lpVoidTable;
		LPBYTE lpByteTable;
		LPWORD lpWordTable;
		LPDWORD lpDwordTable;
		LPLARGEINT lpLargeIntTable;
		LPSYSTEMTIME lpSystemTimeTable;
		LPLABELED_BYTE lpLabeledByteTable;
		LPLABELED_WORD lpLabeledWordTable;
		LPLABELED_DWORD lpLabeledDwordTable;
		LPLABELED_LARGEINT lpLabeledLargeIntTable;
		LPLABELED_SYSTEMTIME lpLabeledSystemTimeTable;
		LPLABELED_BIT lpLabeledBit;
	};
} SET, *LPSET;

__extension__ typedef struct PROPERTYINFO {
	HPROPERTY hProperty;
	DWORD Version;			/* 0 */
	LPSTR Label;			/* the property's name */
	LPSTR Comment;
	BYTE DataType;			/* PROP_TYPE_* */
	BYTE DataQualifier;		/* PROP_QUAL_* */
	union {
		LPVOID lpExtendedInfo;
		LPRANGE lpRange;
		LPSET lpSet;
		DWORD Bitmask;
		DWORD Value;
	};
	WORD FormatStringSize;		/* bytes that the formatted text needs */
	LPVOID InstanceData;		/* data that the parser defines */
} PROPERTYINFO, *LPPROPERTYINFO;

#define PROPERTYINFO_SIZE	sizeof(PROPERTYINFO)

/* The value of a property that differs from the bytes in the frame. */
__extension__ typedef struct PROPERTYINSTEX {
	WORD Length;			/* bytes at lpData */
	WORD LengthEx;			/* bytes of the union */
	ULPVOID lpData;			/* bytes of the property in the frame */
	union {
		BYTE Byte[1];
		WORD Word[1];
		DWORD Dword[1];
		LARGE_INTEGER LargeInt[1];
		SYSTEMTIME SysTime[1];
		TYPED_STRING TypedString;
	};
} PROPERTYINSTEX, *LPPROPERTYINSTEX;

typedef PROPERTYINSTEX NETMON_PROPERTYINSTEX NETMON_UNALIGNED;
typedef NETMON_PROPERTYINSTEX *ULPPROPERTYINSTEX;

#define PROPERTYINSTEX_SIZE	sizeof(PROPERTYINSTEX)

/* A property in a frame. */
__extension__ typedef struct PROPERTYINST {
	LPPROPERTYINFO lpPropertyInfo;
	LPSTR szPropertyText;		/* NULL until it is formatted */
	union {
		LPVOID lpData;		/* into the frame */
		ULPBYTE lpByte;
		ULPWORD lpWord;
		ULPDWORD lpDword;
		ULPLARGEINT lpLargeInt;
		ULPSYSTEMTIME lpSysTime;
		LPPROPERTYINSTEX lpPropertyInstEx;
	};
	WORD DataLength;		/* bytes at lpData; 0xffff: see lpPropertyInstEx */
	WORD Level : 4;			/* level of indentation */
	WORD HelpID : 12;
	DWORD IFlags;			/* IFLAG_* */
} PROPERTYINST;

#define PROPERTYINST_SIZE	sizeof(PROPERTYINST)

#define IFLAG_ERROR		0x1	/* the value is wrong */
#define IFLAG_SWAPPED		0x2	/* swap the bytes of the value: XCHG(), DXCHG() */
#define IFLAG_UNICODE		0x4	/* a string of 16-bit characters */

typedef struct PROPERTYINSTTABLE {
	WORD nPropertyInsts;
	WORD nPropertyInstIndex;	/* of the first property, from lpFirstPropertyInst on */
} PROPERTYINSTTABLE, *LPPROPERTYINSTTABLE;

#define PROPERTYINSTTABLE_SIZE	sizeof(PROPERTYINSTTABLE)

/* All properties of a frame. PropertyInstTable[] has an entry for each protocol. */
__extension__ typedef struct PROPERTYTABLE {
	LPVOID lpFormatBuffer;
	DWORD FormatBufferLength;	/* bytes */
	DWORD nTotalPropertyInsts;
	LPPROPERTYINST lpFirstPropertyInst;
	BYTE nPropertyInstTables;
	PROPERTYINSTTABLE PropertyInstTable[];
} PROPERTYTABLE;

#define PROPERTYTABLE_SIZE	sizeof(PROPERTYTABLE)

__extension__ typedef struct PROPERTYDATABASE {
	DWORD nProperties;
	LPPROPERTYINFO PropertyInfo[];
} PROPERTYDATABASE, *LPPROPERTYDATABASE;

#define PROPERTYDATABASE_SIZE	sizeof(PROPERTYDATABASE)

typedef struct PROTOCOLINFO {
	DWORD ProtocolID;
	LPPROPERTYDATABASE PropertyDatabase;
	BYTE ProtocolName[16];
	BYTE HelpFile[16];
	BYTE Comment[128];
} PROTOCOLINFO, *LPPROTOCOLINFO;

#define PROTOCOLINFO_SIZE	sizeof(PROTOCOLINFO)

typedef struct PROTOCOLTABLE {
	DWORD nProtocols;
	HPROTOCOL hProtocol[1];		/* nProtocols entries */
} PROTOCOLTABLE, *LPPROTOCOLTABLE;

typedef PROTOCOLTABLE PROTOCOLTABLETYPE, *LPPROTOCOLTABLETYPE;

/* Bytes of a table with @nElements entries; of an empty table; of the table at @p. */
#define GetTableSize(TableBaseSize, nElements, ElementSize) \
	((TableBaseSize) + ((nElements) * (ElementSize)))
#define PROTOCOLTABLE_SIZE	(sizeof(PROTOCOLTABLE) - sizeof(HPROTOCOL))
#define PROTOCOLTABLE_ACTUAL_SIZE(p) \
	GetTableSize(PROTOCOLTABLE_SIZE, (p)->nProtocols, sizeof(HPROTOCOL))

#define PROTOCOL_NUM_ANY	(-1)

/* Filters: a stack of values and operators in postfix order. */
typedef DWORD FILTERACTIONTYPE;
typedef DWORD VALUETYPE;
typedef LPSYSTEMTIME LPTIME;
typedef ULPSYSTEMTIME ULPTIME;

/*
 * FILTEROBJECT and FILTEROBJECT2 are one type [here]: Microsoft's pages have the first name,
 * and Microsoft's header the second.
 */
__extension__ typedef struct FILTEROBJECT2 {
	FILTERACTIONTYPE Action;	/* FILTERACTION_* */
	HPROPERTY hProperty;
	union {
		VALUETYPE Value;
		HPROTOCOL hProtocol;
		LPVOID lpArray;
		LPPROTOCOLTABLETYPE lpProtocolTable;
		LPADDRESS2 lpAddress;
		ULPLARGEINT lpLargeInt;
		ULPTIME lpTime;
		LPOBJECT_IDENTIFIER lpOID;
	};
	union {
		WORD ByteCount;		/* bytes at lpArray */
		WORD ByteOffset;	/* of the value in the property */
	};
	struct FILTEROBJECT2 *pNext;
} FILTEROBJECT2, *LPFILTEROBJECT2, FILTEROBJECT, *LPFILTEROBJECT;

#define FILTERINFO_SIZE		sizeof(FILTEROBJECT2)

/* Callback during a search for frames. */
typedef BOOL (WINAPI *STATUSPROC)(DWORD, HCAPTURE, HFILTER, LPVOID);

#define INVALIDELEMENT		(-1)
#define INVALIDVALUE		((VALUETYPE)-9999)
#define FILTER_FAIL_WITH_ERROR	(-1)
#define FILTER_PASSED		TRUE
#define FILTER_FAILED		FALSE
#define FILTER_NO_MORE_FRAMES	0xffffffff
#define FILTER_CANCELED		0xfffffffe
#define FILTER_DIRECTION_NEXT	TRUE
#define FILTER_DIRECTION_PREV	FALSE

/* NC: not case-sensitive */
#define FILTERACTION_INVALID		0
#define FILTERACTION_PROPERTY		1
#define FILTERACTION_VALUE		2
#define FILTERACTION_STRING		3
#define FILTERACTION_ARRAY		4
#define FILTERACTION_AND		5
#define FILTERACTION_OR			6
#define FILTERACTION_XOR		7
#define FILTERACTION_PROPERTYEXIST	8
#define FILTERACTION_CONTAINSNC		9
#define FILTERACTION_CONTAINS		10
#define FILTERACTION_NOT		11
#define FILTERACTION_EQUALNC		12
#define FILTERACTION_EQUAL		13
#define FILTERACTION_NOTEQUALNC		14
#define FILTERACTION_NOTEQUAL		15
#define FILTERACTION_GREATERNC		16
#define FILTERACTION_GREATER		17
#define FILTERACTION_LESSNC		18
#define FILTERACTION_LESS		19
#define FILTERACTION_GREATEREQUALNC	20
#define FILTERACTION_GREATEREQUAL	21
#define FILTERACTION_LESSEQUALNC	22
#define FILTERACTION_LESSEQUAL		23
#define FILTERACTION_PLUS		24
#define FILTERACTION_MINUS		25
#define FILTERACTION_ADDRESS		26
#define FILTERACTION_ADDRESSANY		27
#define FILTERACTION_FROM		28
#define FILTERACTION_TO			29
#define FILTERACTION_FROMTO		30
#define FILTERACTION_AREBITSON		31
#define FILTERACTION_AREBITSOFF		32
#define FILTERACTION_PROTOCOLSEXIST	33
#define FILTERACTION_PROTOCOLEXIST	34
#define FILTERACTION_ARRAYEQUAL		35
#define FILTERACTION_DEREFPROPERTY	36
#define FILTERACTION_LARGEINT		37
#define FILTERACTION_TIME		38
#define FILTERACTION_ADDR_ETHER		39
#define FILTERACTION_ADDR_TOKEN		40
#define FILTERACTION_ADDR_FDDI		41
#define FILTERACTION_ADDR_IPX		42
#define FILTERACTION_ADDR_IP		43
#define FILTERACTION_OID		44
#define FILTERACTION_OID_CONTAINS	45
#define FILTERACTION_OID_BEGINS_WITH	46
#define FILTERACTION_OID_ENDS_WITH	47
#define FILTERACTION_ADDR_VINES		48
#define FILTERACTION_ADDR_IP6		49
#define FILTERACTION_EXPRESSION		97
#define FILTERACTION_BOOL		98
#define FILTERACTION_NOEVAL		99

#pragma pack(pop)

/*
 * XCHG() and DXCHG() reverse the bytes of a WORD and of a DWORD, to convert between network
 * order and little-endian order. The result of DXCHG() is unsigned [here], like its argument.
 * SWAPBYTES() and SWAPWORDS() reverse the bytes of a variable.
 */
#define XCHG(x)		((WORD)((((WORD)(x)) << 8) | (((WORD)(x)) >> 8)))
#define DXCHG(x)	((((DWORD)XCHG((DWORD)(x) & 0xffff)) << 16) | XCHG((DWORD)(x) >> 16))
#define SWAPBYTES(w)	((w) = XCHG(w))
#define SWAPWORDS(d)	((d) = DXCHG(d))
#define LONIBBLE(b)	((BYTE)((b) & 0x0f))
#define HINIBBLE(b)	((BYTE)((b) >> 4))

/* A DWORD of four characters. The first character is the lowest byte. */
#ifndef MAKE_IDENTIFIER
#define MAKE_IDENTIFIER(a, b, c, d) \
	((DWORD)(BYTE)(a) | ((DWORD)(BYTE)(b) << 8) | \
	 ((DWORD)(BYTE)(c) << 16) | ((DWORD)(BYTE)(d) << 24))
#endif

/* The address of a property's value: in the frame, or in the property's PROPERTYINSTEX. */
static __inline__ LPVOID GetPropertyInstanceData(LPPROPERTYINST PropertyInst)
{
	if (PropertyInst->DataLength != 0xffff)
		return PropertyInst->lpData;
	return PropertyInst->lpPropertyInstEx->Byte;
}

#define GetPropertyInstanceDataValue(p, type) (((type *)GetPropertyInstanceData(p))[0])

/* The number of bytes that the property has in the frame. */
static __inline__ DWORD GetPropertyInstanceFrameDataLength(LPPROPERTYINST PropertyInst)
{
	if (PropertyInst->DataLength != 0xffff)
		return PropertyInst->DataLength;
	return PropertyInst->lpPropertyInstEx->Length;
}

/* The number of bytes in the property's PROPERTYINSTEX; 0xffff: the property has none. */
static __inline__ DWORD GetPropertyInstanceExDataLength(LPPROPERTYINST PropertyInst)
{
	if (PropertyInst->DataLength != 0xffff)
		return 0xffff;
	return PropertyInst->lpPropertyInstEx->LengthEx;
}

/* Convert error codes to HRESULT of COM: 0, or a failure with FACILITY_ITF. */
static __inline__ HRESULT NMERR_TO_HRESULT(DWORD nmerror)
{
	return nmerror == NMERR_SUCCESS ? 0 : (HRESULT)(0x80040000 | (nmerror & 0xffff));
}

static __inline__ DWORD HRESULT_TO_NMERR(HRESULT hResult)
{
	return (DWORD)hResult & 0xffff;
}

/*
 * The functions do not have the malloc attribute. With it, the compiler may assume that the
 * address of a new block differs from all old pointers. But a program may pass an old pointer
 * to this library, which returns an error for it.
 */
#ifdef __GNUC__
#define NETMON_ALLOCATES(size) __attribute__((__alloc_size__(size), __warn_unused_result__))
#define NETMON_EXPORTED __attribute__((__visibility__("default")))
#else
#define NETMON_ALLOCATES(size)
#define NETMON_EXPORTED
#endif

/**
 * ExpertAllocMemory() - allocate a block
 * @hExpertKey: the key that the host passed to Run() or Configure()
 * @nBytes: size in bytes; 0: a block with a unique address, which has to be freed [here]
 * @pError: receives the code, also NMERR_SUCCESS; may be NULL [here]
 *
 * The block is aligned to 16 bytes, and a block of 4,096 bytes or more to 4,096 bytes [here].
 * Its contents are not specified, but they are never data of another expert [here].
 *
 * Return: the block, or NULL with the code in *@pError [codes: here, but for EXPERT_TERMINATE]
 * * NMERR_INVALID_EXPERT_HANDLE - @hExpertKey is not the key of an open expert, or another
 *   process is the expert
 * * NMERR_OUT_OF_MEMORY - @nBytes is too large, the expert would exceed its limit, or the
 *   machine is out of memory
 * * NMERR_EXPERT_TERMINATE - the expert has to stop [MS]
 */
LPVOID WINAPI ExpertAllocMemory(HEXPERTKEY hExpertKey, SIZE_T nBytes, LPDWORD pError)
	NETMON_ALLOCATES(2);

/**
 * ExpertReallocMemory() - change the size of a block, and move it if necessary
 * @hExpertKey: the key that the host passed to Run() or Configure()
 * @pOriginalMemory: a block of this expert; NULL: allocate a block [here]
 * @nBytes: new size in bytes; 0: the block stays live, with 0 bytes [here]
 * @pError: receives the code, also NMERR_SUCCESS [here]; may be NULL [MS]
 *
 * The contents are kept, up to the smaller of the old and the new size. If the call fails, the
 * old block is unchanged and has to be freed [here].
 *
 * Return: the block, which may have another address than @pOriginalMemory, or NULL with the
 * code in *@pError [codes: here, but for EXPERT_TERMINATE]
 * * NMERR_INVALID_EXPERT_HANDLE - see ExpertAllocMemory()
 * * NMERR_INVALID_PARAMETER - @pOriginalMemory is not the start of a live block
 * * NMERR_ACCESS_DENIED - @pOriginalMemory is a live block of another expert
 * * NMERR_OUT_OF_MEMORY - see ExpertAllocMemory()
 * * NMERR_EXPERT_TERMINATE - the expert has to stop [MS]
 */
LPVOID WINAPI ExpertReallocMemory(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory,
				  SIZE_T nBytes, LPDWORD pError)
	NETMON_ALLOCATES(3);

/**
 * ExpertFreeMemory() - free a block
 * @hExpertKey: the key that the host passed to Run() or Configure()
 * @pMemory: a block of this expert; NULL: the call does nothing [here]
 *
 * If @pMemory is not a live block, the call returns an error and changes nothing [here]. But
 * an old pointer to a freed block is a live block if a new block has its address: the library
 * cannot find that double free.
 *
 * Return: a code, with the return type of Microsoft's page [codes: here, but for SUCCESS and
 * EXPERT_TERMINATE]
 * * NMERR_SUCCESS - the block is free [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - see ExpertAllocMemory()
 * * NMERR_INVALID_PARAMETER - @pMemory is not the start of a live block: it points into a
 *   block, was freed before, or was never a block
 * * NMERR_ACCESS_DENIED - @pMemory is a live block of another expert
 * * NMERR_EXPERT_TERMINATE - the block is free, or was reclaimed; the expert has to stop [MS]
 */
SIZE_T WINAPI ExpertFreeMemory(HEXPERTKEY hExpertKey, LPVOID pMemory);

/**
 * ExpertMemorySize() - get the size of a block
 * @hExpertKey: the key that the host passed to Run() or Configure()
 * @pOriginalMemory: a block of this expert
 *
 * Return: the number of bytes that were asked for; 0 if the key is bad, or if
 * @pOriginalMemory is not a live block of this expert [here]
 */
SIZE_T WINAPI ExpertMemorySize(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory);

/**
 * ExpertIndicateStatus() - report the progress of the expert to the host
 * @hExpertKey: the key that the host passed to Run()
 * @Status: status of the expert
 * @SubStatus: with EXPERTSTATUS_ABORTED one of EXPERTSUBSTATUS_ABORTED_*; else a value that
 *	the expert defines
 * @szText: a line for the user, cut to 255 bytes [here]; may be NULL [MS]
 * @PercentDone: percentage of the capture that is done, 0 to 99; other values leave the
 *	percentage unchanged, because only the host reports 100, after Run() [MS]
 *
 * An expert calls this function from time to time in Run().
 *
 * Return:
 * * NMERR_SUCCESS - the expert can go on [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - @hExpertKey is not the key of an open expert [here]
 * * NMERR_EXPERT_TERMINATE - the status was stored, and the expert has to stop [MS]
 */
DWORD WINAPI ExpertIndicateStatus(HEXPERTKEY hExpertKey, EXPERTSTATUSENUMERATION Status,
				  DWORD SubStatus, const char *szText, LONG PercentDone);

/**
 * ExpertGetStartupInfo() - get the start-up information of the expert
 * @hExpertKey: the key that the host passed to Run()
 * @pExpertStartupInfo: receives the start-up information; zeros if the host has none [here]
 *
 * Return: [codes: here, but for SUCCESS]
 * * NMERR_SUCCESS - @pExpertStartupInfo is filled in [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - @hExpertKey is not the key of an open expert
 * * NMERR_INVALID_PARAMETER - @pExpertStartupInfo is NULL
 * * NMERR_EXPERT_TERMINATE - @pExpertStartupInfo is filled in, and the expert has to stop
 */
DWORD WINAPI ExpertGetStartupInfo(HEXPERTKEY hExpertKey, PEXPERTSTARTUPINFO pExpertStartupInfo);

/**
 * ExpertGetFrame() - get a frame of the capture
 * @hExpertKey: the key that the host passed to Run()
 * @Direction: GET_SPECIFIED_FRAME, GET_FRAME_NEXT_FORWARD or GET_FRAME_NEXT_BACKWARD
 * @RequestFlags: FLAGS_DEFER_TO_UI_FILTER: only frames that pass the user's filter.
 *	FLAGS_ATTACH_PROPERTIES: get the table of properties, which is slow.
 *	FLAGS_NO_RECOGNIZE_DATA: get no table of protocols [here]
 * @RequestedFrameNumber: number of the frame, from 0 on; for the next frame, the number to
 *	start from, or INVALID_FRAME_NUMBER: start at the first or at the last frame
 * @hFilter: only frames that pass this filter, too; NULL: no filter
 * @pEFrameDescriptor: the expert's; receives the frame
 *
 * The next frame is the first one behind @RequestedFrameNumber, in the direction, that passes
 * the filters [here]. If the host has set EXPERTMEM_NEXT_AT, the frame @RequestedFrameNumber
 * itself is looked at, too. The user's filter is asked before @hFilter [MS].
 *
 * The frame can be read until the expert ends; a table of protocols or properties until 16 MiB of
 * other tables were made or used [here]. They are not to be written to: a write to the frame
 * raises SIGSEGV. The call sends no request to the engine if it gets no
 * filter and no FLAGS_ATTACH_PROPERTIES, and if it need not get a table of protocols: with
 * FLAGS_NO_RECOGNIZE_DATA, if the host wants none, or if the engine has none.
 *
 * Return: [codes: here, but for SUCCESS and EXPERT_TERMINATE]
 * * NMERR_SUCCESS - @pEFrameDescriptor is filled in [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - see ExpertAllocMemory()
 * * NMERR_INVALID_DATA - the engine's answer is inconsistent
 * * NMERR_INVALID_PARAMETER - @pEFrameDescriptor is NULL, or a direction or flag is unknown
 * * NMERR_INVALID_HCAPTURE - the host has given no capture to the expert
 * * NMERR_FRAME_NOT_FOUND - the capture has no frame @RequestedFrameNumber
 * * NMERR_NO_MORE_FRAMES - no further frame in this direction passes
 * * NMERR_FRAME_FAILED_FILTER - the specified frame does not pass
 * * NMERR_INVALID_HFILTER - @hFilter is not a filter of this expert
 * * NMERR_FILTER_INVALID_EXPRESSION - @hFilter has an object that cannot be evaluated, or the
 *   filter is incomplete
 * * NMERR_NOT_SUPPORTED - the engine has no properties, or cannot evaluate @hFilter
 * * NMERR_INTERNAL_EXCEPTION - a dissector has crashed; the frame is filled in, without tables
 * * NMERR_RUNAWAY_PROTOCOL - a dissector took more than two seconds; the frame is filled in,
 *   without tables
 * * NMERR_LOST_CONNECTION - the engine has ended, and no other one is started
 * * NMERR_OUT_OF_MEMORY - there is no memory for the tables, the filter or a search, or they
 *   would exceed the expert's limit; @pEFrameDescriptor is unchanged
 * * NMERR_EXPERT_TERMINATE - the expert has to stop [MS]
 */
DWORD WINAPI ExpertGetFrame(HEXPERTKEY hExpertKey, DWORD Direction, DWORD RequestFlags,
			    DWORD RequestedFrameNumber, HFILTER hFilter,
			    LPEXPERTFRAMEDESCRIPTOR pEFrameDescriptor);

/**
 * ExpertSubmitEvent() - report an event to the host
 * @hExpertKey: the key that the host passed to Run()
 * @pExpertEvent: the event. Version is 0, pszReserved and pvReserved are not used, and the
 *	texts and column names may be NULL
 *
 * The event is copied before the call returns, so the expert keeps its memory [MS]. An event has
 * at most 64 KiB: if it is larger, its longest texts are cut, and end with an ellipsis [here]. If
 * the host has not asked for events, they are dropped, and the call succeeds [here]. If many
 * events are unread, the call waits for the host [here].
 *
 * Return: [codes: here, but for SUCCESS and EXPERT_TERMINATE]
 * * NMERR_SUCCESS - the host has the event [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - see ExpertAllocMemory()
 * * NMERR_INVALID_PARAMETER - @pExpertEvent is NULL, its Version is not 0, or a column has an
 *   unknown type
 * * NMERR_EXPERT_REPORT_FAILED - the host has ended
 * * NMERR_EXPERT_TERMINATE - the event is dropped, and the expert has to stop [MS]
 */
DWORD WINAPI ExpertSubmitEvent(HEXPERTKEY hExpertKey, PNMEVENTDATA pExpertEvent);

/*
 * The functions below get handles: of a capture, from EXPERTSTARTUPINFO.hCapture or
 * GetFrameCaptureHandle(), and of a frame, from ExpertGetFrame() or GetFrame(). A handle is a
 * number that stays valid until the expert ends. If a function fails, BhGetLastError() returns
 * the code in the calling thread [here]. The functions do not tell the expert that it has to
 * stop, unless they ask the engine.
 */

/**
 * BhGetLastError() - get the code of the last call of this thread that failed
 *
 * Calls that return a code do not set it, nor do calls that succeed [here].
 *
 * Return: an NMERR_ code; NMERR_SUCCESS if no call has failed
 */
DWORD WINAPI BhGetLastError(void);

/**
 * BhSetLastError() - set the code that BhGetLastError() returns in this thread
 * @Error: the code
 *
 * Return: the code before [here]
 */
DWORD WINAPI BhSetLastError(DWORD Error);

/**
 * GetCaptureTotalFrames() - count the frames of a capture
 * @hCapture: the capture
 *
 * Return: the number of frames; 0 if there are none, or on an error [MS]
 * * NMERR_INVALID_HCAPTURE - @hCapture is not a capture of an open expert [here]
 */
DWORD WINAPI GetCaptureTotalFrames(HCAPTURE hCapture);

/**
 * GetCaptureTimeStamp() - get the time at which a capture started
 * @hCapture: the capture
 *
 * Return: the time of the first frame in UTC [here], valid until the expert ends; NULL on an error
 * * NMERR_INVALID_HCAPTURE - @hCapture is not a capture of an open expert [here]
 */
LPSYSTEMTIME WINAPI GetCaptureTimeStamp(HCAPTURE hCapture);

/**
 * GetCaptureMacType() - get the link type of a capture
 * @hCapture: the capture
 *
 * Return: MAC_TYPE_* of all frames; MAC_TYPE_UNKNOWN if frames differ [here], or on an error
 * * NMERR_INVALID_HCAPTURE - @hCapture is not a capture of an open expert [here]
 */
DWORD WINAPI GetCaptureMacType(HCAPTURE hCapture);

/**
 * GetCaptureComment() - get the comment of a capture
 * @hCapture: the capture
 *
 * Return: the comment, cut to 1,023 bytes, and "" if there is none [here], valid until the expert
 * ends; NULL on an error
 * * NMERR_INVALID_HCAPTURE - @hCapture is not a capture of an open expert [here]
 */
LPSTR WINAPI GetCaptureComment(HCAPTURE hCapture);

/**
 * GetCaptureCommentFromFilename() - read the comment of a capture file
 * @lpFilename: path of the file
 * @lpComment: receives the comment, or "" if there is none; cut to the size of the buffer [here]
 * @BufferSize: bytes of the buffer
 *
 * An engine reads the whole file meanwhile [here].
 *
 * Return: [codes: MS, unless marked]
 * * NMERR_SUCCESS - @lpComment is filled in
 * * NMERR_INVALID_PARAMETER - an argument is NULL, or @BufferSize is 0
 * * NMERR_FILE_NOT_FOUND - there is no such file
 * * NMERR_FILE_READ_ERROR - the file cannot be opened, or is no regular file
 * * NMERR_INVALID_FILE_FORMAT - the file is no capture
 * * NMERR_NOT_SUPPORTED - no engine is installed [here]
 * * NMERR_OUT_OF_MEMORY - the process has no more memory, or no more descriptors [here]
 * * NMERR_LOST_CONNECTION - the engine has ended [here]
 * * NMERR_EXPERT_TERMINATE - the expert that called from this thread last has to stop [here]
 */
DWORD WINAPI GetCaptureCommentFromFilename(LPSTR lpFilename, LPSTR lpComment, DWORD BufferSize);

/**
 * GetFrame() - get the handle of a frame
 * @hCapture: the capture
 * @FrameNumber: number of the frame, from 0 on
 *
 * Return: the handle; NULL on an error
 * * NMERR_INVALID_HCAPTURE - @hCapture is not a capture of an open expert [here]
 * * NMERR_FRAME_NOT_FOUND - the capture has no such frame [here]
 */
HFRAME WINAPI GetFrame(HCAPTURE hCapture, DWORD FrameNumber);

/**
 * ModifyFrame() - replace a frame, which this library refuses: captures are read-only [here]
 * @hCapture: not used
 * @FrameNumber: not used
 * @FrameData: not used
 * @FrameLength: not used
 * @TimeStamp: not used
 *
 * Return: NULL
 * * NMERR_NOT_SUPPORTED - always
 */
HFRAME WINAPI ModifyFrame(HCAPTURE hCapture, DWORD FrameNumber, LPBYTE FrameData,
			  DWORD FrameLength, int64_t TimeStamp);

/**
 * GetFrameCaptureHandle() - get the capture of a frame
 * @hFrame: the frame
 *
 * Return: the handle of the capture; NULL on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
HCAPTURE WINAPI GetFrameCaptureHandle(HFRAME hFrame);

/**
 * GetFrameNumber() - get the number of a frame
 * @hFrame: the frame
 *
 * Return: the number, from 0 on; INVALID_FRAME_NUMBER on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
DWORD WINAPI GetFrameNumber(HFRAME hFrame);

/**
 * GetFrameFromFrameHandle() - get the header and the bytes of a frame
 * @hFrame: the frame
 *
 * Return: the frame, which is read-only and valid until the expert ends; NULL on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
ULPFRAME WINAPI GetFrameFromFrameHandle(HFRAME hFrame);

/**
 * ParserTemporaryLockFrame() - get the bytes of a frame
 * @hFrame: the frame
 *
 * Return: the first of the bytes, which are read-only and valid until the expert ends [here]; NULL
 * on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
ULPBYTE WINAPI ParserTemporaryLockFrame(HFRAME hFrame);

/**
 * GetFrameRecognizeData() - get the table of the protocols that were found in a frame
 * @hFrame: the frame
 *
 * Return: the table, which is valid as that of ExpertGetFrame() is; NULL on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 * * NMERR_NOT_SUPPORTED - the engine finds no protocols [here]
 */
LPRECOGNIZEDATATABLE WINAPI GetFrameRecognizeData(HFRAME hFrame);

/**
 * GetFrameLength() - get the length of a frame on the wire
 * @hFrame: the frame
 *
 * Return: the length in bytes; 0 on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
DWORD WINAPI GetFrameLength(HFRAME hFrame);

/**
 * GetFrameStoredLength() - get the number of bytes of a frame that were captured
 * @hFrame: the frame
 *
 * Return: the number of bytes; 0 on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
DWORD WINAPI GetFrameStoredLength(HFRAME hFrame);

/**
 * GetFrameTimeStamp() - get the time of a frame
 * @hFrame: the frame
 *
 * Return: microseconds since the capture started; nanoseconds are cut off [here]; -1 on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
int64_t WINAPI GetFrameTimeStamp(HFRAME hFrame);

/**
 * GetFrameMacType() - get the link type of a frame
 * @hFrame: the frame
 *
 * Return: MAC_TYPE_*; MAC_TYPE_UNKNOWN if it has another link type, or on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
DWORD WINAPI GetFrameMacType(HFRAME hFrame);

/**
 * GetFrameMacHeaderLength() - get the length of the link header of a frame
 * @hFrame: the frame
 *
 * Return: the length in bytes, with the routing information of token ring, without LLC, SNAP and
 * VLAN tags [here]; 0 if the link type is not Ethernet, token ring or FDDI, or on an error
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 */
DWORD WINAPI GetFrameMacHeaderLength(HFRAME hFrame);

/**
 * GetFrameSrcAddressOffset() - find the source address of a frame
 * @hFrame: the frame
 * @AddressType: ADDRESS_TYPE_ETHERNET, TOKENRING, FDDI, IP, IP6 [here], IPX, XNS, VINES_IP, or
 *	FIND_HIGHEST [here], see GetFrameSourceAddress()
 * @AddressLength: receives the length of the address in bytes; may be NULL [here]
 *
 * The address is that of the link header, or of the packet right behind it. VLAN tags, LLC,
 * SNAP, PPPoE and MPLS may be in between [here].
 *
 * Return: the offset of the address in the frame, in bytes; (DWORD)-1 on an error [MS]
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 * * NMERR_PROTOCOL_NOT_FOUND - the frame has no such address, or it was not captured [here]
 */
DWORD WINAPI GetFrameSrcAddressOffset(HFRAME hFrame, DWORD AddressType, LPDWORD AddressLength);

/**
 * GetFrameDstAddressOffset() - find the destination address of a frame
 * @hFrame: the frame
 * @AddressType: see GetFrameSrcAddressOffset()
 * @AddressLength: receives the length of the address in bytes; may be NULL [here]
 *
 * Return: the offset of the address in the frame, in bytes; (DWORD)-1 on an error [MS]
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 * * NMERR_PROTOCOL_NOT_FOUND - the frame has no such address, or it was not captured [here]
 */
DWORD WINAPI GetFrameDstAddressOffset(HFRAME hFrame, DWORD AddressType, LPDWORD AddressLength);

/**
 * GetFrameSourceAddress() - get the source address of a frame
 * @hFrame: the frame
 * @lpAddress: receives the address, with @Flags in its member Flags [here]; unchanged on an error
 * @AddressType: as of GetFrameSrcAddressOffset(). FIND_HIGHEST: that of IPX, XNS, IP, IP6 [here] or
 *	VINES, or else of the link
 * @Flags: ADDRESSTYPE_FLAGS_NORMALIZE: clear the routing bit or group bit of a link address.
 *	ADDRESSTYPE_FLAGS_BIT_REVERSE: reverse the bits of each byte of a token ring address
 *
 * Return:
 * * NMERR_SUCCESS - @lpAddress is filled in [MS]
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [MS]
 * * NMERR_PROTOCOL_NOT_FOUND - the frame has no such address [MS], or it was not captured [here]
 * * NMERR_INVALID_PARAMETER - @lpAddress is NULL, or a flag is unknown [here]
 */
DWORD WINAPI GetFrameSourceAddress(HFRAME hFrame, LPADDRESS2 lpAddress, DWORD AddressType,
				   DWORD Flags);

/**
 * GetFrameDestAddress() - get the destination address of a frame
 * @hFrame: the frame
 * @lpAddress: see GetFrameSourceAddress()
 * @AddressType: see GetFrameSourceAddress()
 * @Flags: see GetFrameSourceAddress()
 *
 * Return:
 * * NMERR_SUCCESS - @lpAddress is filled in [MS]
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [MS]
 * * NMERR_PROTOCOL_NOT_FOUND - the frame has no such address [MS], or it was not captured [here]
 * * NMERR_INVALID_PARAMETER - @lpAddress is NULL, or a flag is unknown [here]
 */
DWORD WINAPI GetFrameDestAddress(HFRAME hFrame, LPADDRESS2 lpAddress, DWORD AddressType,
				 DWORD Flags);

/**
 * CompareAddresses() - compare two addresses
 * @lpAddress1: the first address
 * @lpAddress2: the second address
 *
 * The types are compared first, and then the bytes of the address; not the flags [here].
 *
 * Return: 0 if the addresses are equal; less than 0 if the first one is less; greater than 0 if it
 * is greater [MS]. NULL is less than an address [here]
 * * NMERR_INVALID_PARAMETER - an argument is NULL [here]
 */
int WINAPI CompareAddresses(LPADDRESS2 lpAddress1, LPADDRESS2 lpAddress2);

/**
 * CompareFrameSourceAddress() - compare the source address of a frame with an address
 * @hFrame: the frame
 * @lpAddress: the address. The frame's address of this type is changed as the member Flags
 *	says, before it is compared [here]
 *
 * Return: TRUE if they are equal; else FALSE
 * * NMERR_SUCCESS - the frame's address differs [here]
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 * * NMERR_PROTOCOL_NOT_FOUND - the frame has no address of this type [here]
 * * NMERR_INVALID_PARAMETER - @lpAddress is NULL, or of the type FIND_HIGHEST [here]
 */
BOOL WINAPI CompareFrameSourceAddress(HFRAME hFrame, LPADDRESS2 lpAddress);

/**
 * CompareFrameDestAddress() - compare the destination address of a frame with an address
 * @hFrame: the frame
 * @lpAddress: see CompareFrameSourceAddress()
 *
 * Return: TRUE if they are equal; else FALSE
 * * NMERR_SUCCESS - the frame's address differs [here]
 * * NMERR_INVALID_HFRAME - @hFrame is not a frame of an open expert [here]
 * * NMERR_PROTOCOL_NOT_FOUND - the frame has no address of this type [here]
 * * NMERR_INVALID_PARAMETER - @lpAddress is NULL, or of the type FIND_HIGHEST [here]
 */
BOOL WINAPI CompareFrameDestAddress(HFRAME hFrame, LPADDRESS2 lpAddress);

/**
 * FindNextFrame() - find the next frame with a protocol and with addresses
 * @hCurrentFrame: the frame behind which the search begins
 * @ProtocolName: name of the protocol, as of GetProtocolFromName()
 * @lpDestAddress: the frame must have this destination, see CompareFrameDestAddress(); NULL: any
 * @lpSrcAddress: the frame must have this source; NULL: any
 * @ProtocolOffset: receives the offset of the protocol in the frame; may be NULL [here]
 * @OriginalFrameNumber: the search ends 1,000 frames behind this one
 * @nHighestFrame: the last frame to look at
 *
 * Return: the handle of the frame; NULL on an error
 * * NMERR_FRAME_NOT_FOUND - no such frame was found [here]
 * * NMERR_INVALID_HFRAME - @hCurrentFrame is not a frame of an open expert [here]
 * * NMERR_INVALID_PARAMETER - @ProtocolName is NULL [here]
 * * NMERR_PROTOCOL_NOT_FOUND - no protocol has this name [here]
 * * NMERR_NOT_SUPPORTED - the engine finds no protocols [here]
 * * NMERR_LOST_CONNECTION - the engine has ended for good [here]
 * * NMERR_OUT_OF_MEMORY - the table of protocols would exceed the expert's limit [here]
 * * NMERR_EXPERT_TERMINATE - the expert has to stop [here]
 */
HFRAME WINAPI FindNextFrame(HFRAME hCurrentFrame, LPSTR ProtocolName, LPADDRESS2 lpDestAddress,
			    LPADDRESS2 lpSrcAddress, LPWORD ProtocolOffset,
			    DWORD OriginalFrameNumber, DWORD nHighestFrame);

/**
 * FindPreviousFrame() - find the previous frame with a protocol and with addresses
 * @hCurrentFrame: the frame before which the search begins
 * @ProtocolName: see FindNextFrame()
 * @lpDstAddress: see FindNextFrame()
 * @lpSrcAddress: see FindNextFrame()
 * @ProtocolOffset: see FindNextFrame()
 * @OriginalFrameNumber: the search ends 1,000 frames before this one
 * @nLowestFrame: the first frame to look at
 *
 * Return: the handle of the frame; NULL on an error
 * * NMERR_FRAME_NOT_FOUND - no such frame was found [here]
 * * NMERR_INVALID_HFRAME - @hCurrentFrame is not a frame of an open expert [here]
 * * NMERR_INVALID_PARAMETER - @ProtocolName is NULL [here]
 * * NMERR_PROTOCOL_NOT_FOUND - no protocol has this name [here]
 * * NMERR_NOT_SUPPORTED - the engine finds no protocols [here]
 * * NMERR_LOST_CONNECTION - the engine has ended for good [here]
 * * NMERR_OUT_OF_MEMORY - the table of protocols would exceed the expert's limit [here]
 * * NMERR_EXPERT_TERMINATE - the expert has to stop [here]
 */
HFRAME WINAPI FindPreviousFrame(HFRAME hCurrentFrame, LPSTR ProtocolName,
				LPADDRESS2 lpDstAddress, LPADDRESS2 lpSrcAddress,
				LPWORD ProtocolOffset, DWORD OriginalFrameNumber,
				DWORD nLowestFrame);

/**
 * MacTypeToAddressType() - convert a link type to the type of its addresses
 * @MacType: MAC_TYPE_ETHERNET, TOKENRING, FDDI, or ATM or 1394 [here]
 *
 * Return: ADDRESS_TYPE_*; (DWORD)-1 if the link type is unknown [MS]
 * * NMERR_UNKNOWN_MACTYPE - @MacType is none of those [here]
 */
DWORD WINAPI MacTypeToAddressType(DWORD MacType);

/**
 * AddressToString() - write a link address as text
 * @string: receives 12 hexadecimal digits and a null [here]
 * @lpAddress: MAC_ADDRESS_SIZE bytes [here]
 *
 * Return: @string; NULL on an error
 * * NMERR_INVALID_PARAMETER - an argument is NULL [here]
 */
LPSTR WINAPI AddressToString(LPSTR string, BYTE *lpAddress);

/**
 * StringToAddress() - read a link address from text
 * @lpAddress: receives MAC_ADDRESS_SIZE bytes [here]; unchanged on an error
 * @string: 12 hexadecimal digits; a colon or a hyphen may be between two bytes [here]
 *
 * Return: @lpAddress; NULL on an error
 * * NMERR_INVALID_PARAMETER - an argument is NULL, or @string is no address [here]
 */
LPBYTE WINAPI StringToAddress(BYTE *lpAddress, LPSTR string);

/**
 * LookupByteSetString() - find the label of a value in a set of LABELED_BYTE
 * @lpSet: the set
 * @Value: the value
 *
 * Return: the label, which is a string; NULL on an error
 * * NMERR_OUT_OF_RANGE - the set does not have this value [here]
 * * NMERR_INVALID_PARAMETER - @lpSet or its table is NULL [here]
 */
LPBYTE WINAPI LookupByteSetString(LPSET lpSet, BYTE Value);

/**
 * LookupWordSetString() - find the label of a value in a set of LABELED_WORD
 * @lpSet: the set
 * @Value: the value
 *
 * Return: the label, which is a string; NULL on an error
 * * NMERR_OUT_OF_RANGE - the set does not have this value [here]
 * * NMERR_INVALID_PARAMETER - @lpSet or its table is NULL [here]
 */
LPBYTE WINAPI LookupWordSetString(LPSET lpSet, WORD Value);

/**
 * LookupDwordSetString() - find the label of a value in a set of LABELED_DWORD
 * @lpSet: the set
 * @Value: the value
 *
 * Return: the label, which is a string; NULL on an error
 * * NMERR_OUT_OF_RANGE - the set does not have this value [here]
 * * NMERR_INVALID_PARAMETER - @lpSet or its table is NULL [here]
 */
LPBYTE WINAPI LookupDwordSetString(LPSET lpSet, DWORD Value);

/**
 * VarLenSmallIntToDword() - convert an integer of PROP_TYPE_VAR_LEN_SMALL_INT
 * @pValue: the integer
 * @ValueLen: its length in bytes, 1 to 8 [here]
 * @fIsByteswapped: TRUE: the first byte is the highest one, see IFLAG_SWAPPED; FALSE: the lowest
 * @lpDword: receives the integer; unchanged on an error
 *
 * Return: @lpDword; NULL on an error
 * * NMERR_OUT_OF_RANGE - the integer is too large for a DWORD [here]
 * * NMERR_INVALID_PARAMETER - a pointer is NULL, or @ValueLen is wrong [here]
 */
LPDWORD WINAPI VarLenSmallIntToDword(LPBYTE pValue, WORD ValueLen, BOOL fIsByteswapped,
				     LPDWORD lpDword);

/* ------------------------------------------------- Protocols, properties and filters */

/*
 * A protocol is a dissector of Wireshark, and a property is one of its fields. Their handles are
 * numbers, which stay valid until the expert ends. A call that returns NULL, 0 or -1 stores the
 * reason for BhGetLastError() of the thread. These calls need a capture whose engine is
 * Wireshark's; with the other engine they fail with NMERR_NOT_SUPPORTED [here].
 *
 * Each of these calls can fail with the following codes, too [here]:
 *
 * * NMERR_INVALID_EXPERT_HANDLE - the expert was closed
 * * NMERR_EXPERT_TERMINATE - the expert has to stop
 * * NMERR_OUT_OF_MEMORY - the expert would exceed its limit
 * * NMERR_LOST_CONNECTION - the engine has ended
 * * NMERR_INVALID_DATA - the engine's answer is inconsistent
 */

/**
 * GetProtocolFromName() - get the handle of a protocol
 * @ProtocolName: Network Monitor's or Wireshark's name, such as "TCP", "ARP_RARP" or "tcp"
 *
 * The name is looked up in the capture that the calling thread has used last, or else in the first
 * one of the process [here].
 *
 * Return: the handle; NULL if there is no such protocol [MS]. Codes [here]:
 * * NMERR_PROTOCOL_NOT_FOUND - no protocol has this name
 * * NMERR_INVALID_HCAPTURE - the process has no capture
 * * NMERR_INVALID_PARAMETER - @ProtocolName is NULL
 * * NMERR_NOT_SUPPORTED - the engine has no protocols
 */
HPROTOCOL WINAPI GetProtocolFromName(LPSTR ProtocolName);

/**
 * GetProtocolInfo() - get the description of a protocol
 * @hProtocol: handle of the protocol
 *
 * The description belongs to the library, and stays until the expert ends. HelpFile is "". Comment
 * is the full name, cut to 127 bytes. PropertyDatabase has all properties of the protocol; it is
 * NULL if there are more than 1,024, or if the expert's limit has no room for them [here].
 *
 * Return: the description; NULL on failure [MS]. Codes [here]:
 * * NMERR_INVALID_HPROTOCOL - @hProtocol is no handle of a protocol
 */
LPPROTOCOLINFO WINAPI GetProtocolInfo(HPROTOCOL hProtocol);

/**
 * GetEnabledProtocols() - get the handles of all protocols
 * @hCapture: handle of the capture
 *
 * The table belongs to the library, and stays until the expert ends [here].
 *
 * Return: the table; NULL on failure [MS]. Codes [here]:
 * * NMERR_INVALID_HCAPTURE - @hCapture is no handle of a capture
 * * NMERR_NOT_SUPPORTED - the engine has no protocols
 */
LPPROTOCOLTABLE WINAPI GetEnabledProtocols(HCAPTURE hCapture);

/**
 * GetProtocolStartOffset() - find where a protocol begins in a frame
 * @hFrame: handle of the frame
 * @ProtocolName: name of the protocol, as of GetProtocolFromName()
 *
 * Return: the offset of the first such protocol, in bytes from the start of the frame; (DWORD)-1 if
 * there is none, or if it begins behind byte 65,534 [MS: -1 on one of two pages]. Codes [here]:
 * * NMERR_PROTOCOL_NOT_FOUND - the frame does not have the protocol, or no protocol has this name
 * * NMERR_INVALID_HFRAME - @hFrame is no handle of a frame
 * * NMERR_INVALID_PARAMETER - @ProtocolName is NULL
 * * NMERR_NOT_SUPPORTED - the engine has no protocols
 * * NMERR_INTERNAL_EXCEPTION - the dissection of the frame crashed
 * * NMERR_RUNAWAY_PROTOCOL - the dissection of the frame took more than two seconds
 */
DWORD WINAPI GetProtocolStartOffset(HFRAME hFrame, LPSTR ProtocolName);

/**
 * GetProtocolStartOffsetHandle() - find where a protocol begins in a frame
 * @hFrame: handle of the frame
 * @hProtocol: handle of the protocol
 *
 * Return: as GetProtocolStartOffset(); with these codes [here]:
 * * NMERR_PROTOCOL_NOT_FOUND - the frame does not have the protocol
 * * NMERR_INVALID_HFRAME - @hFrame is no handle of a frame
 * * NMERR_INVALID_HPROTOCOL - @hProtocol is no handle of a protocol of this expert
 * * NMERR_NOT_SUPPORTED - the engine has no protocols
 * * NMERR_INTERNAL_EXCEPTION - the dissection of the frame crashed
 * * NMERR_RUNAWAY_PROTOCOL - the dissection of the frame took more than two seconds
 */
DWORD WINAPI GetProtocolStartOffsetHandle(HFRAME hFrame, HPROTOCOL hProtocol);

/**
 * GetPreviousProtocolOffsetByName() - find a protocol before an offset of a frame
 * @hFrame: handle of the frame
 * @dwStartOffset: offset in bytes from the start of the frame
 * @szProtocolName: name of the protocol, as of GetProtocolFromName()
 * @pdwPreviousOffset: receives the highest offset of such a protocol that is less than
 *	@dwStartOffset [here]; unchanged on failure
 *
 * Return: [codes: here, but for the first two]
 * * NMERR_SUCCESS - the protocol was found [MS]
 * * NMERR_PROTOCOL_NOT_FOUND - no such protocol begins before @dwStartOffset, or no protocol has
 *   this name [MS]
 * * NMERR_INVALID_HFRAME - @hFrame is no handle of a frame
 * * NMERR_INVALID_PARAMETER - a pointer is NULL
 * * NMERR_NOT_SUPPORTED - the engine has no protocols
 * * NMERR_INTERNAL_EXCEPTION - the dissection of the frame crashed
 * * NMERR_RUNAWAY_PROTOCOL - the dissection of the frame took more than two seconds
 */
DWORD WINAPI GetPreviousProtocolOffsetByName(HFRAME hFrame, DWORD dwStartOffset,
					     LPSTR szProtocolName, DWORD *pdwPreviousOffset);

/**
 * GetProperty() - get the handle of a property
 * @hProtocol: handle of the protocol
 * @PropertyName: Network Monitor's name of the property, such as "Checksum"; or Wireshark's, such
 *	as "Source Port" or "tcp.srcport"
 *
 * If several fields of the protocol have this name, the handle is that of the one whose Wireshark
 * name has the fewest dots. FindPropertyInstance() finds instances of all of them [here].
 *
 * Return: the handle; 0 if there is no such property [MS]. Codes [here]:
 * * NMERR_PROPERTY_NOT_FOUND - the protocol has no property of this name
 * * NMERR_INVALID_HPROTOCOL - @hProtocol is no handle of a protocol
 * * NMERR_INVALID_PARAMETER - @PropertyName is NULL
 */
HPROPERTY WINAPI GetProperty(HPROTOCOL hProtocol, LPSTR PropertyName);

/**
 * GetPropertyInfo() - get the description of a property
 * @hProperty: handle of the property
 *
 * The description belongs to the library, and stays until the expert ends. InstanceData is the
 * address of FormatPropertyInstance(), as the reference asks of parsers [here].
 *
 * Return: the description; NULL on failure [MS]. Codes [here]:
 * * NMERR_INVALID_HPROPERTY - @hProperty is no handle of a property
 */
LPPROPERTYINFO WINAPI GetPropertyInfo(HPROPERTY hProperty);

/**
 * FindPropertyInstance() - find the first instance of a property in a frame
 * @hFrame: handle of the frame
 * @hProperty: handle of the property
 *
 * The frame need not have its properties attached [MS: the handle can come from GetFrame()].
 * Properties that Wireshark hides are found, too [here]. The instance is in memory of the
 * library. It stays valid until the expert has got properties of some 4,000 other frames, or
 * exactly: 16 MiB of them [here].
 *
 * Return: the instance; NULL if there is none [MS]. Codes [here]:
 * * NMERR_PROPERTY_NOT_FOUND - the frame does not have the property
 * * NMERR_INVALID_HFRAME - @hFrame is no handle of a frame
 * * NMERR_INVALID_HPROPERTY - @hProperty is no handle of a property of this expert
 * * NMERR_NOT_SUPPORTED - the engine has no properties
 * * NMERR_INTERNAL_EXCEPTION - the dissection of the frame crashed
 * * NMERR_RUNAWAY_PROTOCOL - the dissection of the frame took more than two seconds
 */
LPPROPERTYINST WINAPI FindPropertyInstance(HFRAME hFrame, HPROPERTY hProperty);

/**
 * FindPropertyInstanceRestart() - find the next instance of a property in a frame
 * @hFrame: handle of the frame
 * @hProperty: handle of the property
 * @lpRestartKey: the instance behind or before which the search begins. NULL, or NULL in
 *	*@lpRestartKey: the search begins at the start or at the end of the frame [MS].
 *	*@lpRestartKey receives the instance that is found; unchanged on failure [here]
 * @DirForward: TRUE: towards the end of the frame; FALSE: towards the start
 *
 * If the handle stands for several fields, the instances of its own field come first, then those
 * of the others, one field after the other [here].
 *
 * Return: the instance; NULL if there is none [MS]. Codes [here]: as FindPropertyInstance(), and
 * * NMERR_PROPERTY_NOT_FOUND - there is no further instance
 * * NMERR_INVALID_HFRAME - @hFrame is no handle of a frame
 * * NMERR_INVALID_HPROPERTY - @hProperty is no handle of a property of this expert
 * * NMERR_INVALID_PARAMETER - *@lpRestartKey is no instance of this property in this frame
 * * NMERR_NOT_SUPPORTED - the engine has no properties
 * * NMERR_INTERNAL_EXCEPTION - the dissection of the frame crashed
 * * NMERR_RUNAWAY_PROTOCOL - the dissection of the frame took more than two seconds
 */
LPPROPERTYINST WINAPI FindPropertyInstanceRestart(HFRAME hFrame, HPROPERTY hProperty,
						  LPPROPERTYINST *lpRestartKey,
						  BOOL DirForward);

/**
 * GetPropertyText() - write a property as text
 * @hFrame: handle of the frame
 * @lpPI: an instance of the frame
 * @szBuffer: receives the text with its null
 * @BufferSize: size of @szBuffer in bytes
 *
 * The text is that of FormatPropertyInstance(). If the buffer is too small, the text is cut at the
 * end of a character, and BhGetLastError() says NMERR_BUFFER_TOO_SMALL [here].
 *
 * Return: @szBuffer; NULL on failure [MS]. Codes [here]:
 * * NMERR_SUCCESS - the buffer has the whole text
 * * NMERR_BUFFER_TOO_SMALL - the buffer has the start of the text; the call returns @szBuffer
 * * NMERR_INVALID_HFRAME - @hFrame is no handle of a frame
 * * NMERR_INVALID_PARAMETER - a pointer is NULL, or @BufferSize is 0
 */
LPSTR WINAPI GetPropertyText(HFRAME hFrame, LPPROPERTYINST lpPI, LPSTR szBuffer,
			     DWORD BufferSize);

/**
 * FormatPropertyInstance() - store the text of a property in the instance
 * @lpPropertyInst: the instance; szPropertyText receives the address of the text [MS]
 *
 * The text is the label, " = ", and what the reference tables as output of the generic
 * formatter: "Source Port = 80 (0x50)". If szPropertyText is not NULL, nothing is done [here]. The
 * text is freed with the instance. If @lpPropertyInst is a copy that the expert has made, the
 * expert frees the text by ExpertFreeMemory() [here].
 *
 * Return: [codes: here, but for SUCCESS]
 * * NMERR_SUCCESS - the instance has its text [MS]
 * * NMERR_INVALID_PARAMETER - @lpPropertyInst is NULL, or has no description
 * * NMERR_INVALID_HCAPTURE - the process has no capture
 */
DWORD FormatPropertyInstance(LPPROPERTYINST lpPropertyInst, ...);

/**
 * CreateFilter() - make an empty filter
 *
 * The filter belongs to the expert whose capture the calling thread has used last, or else to the
 * first one of the process [here].
 *
 * Return: the filter's handle; NULL on failure. Codes [here]:
 * * NMERR_INVALID_HCAPTURE - the process has no capture
 */
HFILTER WINAPI CreateFilter(void);

/**
 * DestroyFilter() - free a filter
 * @hFilter: handle of the filter, which is never valid again
 *
 * Return: [codes: here]
 * * NMERR_SUCCESS - the filter is free
 * * NMERR_INVALID_HFILTER - @hFilter is no handle of a filter
 */
DWORD WINAPI DestroyFilter(HFILTER hFilter);

/**
 * FilterAddObject() - add an operator, a value or a property to a filter
 * @hFilter: handle of the filter
 * @lpFilterObject: the object; it and what it points to are copied [here]
 *
 * The objects of a filter are in postfix order [MS]. They are translated into a display filter of
 * Wireshark when the filter is used first; see CreateFilter(3) for each FILTERACTION_ [here].
 *
 * Return:
 * * NMERR_SUCCESS - the object was added [MS]
 * * NMERR_INVALID_PARAMETER - @hFilter is no handle of a filter [MS], @lpFilterObject is NULL, or
 *   what its action needs is NULL [here]
 * * NMERR_OUT_OF_MEMORY - there is no memory for the object [MS]
 * * NMERR_STACK_OVERFLOW - the filter has 1,024 objects [here]
 */
DWORD WINAPI FilterAddObject(HFILTER hFilter, LPFILTEROBJECT2 lpFilterObject);

/**
 * FilterDuplicate() - make a filter with the objects of another one
 * @hFilter: handle of the filter
 *
 * Return: the new filter's handle; NULL on failure. Codes [here]:
 * * NMERR_INVALID_HFILTER - @hFilter is no handle of a filter
 */
HFILTER WINAPI FilterDuplicate(HFILTER hFilter);

/**
 * FilterFrame() - find out whether a frame passes a filter
 * @hFrame: handle of the frame
 * @hFilter: handle of the filter
 * @hCapture: handle of the frame's capture
 *
 * Return: FILTER_PASSED, FILTER_FAILED, or (DWORD)FILTER_FAIL_WITH_ERROR. Codes [here]:
 * * NMERR_INVALID_HFRAME - @hFrame is no handle of a frame
 * * NMERR_INVALID_HFILTER - @hFilter is no handle of a filter of this expert
 * * NMERR_INVALID_HCAPTURE - @hCapture is not the capture of the frame
 * * NMERR_FILTER_INVALID_EXPRESSION - the objects are no expression, or cannot be translated
 * * NMERR_NOT_SUPPORTED - the engine has no such filters
 */
DWORD WINAPI FilterFrame(HFRAME hFrame, HFILTER hFilter, HCAPTURE hCapture);

/**
 * FilterFindFrame() - find the next frame that passes a filter
 * @hFilter: handle of the filter
 * @hCapture: handle of the capture
 * @nFrame: number of a frame; the search begins behind or before it, as ExpertGetFrame() does
 * @StatusProc: called from time to time with the number of the frame that the search has reached,
 *	@hCapture, @hFilter and @UIInstance. If it returns FALSE, the search ends. NULL: none
 * @UIInstance: passed to @StatusProc
 * @TimeDelta: milliseconds between two calls of @StatusProc, at least
 * @FilterDirection: FILTER_DIRECTION_NEXT or FILTER_DIRECTION_PREV
 *
 * Return: the number of the frame; FILTER_NO_MORE_FRAMES: there is none, or the call failed;
 * FILTER_CANCELED: @StatusProc returned FALSE. Codes [here]:
 * * NMERR_NO_MORE_FRAMES - no further frame passes
 * * NMERR_INVALID_HFILTER - @hFilter is no handle of a filter
 * * NMERR_INVALID_HCAPTURE - @hCapture is not the capture of the filter's expert
 * * NMERR_FILTER_INVALID_EXPRESSION - the objects are no expression, or cannot be translated
 * * NMERR_NOT_SUPPORTED - the engine has no such filters
 */
DWORD WINAPI FilterFindFrame(HFILTER hFilter, HCAPTURE hCapture, DWORD nFrame,
			     STATUSPROC StatusProc, LPVOID UIInstance, DWORD TimeDelta,
			     BOOL FilterDirection);

/**
 * FilterAttachesProperties() - find out whether a filter looks at properties
 * @hFilter: handle of the filter
 *
 * Return: TRUE if an object of the filter is a property; FALSE if none is, or on failure. Codes
 * [here]:
 * * NMERR_INVALID_HFILTER - @hFilter is no handle of a filter
 */
BOOL WINAPI FilterAttachesProperties(HFILTER hFilter);

/* ------------------------------------------ end of protocols, properties and filters */

/*
 * The expert defines the following functions; the library does not. This header declares them
 * so that the compiler checks their parameters. The declarations also export them, with C
 * linkage, from C++ and from objects that are built with -fvisibility=hidden.
 */

/**
 * Register() - describe the expert
 * @lpExpertInfo: the expert fills in the members up to Flags
 *
 * Context: the host calls this function first. It passes no key, so the expert cannot call the
 * memory functions.
 * Return: TRUE; FALSE: the host does not offer the expert to the user [MS]
 */
NETMON_EXPORTED BOOL WINAPI Register(PEXPERTENUMINFO lpExpertInfo);

/**
 * Configure() - change the configuration of the expert, as the user wants
 * @hExpertKey: a key that is valid only in this call
 * @ppConfig: the configuration; NULL in *@ppConfig: there is none yet. The expert allocates
 *	and resizes it by ExpertAllocMemory() and ExpertReallocMemory()
 * @pExpertStartupInfo: what the user has selected
 * @StartupFlags: EXPERT_STARTUP_FLAG_*
 * @hWnd: the parent of the expert's windows; NULL: the host has no windows [here]
 *
 * The host calls this function only with EXPERT_ENUM_FLAG_CONFIGURABLE [MS].
 *
 * Return: TRUE if *@ppConfig is a valid configuration [MS]
 */
NETMON_EXPORTED BOOL WINAPI Configure(HEXPERTKEY hExpertKey, PEXPERTCONFIG *ppConfig,
				      PEXPERTSTARTUPINFO pExpertStartupInfo,
				      DWORD StartupFlags, HWND hWnd);

/**
 * Run() - analyse the capture
 * @hExpertKey: the key for this run
 * @pConfig: the configuration of Configure(); NULL: use defaults or @pExpertStartupInfo
 * @pExpertStartupInfo: the path of the capture, and what the user has selected in it
 * @StartupFlags: EXPERT_STARTUP_FLAG_*
 * @hWndParent: the host's window; NULL: the host has no windows [here]
 *
 * After Run() has returned, the host closes the expert. That frees all live blocks.
 *
 * Return: TRUE on success [MS]
 */
NETMON_EXPORTED BOOL WINAPI Run(HEXPERTKEY hExpertKey, PEXPERTCONFIG pConfig,
				PEXPERTSTARTUPINFO pExpertStartupInfo,
				DWORD StartupFlags, HWND hWndParent);

#undef NETMON_ALIAS
#undef NETMON_UNALIGNED
#undef NETMON_EXPORTED
#undef NETMON_ALLOCATES

#ifdef __cplusplus
}
#endif

#endif /* NETMON_H */
