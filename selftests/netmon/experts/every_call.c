// SPDX-License-Identifier: GPL-2.0
/*
 * An expert that makes every call of the expert's side of Netmon.h, by the names of Microsoft's
 * pages and of Microsoft's header, in C that is C++ as well. It is compiled as C, as C++, and for
 * Windows. It succeeds on a capture that has a TCP segment, with the engine of Wireshark.
 */
#include <windows.h>
#include <netmon.h>
#include <nmerr.h>

#include <stddef.h>
#include <string.h>

#ifdef _WIN32
/* what mingw-w64's netmon.h has under other names */
#define EXPERT_GET_SPECIFIED_FRAME	GET_SPECIFIED_FRAME
#define EXPERT_DEFER_TO_UI_FILTER	FLAGS_DEFER_TO_UI_FILTER
#define EXPERT_ATTACH_PROPERTIES	FLAGS_ATTACH_PROPERTIES
#define EVENT_FLAG_EXPERT		NMEVENTFLAG_EXPERT
#define BHERR_SUCCESS			NMERR_SUCCESS
#define EVENTCOLUMNINFO			NMCOLUMNINFO
#define EXPERT_STATUS_ENUMERATION	EXPERTSTATUSENUMERATION
#define ADDRESS				ADDRESS2
#define LPADDRESS			LPADDRESS2
#define FILTEROBJECT			FILTEROBJECT2
#define LPFILTEROBJECT			LPFILTEROBJECT2
#endif

/* Names are strings that the calls do not change. */
#define NAME(text)	((LPSTR)(text))

/* The line at which the first check failed. */
static int nFailed;

#define CHECK(condition) do { if (!(condition) && !nFailed) nFailed = __LINE__; } while (0)

BOOL WINAPI Register(PEXPERTENUMINFO lpExpertInfo)
{
	lstrcpy(lpExpertInfo->szName, TEXT("Every call"));
	lstrcpy(lpExpertInfo->szVendor, TEXT("selftests"));
	lstrcpy(lpExpertInfo->szDescription, TEXT("Makes every call"));
	lpExpertInfo->Version = 0;
	lpExpertInfo->Flags = EXPERT_ENUM_FLAG_CONFIGURABLE;
	return TRUE;
}

BOOL WINAPI Configure(HEXPERTKEY hExpertKey, PEXPERTCONFIG *ppConfig,
		      PEXPERTSTARTUPINFO pExpertStartupInfo, DWORD StartupFlags, HWND hWnd)
{
	DWORD dwError;

	UNREFERENCED_PARAMETER(pExpertStartupInfo);
	UNREFERENCED_PARAMETER(StartupFlags);
	UNREFERENCED_PARAMETER(hWnd);
	*ppConfig = (PEXPERTCONFIG)ExpertReallocMemory(hExpertKey, *ppConfig,
						       sizeof(EXPERTCONFIG) + 4, &dwError);
	if (*ppConfig == NULL)
		return FALSE;
	(*ppConfig)->RawConfigLength = sizeof(EXPERTCONFIG) + 4;
	return TRUE;
}

static void Memory(HEXPERTKEY hExpertKey)
{
	DWORD dwError;
	LPVOID p = ExpertAllocMemory(hExpertKey, 100, &dwError);

	CHECK(p != NULL && ExpertMemorySize(hExpertKey, p) == 100);
	p = ExpertReallocMemory(hExpertKey, p, 200, &dwError);
	CHECK(p != NULL && ExpertFreeMemory(hExpertKey, p) == NMERR_SUCCESS);
}

static void Capture(HCAPTURE hCapture, LPSTR szFile)
{
	char szComment[1024];

	CHECK(GetCaptureTotalFrames(hCapture) > 0);
	CHECK(GetCaptureTimeStamp(hCapture) != NULL);
	CHECK(GetCaptureMacType(hCapture) == MAC_TYPE_ETHERNET);
	CHECK(GetCaptureComment(hCapture) != NULL);
	CHECK(GetCaptureCommentFromFilename(szFile, szComment, sizeof(szComment)) == BHERR_SUCCESS);
	CHECK(GetEnabledProtocols(hCapture)->nProtocols > 100);
	CHECK(ModifyFrame(hCapture, 0, NULL, 0, 0) == NULL);
	BhSetLastError(NMERR_LOCKED);
	CHECK(BhGetLastError() == NMERR_LOCKED);
}

