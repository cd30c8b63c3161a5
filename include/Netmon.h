/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * DOC: Netmon.h, the expert's side of libexpertmem
 *
 * An *expert* is a shared object that analyses a capture. It exports Register() and Run(),
 * and Configure() if there is something to configure. A *host* loads and calls it, passing
 * a key that is the expert's name in every call below:
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
 * Memory taken with these calls is back when the expert ends, however it ends: by
 * returning, by a crash, by SIGKILL.
 *
 * Any call may answer NMERR_EXPERT_TERMINATE: someone asked the expert to stop. It
 * cleans up and returns at once; its blocks stay usable and can be freed meanwhile,
 * unless they were reclaimed: then touching one is a fault.
 *
 * All calls may be made from any thread, by many at once. They may take locks and wait for
 * memory, so none may be made from a signal handler.
 *
 * Rules marked [MS] are those of Microsoft's Netmon.h reference for Network Monitor 2.1;
 * rules marked [here] are this project's, where that reference is silent.
 *
 * Left out on purpose: ExpertGetFrame() and ExpertSubmitEvent(). An expert opens
 * EXPERTSTARTUPINFO.szCaptureFile itself, with libpcap for instance, and reports in its
 * own way. Their types and constants are here so that code which handles them compiles.
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
 * Types have their Windows sizes. DWORD and LONG are therefore not long here: printf()
 * takes them with %u and %d.
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

#ifndef FALSE
#define FALSE 0
#endif
#ifndef TRUE
#define TRUE 1
#endif

#define MAX_PATH 260

/* The calling convention: there is only one. */
#define WINAPI

/*
 * HEXPERTKEY is a number in the shape of a pointer, never an address. It is given to Run()
 * or Configure(); the two may differ, and Configure()'s must not be kept [MS].
 */
typedef LPVOID HEXPERTKEY;
typedef LPVOID HEXPERT;
typedef LPVOID HINSTANCE;
typedef LPVOID HWND;

/* Network Monitor's own objects. Nothing here makes one: such members are NULL. */
typedef struct CAPTURE *HCAPTURE;
typedef struct CAPFRAMEDESC *HFRAME;
typedef struct PROTOCOL *HPROTOCOL;
typedef struct FRAME *ULPFRAME;
typedef struct PROPERTYINST *LPPROPERTYINST;
typedef struct PROPERTYTABLE *LPPROPERTYTABLE;
typedef struct RECOGNIZEDATATABLE *LPRECOGNIZEDATATABLE;

/*
 * Error codes. Those of this library come first; the rest of the family is for experts
 * that were written for Network Monitor and name them.
 */
#define NMERR_SUCCESS				0
#define NMERR_OUT_OF_MEMORY			19	/* or the limit is reached */
#define NMERR_ACCESS_DENIED			74	/* another expert's block */
#define NMERR_INVALID_PARAMETER			76	/* not a block, or no block any more */
#define NMERR_EXPERT_TERMINATE			125	/* clean up and return at once */
#define NMERR_INVALID_EXPERT_HANDLE		130	/* not the key of an open expert */

/* Experts and their groups */
#define NMERR_LOAD_EXPERT_FAILED		118
#define NMERR_EXPERT_REPORT_FAILED		119
#define NMERR_NO_DLLS_FOUND			121
#define NMERR_INVALID_EXPERT_GROUP		128
#define NMERR_INVALID_EXPERT_NAME		129
#define NMERR_GROUP_NAME_ALREADY_EXISTS		131
#define NMERR_INVALID_GROUP_NAME		132
#define NMERR_EXPERT_ALREADY_IN_GROUP		133
#define NMERR_EXPERT_NOT_IN_GROUP		134
#define NMERR_INVALID_GROUP_ROOT		136

/* Frames and filters */
#define NMERR_INVALID_HFILTER			2
#define NMERR_NO_MORE_FRAMES			5
#define NMERR_FRAME_NOT_RECOGNIZED		7
#define NMERR_INVALID_HFRAME			11
#define NMERR_STACK_EMPTY			15
#define NMERR_STACK_OVERFLOW			16
#define NMERR_NO_FRAMES				38
#define NMERR_FRAME_NOT_FOUND			51
#define NMERR_FILTER_INVALID_EXPRESSION		57
#define NMERR_LOCKED_FRAMES			82
#define NMERR_NO_FRAME_NUMBER			86
#define NMERR_FRAME_HAS_NO_CAPTURE		87
#define NMERR_FRAME_ALREADY_HAS_CAPTURE		88
#define NMERR_DISCARD_FRAME			91
#define NMERR_INVALID_FRAMESPROC		100
#define NMERR_FRAME_FAILED_FILTER		124

