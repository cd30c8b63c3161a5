// SPDX-License-Identifier: GPL-2.0
/*
 * An expert written as for Windows: its headers, types and calls, C that is C++ as well. Reads
 * the lengths of frames that it makes itself, and raises an event in memory only.
 */
#include <windows.h>
#include <netmon.h>
#include <nmerr.h>

#include <stddef.h>

#ifdef _WIN32
/* what mingw-w64's netmon.h has under other names */
#define EXPERT_GET_SPECIFIED_FRAME	GET_SPECIFIED_FRAME
#define EXPERT_DEFER_TO_UI_FILTER	FLAGS_DEFER_TO_UI_FILTER
#define EXPERT_ATTACH_PROPERTIES	FLAGS_ATTACH_PROPERTIES
#define EVENT_FLAG_EXPERT		NMEVENTFLAG_EXPERT
#define BHERR_SUCCESS			NMERR_SUCCESS
#define EVENTCOLUMNINFO			NMCOLUMNINFO
#define ADDRESS				ADDRESS2
#define LPADDRESS			LPADDRESS2
#endif

#define FRAMES		4
#define IDD_LIMIT	101

typedef struct _SETTINGS {
	DWORD RawConfigLength;
	DWORD Limit;		/* bytes */
} SETTINGS, *PSETTINGS;

HINSTANCE hInst;

BOOL WINAPI DllMain(HINSTANCE hInstance, ULONG ulReason, LPVOID Reserved)
{
	UNREFERENCED_PARAMETER(Reserved);
	if (ulReason == DLL_PROCESS_ATTACH)
		hInst = hInstance;
	return TRUE;
}

BOOL WINAPI Register(PEXPERTENUMINFO lpExpertInfo)
{
	lstrcpy(lpExpertInfo->szName, TEXT("Frame lengths"));
	lstrcpyn(lpExpertInfo->szVendor, TEXT("selftests"), EXPERTSTRINGLENGTH);
	wsprintf(lpExpertInfo->szDescription, TEXT("Counts up to %lu frames"), (DWORD)FRAMES);
	lpExpertInfo->Version = 0;
	lpExpertInfo->Flags = EXPERT_ENUM_FLAG_CONFIGURABLE;
	return TRUE;
}

static INT_PTR CALLBACK LimitDialog(HWND hDlg, UINT uMsg, WPARAM wParam, LPARAM lParam)
{
	UNREFERENCED_PARAMETER(lParam);
	if (uMsg == WM_COMMAND && (LOWORD(wParam) == IDOK || LOWORD(wParam) == IDCANCEL))
		EndDialog(hDlg, LOWORD(wParam));
	return uMsg == WM_INITDIALOG;
}

BOOL WINAPI Configure(HEXPERTKEY hExpertKey, PEXPERTCONFIG *ppConfig,
		      PEXPERTSTARTUPINFO pExpertStartupInfo, DWORD StartupFlags, HWND hWnd)
{
	PSETTINGS pSettings;
	DWORD dwError;

	UNREFERENCED_PARAMETER(pExpertStartupInfo);
	UNREFERENCED_PARAMETER(StartupFlags);
	if (DialogBoxParam(hInst, MAKEINTRESOURCE(IDD_LIMIT), hWnd, LimitDialog, 0) != IDOK)
		return FALSE;
	pSettings = (PSETTINGS)ExpertReallocMemory(hExpertKey, *ppConfig, sizeof(SETTINGS), &dwError);
	if (pSettings == NULL)
		return FALSE;
	pSettings->RawConfigLength = sizeof(SETTINGS);
	pSettings->Limit = ETHERNET_FRAME_LENGTH;
	*ppConfig = (PEXPERTCONFIG)pSettings;
	return TRUE;
}

/* Longer than the limit, and to whom */
static BOOL IsLong(ULPFRAME pFrame, DWORD dwLimit, LPADDRESS lpAddress)
{
	LPADDRESS2 lpAddress2 = lpAddress;
	ULPETHERNET lpEthernet = (ULPETHERNET)pFrame->MacFrame;

	ZeroMemory(lpAddress, sizeof(ADDRESS));
	lpAddress2->Type = ADDRESS_TYPE_ETHERNET;
	CopyMemory(lpAddress->MACAddress, lpEthernet->DstAddr, MAC_ADDRESS_SIZE);
	lpAddress->MACAddress[0] &= FRAME_MASK_ETHERNET;
	return pFrame->FrameLength > dwLimit && XCHG(lpEthernet->Type) >= ETHERNET_FRAME_TYPE;
}