static void Frame(HCAPTURE hCapture, HFRAME hFrame)
{
	ULPFRAME pFrame = GetFrameFromFrameHandle(hFrame);

	CHECK(GetFrame(hCapture, GetFrameNumber(hFrame)) == hFrame);
	CHECK(GetFrameCaptureHandle(hFrame) == hCapture);
	CHECK(GetFrameLength(hFrame) == pFrame->FrameLength);
	CHECK(GetFrameStoredLength(hFrame) == pFrame->nBytesAvail);
	CHECK(GetFrameTimeStamp(hFrame) == pFrame->TimeStamp);
	CHECK(GetFrameMacType(hFrame) == MAC_TYPE_ETHERNET);
	CHECK(GetFrameMacHeaderLength(hFrame) == ETHERNET_HEADER_LENGTH);
	CHECK(GetFrameRecognizeData(hFrame)->nRecognizeDatas > 0);
	CHECK(ParserTemporaryLockFrame(hFrame) == pFrame->MacFrame);
}

static void Walk(HCAPTURE hCapture)
{
	DWORD dwLast = GetCaptureTotalFrames(hCapture) - 1, dwNext;
	WORD wOffset = 0;
	HFRAME hNext = FindNextFrame(GetFrame(hCapture, 0), NAME("TCP"), NULL, NULL, &wOffset, 0,
				     dwLast);

	CHECK(hNext != NULL && wOffset == GetProtocolStartOffset(hNext, NAME("TCP")));
	dwNext = GetFrameNumber(hNext);
	CHECK(dwNext > 0 && dwNext <= dwLast);
	CHECK(FindPreviousFrame(hNext, NAME("ETHERNET"), NULL, NULL, &wOffset, dwNext, 0) ==
	      GetFrame(hCapture, dwNext - 1));
	CHECK(wOffset == 0);
}

static void Addresses(HFRAME hFrame)
{
	BYTE Bytes[MAC_ADDRESS_SIZE];
	ADDRESS Source, Dest;
	DWORD dwLength;
	char szText[20];

	CHECK(GetFrameSrcAddressOffset(hFrame, ADDRESS_TYPE_ETHERNET, &dwLength) == 6);
	CHECK(GetFrameDstAddressOffset(hFrame, ADDRESS_TYPE_ETHERNET, &dwLength) == 0);
	CHECK(GetFrameSourceAddress(hFrame, &Source, ADDRESS_TYPE_FIND_HIGHEST, 0) == BHERR_SUCCESS);
	CHECK(GetFrameDestAddress(hFrame, &Dest, ADDRESS_TYPE_ETHERNET, 0) == BHERR_SUCCESS);
	CHECK(CompareAddresses(&Source, &Source) == 0);
	CHECK(CompareFrameSourceAddress(hFrame, &Source));
	CHECK(CompareFrameDestAddress(hFrame, &Dest));
	CHECK(MacTypeToAddressType(MAC_TYPE_ETHERNET) == ADDRESS_TYPE_ETHERNET);
	CHECK(AddressToString(szText, Dest.MACAddress) == szText);
	CHECK(StringToAddress(Bytes, szText) != NULL);
	CHECK(memcmp(Bytes, Dest.MACAddress, MAC_ADDRESS_SIZE) == 0);
}