/* Captures and their files */
#define NMERR_MEMORY_MAPPED_FILE_ERROR		1
#define NMERR_FILE_ALREADY_EXISTS		8
#define NMERR_FILE_NOT_FOUND			18
#define NMERR_INVALID_FILE_FORMAT		39
#define NMERR_COULD_NOT_CREATE_TEMPFILE		40
#define NMERR_INVALID_HCAPTURE			55
#define NMERR_FILE_READ_ERROR			77
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
#define NMERR_INVALID_HPROTOCOL			12
#define NMERR_INVALID_HPROPERTY			13
#define NMERR_TOO_MANY_PROTOCOLS		17
#define NMERR_LOAD_PARSER_FAILED		26
#define NMERR_UNLOAD_PARSER_FAILED		27
#define NMERR_NO_PROPERTY_DATABASE		31
#define NMERR_PROPERTY_NOT_FOUND		32
#define NMERR_INVALID_HPROPERTYDB		33
#define NMERR_PROTOCOL_NOT_ENABLED		34
#define NMERR_PROTOCOL_NOT_FOUND		35
#define NMERR_INVALID_PARSER_DLL		36
#define NMERR_NO_ATTACHED_PROPERTIES		37
#define NMERR_NO_PROTOCOLS_ENABLED		42
#define NMERR_PROTOCOL_ALREADY_ENABLED		56
#define NMERR_RUNAWAY_PROTOCOL			72
#define NMERR_PROTOCOL_NOT_REGISTERED		79

/* Addresses */
#define NMERR_ADDRESS_ALREADY_EXISTS		10
#define NMERR_INVALID_HADDRESSDB		28
#define NMERR_ADDRESS_NOT_FOUND			29
#define NMERR_UNKNOWN_MACTYPE			46
#define NMERR_ROUTING_INFO_NOT_PRESENT		47
#define NMERR_IP_ADDRESS_NOT_FOUND		80

/* A capture under way */
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

/* What a network was opened for, and transmitting */
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
#define NMERR_LOST_CONNECTION			93
#define NMERR_AGENT_IN_USE			95
#define NMERR_DISCONNECTED			97
#define NMERR_NOT_CONNECTED			102
#define NMERR_ALREADY_CONNECTED			103
#define NMERR_REMOTE_NOT_A_SERVER		126
#define NMERR_REMOTE_VERSION_OUTOFSYNC		127
#define NMERR_INVALID_REMOTE_COMPUTERNAME	1016
#define NMERR_RPC_REMOTE_FAILURE		1017

/* Anything else */
#define NMERR_BUFFER_TOO_SMALL			6
#define NMERR_LOCKED				14
#define NMERR_NOT_LOCKED			23
#define NMERR_OUT_OF_RANGE			24
#define NMERR_LOCK_NESTING_TOO_DEEP		25
#define NMERR_NO_HANDLES			53
#define NMERR_INVALID_DATA			60
#define NMERR_INTERNAL_EXCEPTION		69
#define NMERR_PENDING				73
#define NMERR_WINDOWS_ERROR			85
#define NMERR_NOT_SUPPORTED			90
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

/* Hosts and experts must agree on layouts, whatever the packing where this is included. */
#pragma pack(push, 8)

/**
 * struct EXPERTCONFIG - an expert's configuration, as the host keeps it
 * @RawConfigLength: bytes, counting this member
 * @RawConfigData: the expert's own
 */
__extension__ typedef struct EXPERTCONFIG {
	DWORD RawConfigLength;
	BYTE RawConfigData[];
} EXPERTCONFIG, *PEXPERTCONFIG;

/**
 * struct EXPERTSTARTUPINFO - what the user was looking at when the expert was started
 * @Flags: the host's
 * @hCapture: NULL
 * @szCaptureFile: path of the capture
 * @dwFrameNumber: the frame in focus, or INVALID_FRAME_NUMBER
 * @hProtocol: NULL
 * @lpPropertyInst: NULL
 * @sBitfield: the bit in focus, and whether it is set
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

/* The only flag of StartupFlags: prefer the start-up information to the configuration. */
#define EXPERT_STARTUP_FLAG_USE_STARTUP_DATA_OVER_CONFIG_DATA	0x1