static DWORD PropertyLength(LPPROPERTYINST lpInst)
{
	if (lpInst->lpPropertyInfo == NULL ||
	    lpInst->lpPropertyInfo->DataQualifier == PROP_QUAL_LABELED_SET)
		return 0;
	return GetPropertyInstanceFrameDataLength(lpInst);
}

BOOL WINAPI Run(HEXPERTKEY hExpertKey, PEXPERTCONFIG pConfig,
		PEXPERTSTARTUPINFO pExpertStartupInfo, DWORD StartupFlags, HWND hWndParent)
{
	DWORD Direction = GET_FRAME_NEXT_FORWARD, RequestFlags = FLAGS_DEFER_TO_UI_FILTER;
	DWORD dwLimit = pConfig ? ((PSETTINGS)pConfig)->Limit : ETHERNET_FRAME_LENGTH;
	DWORD dwError = BHERR_SUCCESS, dwFrame, dwLong = 0;
	HANDLE hHeap = GetProcessHeap();
	LARGE_INTEGER Bytes;
	__int64 TimeStamp = 0;
	FILTEROBJECT FilterObject;
	PROPERTYINFO Info;
	PROPERTYINST Inst;
	PNMEVENTDATA lpEvent;
	EVENTCOLUMNINFO *pColumn;
	ADDRESS Address;
	LPFRAME lpFrame;
	TCHAR szText[80];

	UNREFERENCED_PARAMETER(StartupFlags);
	UNREFERENCED_PARAMETER(hWndParent);
	ZeroMemory(&FilterObject, sizeof(FilterObject));
	FilterObject.Action = FILTERACTION_PROTOCOLEXIST;
	FilterObject.hProtocol = pExpertStartupInfo ? pExpertStartupInfo->hProtocol : NULL;
	ZeroMemory(&Info, sizeof(Info));
	Info.DataType = PROP_TYPE_WORD;
	ZeroMemory(&Inst, sizeof(Inst));
	Inst.lpPropertyInfo = &Info;
	Inst.DataLength = sizeof(WORD);
	Inst.IFlags = IFLAG_SWAPPED;

	lpFrame = (LPFRAME)HeapAlloc(hHeap, HEAP_ZERO_MEMORY, FRAME_SIZE + ETHERNET_FRAME_LENGTH);
	lpEvent = (PNMEVENTDATA)ExpertAllocMemory(hExpertKey,
		offsetof(NMEVENTDATA, Column) + sizeof(EVENTCOLUMNINFO), &dwError);
	if (lpFrame == NULL || lpEvent == NULL) {
		HeapFree(hHeap, 0, lpFrame);
		return FALSE;
	}
	Bytes.QuadPart = 0;
	for (dwFrame = 0; dwFrame < FRAMES && dwError != NMERR_EXPERT_TERMINATE; dwFrame++) {
		lpFrame->TimeStamp = TimeStamp += 1000;
		lpFrame->FrameLength = lpFrame->nBytesAvail = dwLimit + dwFrame;
		Bytes.QuadPart += lpFrame->FrameLength;
		((LPETHERNET)lpFrame->MacFrame)->Type = XCHG(0x0800);
		dwLong += IsLong((ULPFRAME)lpFrame, dwLimit, &Address);
		wsprintf(szText, TEXT("frame %lu, %lu bytes of a property, %I64d us"), dwFrame,
			 PropertyLength(&Inst), TimeStamp);
		dwError = ExpertIndicateStatus(hExpertKey, EXPERTSTATUS_RUNNING, 0, szText,
					       (LONG)(dwFrame * 100 / FRAMES));
	}

	ZeroMemory(lpEvent, offsetof(NMEVENTDATA, Column) + sizeof(EVENTCOLUMNINFO));
	lpEvent->Flags = EVENT_FLAG_EXPERT | NMEVENTFLAG_DO_NOT_DISPLAY_MACHINE;
	lpEvent->Severity = NMEVENT_SEVERITY_INFORMATIONAL;
	lpEvent->NumColumns = 1;
	pColumn = lpEvent->Column;
	pColumn->VariantData.Type = NMCOLUMNTYPE_UINT32;
	pColumn->VariantData.Value.Uint32Val = dwLong;

	/* that frame again, with properties */
	Direction = EXPERT_GET_SPECIFIED_FRAME;
	RequestFlags = (RequestFlags & ~EXPERT_DEFER_TO_UI_FILTER) | EXPERT_ATTACH_PROPERTIES;
	wsprintf(szText, TEXT("%lu of %lu frames are long, request %lu/%lx\n"), dwLong, dwFrame,
		 Direction, RequestFlags);
	OutputDebugString(szText);

	HeapFree(hHeap, 0, lpFrame);
	return ExpertFreeMemory(hExpertKey, lpEvent) == NMERR_SUCCESS && dwLong == FRAMES - 1;
}