static void Protocols(HFRAME hFrame)
{
	HPROTOCOL hProtocol = GetProtocolFromName(NAME("TCP"));
	DWORD dwOffset = 0;

	CHECK(GetProtocolInfo(hProtocol)->ProtocolID ==
	      GetProtocolInfo(GetProtocolFromName(NAME("tcp")))->ProtocolID);
	CHECK(GetProtocolStartOffset(hFrame, NAME("TCP")) ==
	      GetProtocolStartOffsetHandle(hFrame, hProtocol));
	CHECK(GetPreviousProtocolOffsetByName(hFrame, 1000, NAME("IP"), &dwOffset) == BHERR_SUCCESS);
	CHECK(dwOffset == ETHERNET_HEADER_LENGTH);
}

static void Properties(HFRAME hFrame, HPROPERTY hPort)
{
	LPPROPERTYINST lpInst = FindPropertyInstance(hFrame, hPort), lpKey = NULL;
	LPPROPERTYINFO lpInfo = GetPropertyInfo(hPort);
	char szText[100];
	DWORD dwPort;

	CHECK(lpInst != NULL && lpInfo == lpInst->lpPropertyInfo);
	CHECK(FindPropertyInstanceRestart(hFrame, hPort, &lpKey, TRUE) == lpInst);
	if (lpInst == NULL)
		return;
	CHECK(GetPropertyText(hFrame, lpInst, szText, sizeof(szText)) == szText);
	CHECK(FormatPropertyInstance(lpInst) == NMERR_SUCCESS);
	CHECK(strcmp(szText, lpInst->szPropertyText) == 0);
	CHECK(GetPropertyInstanceFrameDataLength(lpInst) == sizeof(WORD));
	VarLenSmallIntToDword((LPBYTE)GetPropertyInstanceData(lpInst), sizeof(WORD),
			      (lpInst->IFlags & IFLAG_SWAPPED) != 0, &dwPort);
	CHECK((WORD)dwPort == XCHG(GetPropertyInstanceDataValue(lpInst, WORD)));
}

static void Labels(void)
{
	LABELED_DWORD Dwords[1] = { { 1, NAME("one") } };
	LABELED_WORD Words[1] = { { 1, NAME("one") } };
	LABELED_BYTE Bytes[1] = { { 1, NAME("one") } };
	SET Set;

	Set.nEntries = 1;
	Set.lpLabeledByteTable = Bytes;
	CHECK(LookupByteSetString(&Set, 1) != NULL);
	Set.lpLabeledWordTable = Words;
	CHECK(LookupWordSetString(&Set, 1) != NULL);
	Set.lpLabeledDwordTable = Dwords;
	CHECK(LookupDwordSetString(&Set, 1) != NULL);
}

static BOOL WINAPI Searching(DWORD dwFrame, HCAPTURE hCapture, HFILTER hFilter, LPVOID lpInstance)
{
	UNREFERENCED_PARAMETER(dwFrame);
	UNREFERENCED_PARAMETER(hCapture);
	UNREFERENCED_PARAMETER(hFilter);
	UNREFERENCED_PARAMETER(lpInstance);
	return TRUE;
}

/* A filter that TCP segments pass. */
static HFILTER Filter(HPROPERTY hPort)
{
	HFILTER hFilter = CreateFilter();
	FILTEROBJECT Object;

	ZeroMemory(&Object, sizeof(Object));
	Object.Action = FILTERACTION_PROPERTY;
	Object.hProperty = hPort;
	CHECK(FilterAddObject(hFilter, &Object) == NMERR_SUCCESS);
	ZeroMemory(&Object, sizeof(Object));
	Object.Action = FILTERACTION_VALUE;
	CHECK(FilterAddObject(hFilter, &Object) == NMERR_SUCCESS);
	Object.Action = FILTERACTION_GREATEREQUAL;
	CHECK(FilterAddObject(hFilter, &Object) == NMERR_SUCCESS);
	return hFilter;
}

static void Filters(HCAPTURE hCapture, HFRAME hFrame, HFILTER hFilter)
{
	HFILTER hCopy = FilterDuplicate(hFilter);

	CHECK(FilterAttachesProperties(hCopy));
	CHECK(FilterFrame(hFrame, hCopy, hCapture) == FILTER_PASSED);
	CHECK(FilterFindFrame(hCopy, hCapture, INVALID_FRAME_NUMBER, Searching, NULL, 100,
			      FILTER_DIRECTION_NEXT) == GetFrameNumber(hFrame));
	CHECK(DestroyFilter(hCopy) == NMERR_SUCCESS);
}