/* The entry points of an expert, as a host finds and calls them. */
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
 * struct EXPERTENUMINFO - what an expert says about itself in Register()
 * @szName: name of the expert
 * @szVendor: who made it
 * @szDescription: what it does
 * @Version: 0
 * @Flags: EXPERT_ENUM_FLAG_*
 * @szDllName: the host's, like all that follow
 * @hExpert: not for the expert
 * @hModule: not for the expert
 * @pRegisterProc: not for the expert
 * @pConfigProc: not for the expert
 * @pRunProc: not for the expert
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
#define EXPERT_ENUM_FLAG_VIEWER_PRIVATE			0x2	/* wants a viewer of its own */
#define EXPERT_ENUM_FLAG_NO_VIEWER			0x4	/* raises no events */
/* offer it in the context menu of the summary, of the detail */
#define EXPERT_ENUM_FLAG_ADD_ME_TO_RMC_IN_SUMMARY	0x10
#define EXPERT_ENUM_FLAG_ADD_ME_TO_RMC_IN_DETAIL	0x20

/* How an expert is doing. */
typedef enum EXPERTSTATUSENUMERATION {
	EXPERTSTATUS_INACTIVE	= 0,	/* never started */
	EXPERTSTATUS_STARTING	= 1,
	EXPERTSTATUS_RUNNING	= 2,
	EXPERTSTATUS_PROBLEM	= 3,	/* stopped; the sub-status says by what */
	EXPERTSTATUS_ABORTED	= 4,	/* was stopped; EXPERTSUBSTATUS_ABORTED_* */
	EXPERTSTATUS_DONE	= 5	/* finished, all is well */
} EXPERTSTATUSENUMERATION;

#define EXPERTSUBSTATUS_ABORTED_USER		0x1	/* the user asked for it */
#define EXPERTSUBSTATUS_ABORTED_LOAD_FAIL	0x2	/* it could not be loaded */
#define EXPERTSUBSTATUS_ABORTED_THREAD_FAIL	0x4	/* no thread for it */
#define EXPERTSUBSTATUS_ABORTED_BAD_ENTRY	0x8	/* an entry point is missing */

/**
 * struct EXPERTFRAMEDESCRIPTOR - a frame, as ExpertGetFrame() described it
 * @FrameNumber: its place in the capture
 * @hFrame: its handle
 * @pFrame: its header and bytes
 * @lpRecognizeDataTable: the protocols found in it
 * @lpPropertyTable: its properties, with FLAGS_ATTACH_PROPERTIES
 */
typedef struct EXPERTFRAMEDESCRIPTOR {
	DWORD FrameNumber;
	HFRAME hFrame;
	ULPFRAME pFrame;
	LPRECOGNIZEDATATABLE lpRecognizeDataTable;
	LPPROPERTYTABLE lpPropertyTable;
} EXPERTFRAMEDESCRIPTOR, *LPEXPERTFRAMEDESCRIPTOR;

/* Which frame: the one with that number, or the next from there in either direction. */
#define GET_SPECIFIED_FRAME		0
#define GET_FRAME_NEXT_FORWARD		1
#define GET_FRAME_NEXT_BACKWARD		2
/* "before the first" for NEXT_FORWARD */
#define INVALID_FRAME_NUMBER		((DWORD)-1)
/* Only frames that pass the user's display filter; with their properties. */
#define FLAGS_DEFER_TO_UI_FILTER	0x1
#define FLAGS_ATTACH_PROPERTIES		0x2

/* An event: a line for the user, with columns of the expert's own. */
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

/* Which member of NMCOLUMNVARIANT.Value holds the value, and how it is shown. */
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
		signed char Sint8Val;	/* plain char is unsigned on some machines */
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
	DWORD EventIdent;	/* the expert's number for this kind of event */
	DWORD Flags;		/* NMEVENTFLAG_* */
	DWORD Severity;		/* NMEVENT_SEVERITY_* */
	BYTE NumColumns;	/* in Column[] */
	LPSTR szSourceName;
	LPSTR szEventName;
	LPSTR szDescription;
	LPSTR szMachine;
	LPSTR Justification;
	LPVOID pvReserved;
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