static void Event(HEXPERTKEY hExpertKey, DWORD dwFrame)
{
	DWORD dwError, dwSize = offsetof(NMEVENTDATA, Column) + sizeof(EVENTCOLUMNINFO);
	PNMEVENTDATA lpEvent = (PNMEVENTDATA)ExpertAllocMemory(hExpertKey, dwSize, &dwError);

	CHECK(lpEvent != NULL);
	if (lpEvent == NULL)
		return;
	ZeroMemory(lpEvent, dwSize);
	lpEvent->EventIdent = 1;
	lpEvent->Flags = EVENT_FLAG_EXPERT;
	lpEvent->szSourceName = lpEvent->szEventName = lpEvent->szDescription = NAME("every call");
	lpEvent->NumColumns = 1;
	lpEvent->Column[0].szColumnName = NAME("frame");
	lpEvent->Column[0].VariantData.Type = NMCOLUMNTYPE_FRAME;
	lpEvent->Column[0].VariantData.Value.FrameVal = dwFrame;
	CHECK(ExpertSubmitEvent(hExpertKey, lpEvent) == NMERR_SUCCESS);
	ExpertFreeMemory(hExpertKey, lpEvent);
}

BOOL WINAPI Run(HEXPERTKEY hExpertKey, PEXPERTCONFIG pConfig,
		PEXPERTSTARTUPINFO pExpertStartupInfo, DWORD StartupFlags, HWND hWndParent)
{
	EXPERT_STATUS_ENUMERATION Status = EXPERTSTATUS_RUNNING;
	EXPERTFRAMEDESCRIPTOR Descriptor;
	EXPERTSTARTUPINFO Startup;
	HPROPERTY hPort;
	HFILTER hFilter;
	char szText[80];

	UNREFERENCED_PARAMETER(pConfig);
	UNREFERENCED_PARAMETER(pExpertStartupInfo);
	UNREFERENCED_PARAMETER(StartupFlags);
	UNREFERENCED_PARAMETER(hWndParent);
	CHECK(ExpertGetStartupInfo(hExpertKey, &Startup) == NMERR_SUCCESS);
	Memory(hExpertKey);
	Labels();
	Capture(Startup.hCapture, Startup.szCaptureFile);
	hPort = GetProperty(GetProtocolFromName(NAME("TCP")), NAME("Source Port"));
	hFilter = Filter(hPort);
	if (ExpertGetFrame(hExpertKey, GET_FRAME_NEXT_FORWARD, EXPERT_DEFER_TO_UI_FILTER,
			   INVALID_FRAME_NUMBER, hFilter, &Descriptor) != NMERR_SUCCESS)
		return FALSE;
	CHECK(ExpertGetFrame(hExpertKey, EXPERT_GET_SPECIFIED_FRAME, EXPERT_ATTACH_PROPERTIES,
			     Descriptor.FrameNumber, NULL, &Descriptor) == NMERR_SUCCESS);
	CHECK(Descriptor.lpPropertyTable != NULL);
	Frame(Startup.hCapture, Descriptor.hFrame);
	Walk(Startup.hCapture);
	Addresses(Descriptor.hFrame);
	Protocols(Descriptor.hFrame);
	Properties(Descriptor.hFrame, hPort);
	Filters(Startup.hCapture, Descriptor.hFrame, hFilter);
	CHECK(DestroyFilter(hFilter) == NMERR_SUCCESS);
	Event(hExpertKey, Descriptor.FrameNumber);
	wsprintf(szText, TEXT("line %d"), nFailed);
	ExpertIndicateStatus(hExpertKey, nFailed ? EXPERTSTATUS_PROBLEM : Status, 0, szText, 50);
	return nFailed == 0;
}