/* Raised by an expert; then: which of the fixed columns to hide. */
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
 * No malloc attribute: it lets the compiler assume that a new block never equals a stale
 * pointer, and here passing a stale pointer has a defined answer.
 */
#ifdef __GNUC__
#define NETMON_ALLOCATES(size) __attribute__((__alloc_size__(size), __warn_unused_result__))
#define NETMON_EXPORTED __attribute__((__visibility__("default")))
#else
#define NETMON_ALLOCATES(size)
#define NETMON_EXPORTED
#endif

/**
 * ExpertAllocMemory() - get a block of memory
 * @hExpertKey: the key that Run() or Configure() was given
 * @nBytes: size, bytes; 0 makes a block of its own too, which has to be freed [here]
 * @pError: receives the code, NMERR_SUCCESS included; may be NULL [here]
 *
 * The block is aligned to 16 bytes, from 4,096 bytes on to 4,096 [here]. What it contains is
 * unspecified, but never came from another expert [here].
 *
 * Return: the block, or NULL and in *@pError [codes: here, but for EXPERT_TERMINATE]
 * * NMERR_INVALID_EXPERT_HANDLE - @hExpertKey is not of an open expert, or of one whose
 *   memory is another process's
 * * NMERR_OUT_OF_MEMORY - too large, over the expert's limit, or there is no more
 * * NMERR_EXPERT_TERMINATE - the expert is to stop [MS]
 */
LPVOID WINAPI ExpertAllocMemory(HEXPERTKEY hExpertKey, SIZE_T nBytes, LPDWORD pError)
	NETMON_ALLOCATES(2);

/**
 * ExpertReallocMemory() - grow or shrink a block, moving it if need be
 * @hExpertKey: the key that Run() or Configure() was given
 * @pOriginalMemory: a block of this expert; NULL: as ExpertAllocMemory() [here]
 * @nBytes: new size, bytes; 0 leaves a live block of size 0 [here]
 * @pError: receives the code, NMERR_SUCCESS included [here]; may be NULL [MS]
 *
 * The contents stay, up to the smaller of the two sizes. When it fails the block is what
 * and where it was, and still has to be freed [here].
 *
 * Return: the block, which @pOriginalMemory no longer need be, or NULL and in *@pError
 * [codes: here, but for EXPERT_TERMINATE]
 * * NMERR_INVALID_EXPERT_HANDLE - as ExpertAllocMemory()
 * * NMERR_INVALID_PARAMETER - @pOriginalMemory is not the start of a live block
 * * NMERR_ACCESS_DENIED - it is a block of another expert
 * * NMERR_OUT_OF_MEMORY - as ExpertAllocMemory()
 * * NMERR_EXPERT_TERMINATE - the expert is to stop [MS]
 */
LPVOID WINAPI ExpertReallocMemory(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory,
				  SIZE_T nBytes, LPDWORD pError)
	NETMON_ALLOCATES(3);

/**
 * ExpertFreeMemory() - give a block back
 * @hExpertKey: the key that Run() or Configure() was given
 * @pMemory: a block of this expert; NULL does nothing [here]
 *
 * A pointer that is not a block is an error and changes nothing [here]. One that was freed
 * and has since been handed out again is a block: nobody can tell it from the new one.
 *
 * Return: a code, in the type that Microsoft's page gives it [codes: here, but for SUCCESS
 * and EXPERT_TERMINATE]
 * * NMERR_SUCCESS - the block is free [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - as ExpertAllocMemory()
 * * NMERR_INVALID_PARAMETER - @pMemory is not the start of a live block: it points into
 *   one, was freed before, or never was one
 * * NMERR_ACCESS_DENIED - it is a block of another expert
 * * NMERR_EXPERT_TERMINATE - the block is free, and the expert is to stop [MS]
 */
SIZE_T WINAPI ExpertFreeMemory(HEXPERTKEY hExpertKey, LPVOID pMemory);

/**
 * ExpertMemorySize() - the size of a block
 * @hExpertKey: the key that Run() or Configure() was given
 * @pOriginalMemory: a block of this expert
 *
 * Return: bytes, exactly as asked for; 0 for a bad key or a pointer that is not a block of
 * this expert [here]
 */
SIZE_T WINAPI ExpertMemorySize(HEXPERTKEY hExpertKey, LPVOID pOriginalMemory);

/**
 * ExpertIndicateStatus() - tell the host how far the expert is
 * @hExpertKey: the key that Run() was given
 * @Status: what it is doing
 * @SubStatus: more about @Status: EXPERTSUBSTATUS_ABORTED_* or the expert's own
 * @szText: a line for the user, of which 255 bytes are kept [here]; may be NULL [MS]
 * @PercentDone: percent of the capture, 0 to 99; the rest is ignored, as it is for the host
 *	to say 100 when Run() has returned [MS]
 *
 * To be called now and then from Run(): the answer tells whether to go on.
 *
 * Return:
 * * NMERR_SUCCESS - go on [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - @hExpertKey is not of an open expert [here]
 * * NMERR_EXPERT_TERMINATE - the status was taken, and the expert is to stop [MS]
 */
DWORD WINAPI ExpertIndicateStatus(HEXPERTKEY hExpertKey, EXPERTSTATUSENUMERATION Status,
				  DWORD SubStatus, const char *szText, LONG PercentDone);

/**
 * ExpertGetStartupInfo() - what the expert was started with
 * @hExpertKey: the key that Run() was given
 * @pExpertStartupInfo: receives it; all zero if the host said nothing [here]
 *
 * Return: [codes: here, but for SUCCESS]
 * * NMERR_SUCCESS - @pExpertStartupInfo is filled in [MS]
 * * NMERR_INVALID_EXPERT_HANDLE - @hExpertKey is not of an open expert
 * * NMERR_INVALID_PARAMETER - @pExpertStartupInfo is NULL
 * * NMERR_EXPERT_TERMINATE - it is filled in, and the expert is to stop
 */
DWORD WINAPI ExpertGetStartupInfo(HEXPERTKEY hExpertKey, PEXPERTSTARTUPINFO pExpertStartupInfo);

/*
 * What an expert defines. Declared here so that a wrong parameter is an error of the
 * compiler, and that the names are exported, and as C, from C++ and from objects built with
 * -fvisibility=hidden too. The library has none of them.
 */

/**
 * Register() - the expert introduces itself
 * @lpExpertInfo: the members up to Flags are to be filled in
 *
 * Context: before anything else, on no key: memory calls are not possible.
 * Return: TRUE, or FALSE and the expert is not offered [MS]
 */
NETMON_EXPORTED BOOL WINAPI Register(PEXPERTENUMINFO lpExpertInfo);

/**
 * Configure() - the user wants to change the expert's configuration
 * @hExpertKey: a key for this call only
 * @ppConfig: the configuration, made or resized with ExpertAllocMemory() and
 *	ExpertReallocMemory(); *@ppConfig is NULL if there is none yet
 * @pExpertStartupInfo: what the user was looking at
 * @StartupFlags: EXPERT_STARTUP_FLAG_*
 * @hWnd: the window to ask in; NULL: there is none [here]
 *
 * Only called with EXPERT_ENUM_FLAG_CONFIGURABLE [MS].
 *
 * Return: TRUE if *@ppConfig is a configuration now [MS]
 */
NETMON_EXPORTED BOOL WINAPI Configure(HEXPERTKEY hExpertKey, PEXPERTCONFIG *ppConfig,
				      PEXPERTSTARTUPINFO pExpertStartupInfo,
				      DWORD StartupFlags, HWND hWnd);

/**
 * Run() - analyse the capture
 * @hExpertKey: the key for this run
 * @pConfig: what Configure() made; NULL: use defaults or @pExpertStartupInfo
 * @pExpertStartupInfo: which capture, and what in it
 * @StartupFlags: EXPERT_STARTUP_FLAG_*
 * @hWndParent: the host's window; NULL: there is none [here]
 *
 * Blocks that are live when it returns are freed by the host's ending the expert.
 *
 * Return: TRUE on success [MS]
 */
NETMON_EXPORTED BOOL WINAPI Run(HEXPERTKEY hExpertKey, PEXPERTCONFIG pConfig,
				PEXPERTSTARTUPINFO pExpertStartupInfo,
				DWORD StartupFlags, HWND hWndParent);

#undef NETMON_EXPORTED
#undef NETMON_ALLOCATES

#ifdef __cplusplus
}
#endif

#endif /* NETMON_H */
