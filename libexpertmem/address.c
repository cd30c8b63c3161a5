// SPDX-License-Identifier: LGPL-2.1-or-later
/* Addresses of frames; comparing and writing addresses. */
#include <string.h>

#include "capture.h"
#include "link.h"

enum end { SOURCE, DESTINATION };

/* Where the addresses are: from the start of the header, in bytes. */
struct place {
	uint8_t offset[2];	/* by enum end */
	uint8_t size;
};

static const struct place link_places[] = {
	[ADDRESS_TYPE_ETHERNET]		= { { 6, 0 }, MAC_ADDRESS_SIZE },
	[ADDRESS_TYPE_TOKENRING]	= { { 8, 2 }, MAC_ADDRESS_SIZE },
	[ADDRESS_TYPE_FDDI]		= { { 7, 1 }, MAC_ADDRESS_SIZE },
};

static const struct place packet_places[] = {
	[ADDRESS_TYPE_IP]		= { { 12, 16 }, IP_ADDRESS_SIZE },
	[ADDRESS_TYPE_IP6]		= { { 8, 24 }, IP6_ADDRESS_SIZE },
	[ADDRESS_TYPE_IPX]		= { { 18, 6 }, IPX_ADDR_SIZE },
	[ADDRESS_TYPE_XNS]		= { { 18, 6 }, IPX_ADDR_SIZE },
	[ADDRESS_TYPE_VINES_IP]		= { { 12, 6 }, VINES_IP_ADDRESS_SIZE },
};

#define NO_TYPE		((DWORD)-1)
#define NO_OFFSET	((DWORD)-1)

/* ------------------------------------------------------------------ finding addresses */

static DWORD type_of_layer(enum em_layer layer)
{
	switch (layer) {
	case EM_LAYER_IPV4:
		return ADDRESS_TYPE_IP;
	case EM_LAYER_IPV6:
		return ADDRESS_TYPE_IP6;
	case EM_LAYER_IPX:
		return ADDRESS_TYPE_IPX;
	case EM_LAYER_XNS:
		return ADDRESS_TYPE_XNS;
	case EM_LAYER_VINES:
		return ADDRESS_TYPE_VINES_IP;
	default:
		return NO_TYPE;
	}
}

static DWORD type_of_link(uint16_t link_type)
{
	switch (em_mac_type(link_type)) {
	case MAC_TYPE_ETHERNET:
		return ADDRESS_TYPE_ETHERNET;
	case MAC_TYPE_TOKENRING:
		return ADDRESS_TYPE_TOKENRING;
	case MAC_TYPE_FDDI:
		return ADDRESS_TYPE_FDDI;
	default:
		return NO_TYPE;
	}
}

/* The place of an address in a frame, if all of it was captured; else NO_OFFSET. */
static DWORD offset_of(const struct em_view *view, const struct place *place, uint32_t header,
		       enum end end)
{
	uint64_t offset = (uint64_t)header + place->offset[end];

	return offset + place->size <= view->size ? (DWORD)offset : NO_OFFSET;
}

/* Is the address of this type a link address? */
static bool is_link(DWORD type)
{
	return type == ADDRESS_TYPE_ETHERNET || type == ADDRESS_TYPE_TOKENRING ||
	       type == ADDRESS_TYPE_FDDI;
}

/*
 * Check the version in the first byte of an IP packet, and of IPv4 also the length of the header.
 */
static bool is_sound(const struct em_view *view, DWORD type, uint32_t header)
{
	BYTE first = header < view->size ? view->frame->MacFrame[header] : 0;

	if (type == ADDRESS_TYPE_IP)
		return HINIBBLE(first) == 4 && LONIBBLE(first) >= 5;
	return type != ADDRESS_TYPE_IP6 || HINIBBLE(first) == 6;
}

/*
 * Find an address of *@type; ADDRESS_TYPE_FIND_HIGHEST becomes the type that was found. Returns the
 * address's offset in the frame, or NO_OFFSET. @size receives its bytes.
 */
static DWORD find(const struct em_view *view, DWORD *type, enum end end, DWORD *size)
{
	DWORD link = type_of_link(view->link_type), packet, offset = NO_OFFSET;
	bool highest = *type == ADDRESS_TYPE_FIND_HIGHEST;
	uint32_t header;

	if (!is_link(*type)) {
		packet = type_of_layer(em_link_walk(view->link_type, view->frame->MacFrame,
						    view->size, &header));
		if (packet != NO_TYPE && (highest || packet == *type) &&
		    is_sound(view, packet, header))
			offset = offset_of(view, &packet_places[packet], header, end);
		if (offset != NO_OFFSET) {
			*type = packet;
			*size = packet_places[packet].size;
			return offset;
		}
	}
	if (link == NO_TYPE || (!highest && link != *type))
		return NO_OFFSET;
	*type = link;
	*size = link_places[link].size;
	return offset_of(view, &link_places[link], 0, end);
}

static DWORD find_offset(HFRAME frame, DWORD type, DWORD *length, enum end end)
{
	struct em_view view;
	DWORD offset, size = 0;

	if (!em_view_frame(frame, &view))
		return NO_OFFSET;
	offset = find(&view, &type, end, &size);
	em_view_end(&view);
	if (offset == NO_OFFSET)
		em_set_last_error(NMERR_PROTOCOL_NOT_FOUND);
	else if (length)
		*length = size;
	return offset;
}

DWORD WINAPI GetFrameSrcAddressOffset(HFRAME hFrame, DWORD AddressType, LPDWORD AddressLength)
{
	return find_offset(hFrame, AddressType, AddressLength, SOURCE);
}

DWORD WINAPI GetFrameDstAddressOffset(HFRAME hFrame, DWORD AddressType, LPDWORD AddressLength)
{
	return find_offset(hFrame, AddressType, AddressLength, DESTINATION);
}

/* --------------------------------------------------------------------- getting addresses */

/* Clear the group bit of a destination, or the routing bit of a source. Both are in one place. */
static void normalize(ADDRESS2 *address)
{
	switch (address->Type) {
	case ADDRESS_TYPE_ETHERNET:
		address->MACAddress[0] &= FRAME_MASK_ETHERNET;
		break;
	case ADDRESS_TYPE_TOKENRING:
		address->MACAddress[0] &= FRAME_MASK_TOKENRING;
		break;
	case ADDRESS_TYPE_FDDI:
		address->MACAddress[0] &= FRAME_MASK_FDDI;
		break;
	}
}

static BYTE reverse_bits(BYTE byte)
{
	BYTE reversed = 0;

	for (int i = 0; i < 8; i++)
		reversed |= (BYTE)((byte >> i & 1) << (7 - i));
	return reversed;
}

static void change(ADDRESS2 *address, DWORD flags)
{
	if (flags & ADDRESSTYPE_FLAGS_NORMALIZE)
		normalize(address);
	if (flags & ADDRESSTYPE_FLAGS_BIT_REVERSE && address->Type == ADDRESS_TYPE_TOKENRING)
		for (int i = 0; i < MAC_ADDRESS_SIZE; i++)
			address->MACAddress[i] = reverse_bits(address->MACAddress[i]);
}

static DWORD get_address(HFRAME frame, ADDRESS2 *address, DWORD type, DWORD flags, enum end end)
{
	struct em_view view;
	ADDRESS2 found;
	DWORD offset, size;

	if (!address ||
	    flags & ~(ADDRESSTYPE_FLAGS_NORMALIZE | ADDRESSTYPE_FLAGS_BIT_REVERSE))
		return NMERR_INVALID_PARAMETER;
	if (!em_view_frame(frame, &view))
		return NMERR_INVALID_HFRAME;
	memset(&found, 0, sizeof(found));
	offset = find(&view, &type, end, &size);
	if (offset != NO_OFFSET)
		memcpy(found.IP6Address, view.frame->MacFrame + offset, size);
	em_view_end(&view);
	if (offset == NO_OFFSET)
		return NMERR_PROTOCOL_NOT_FOUND;
	found.Type = type;
	found.Flags = (WORD)flags;
	change(&found, flags);
	*address = found;
	return NMERR_SUCCESS;
}

DWORD WINAPI GetFrameSourceAddress(HFRAME hFrame, LPADDRESS2 lpAddress, DWORD AddressType,
				   DWORD Flags)
{
	return get_address(hFrame, lpAddress, AddressType, Flags, SOURCE);
}

DWORD WINAPI GetFrameDestAddress(HFRAME hFrame, LPADDRESS2 lpAddress, DWORD AddressType,
				 DWORD Flags)
{
	return get_address(hFrame, lpAddress, AddressType, Flags, DESTINATION);
}

/* --------------------------------------------------------------------------- comparing */

/* Bytes of an address; 0: addresses of this type have no bytes. */
static size_t size_of(DWORD type)
{
	switch (type) {
	case ADDRESS_TYPE_ETHERNET:
	case ADDRESS_TYPE_TOKENRING:
	case ADDRESS_TYPE_FDDI:
	case ADDRESS_TYPE_ATM:
	case ADDRESS_TYPE_1394:
		return MAC_ADDRESS_SIZE;
	case ADDRESS_TYPE_IP:
	case ADDRESS_TYPE_IP6:
	case ADDRESS_TYPE_IPX:
	case ADDRESS_TYPE_XNS:
	case ADDRESS_TYPE_VINES_IP:
		return packet_places[type].size;
	default:
		return 0;
	}
}

int WINAPI CompareAddresses(LPADDRESS2 lpAddress1, LPADDRESS2 lpAddress2)
{
	if (!lpAddress1 || !lpAddress2) {
		em_set_last_error(NMERR_INVALID_PARAMETER);
		return !!lpAddress1 - !!lpAddress2;
	}
	if (lpAddress1->Type != lpAddress2->Type)
		return lpAddress1->Type < lpAddress2->Type ? -1 : 1;
	return memcmp(lpAddress1->IP6Address, lpAddress2->IP6Address, size_of(lpAddress1->Type));
}

static BOOL compare_frame(HFRAME frame, LPADDRESS2 address, enum end end)
{
	const DWORD known = ADDRESSTYPE_FLAGS_NORMALIZE | ADDRESSTYPE_FLAGS_BIT_REVERSE;
	DWORD error = NMERR_INVALID_PARAMETER;
	ADDRESS2 found;
	BOOL same;

	if (address && address->Type != ADDRESS_TYPE_FIND_HIGHEST)
		error = get_address(frame, &found, address->Type, address->Flags & known, end);
	same = !error && !CompareAddresses(&found, address);
	/* SUCCESS: the frame has an address of this type, which differs. */
	if (!same)
		em_set_last_error(error);
	return same;
}

BOOL WINAPI CompareFrameSourceAddress(HFRAME hFrame, LPADDRESS2 lpAddress)
{
	return compare_frame(hFrame, lpAddress, SOURCE);
}

BOOL WINAPI CompareFrameDestAddress(HFRAME hFrame, LPADDRESS2 lpAddress)
{
	return compare_frame(hFrame, lpAddress, DESTINATION);
}

DWORD WINAPI MacTypeToAddressType(DWORD MacType)
{
	switch (MacType) {
	case MAC_TYPE_ETHERNET:
		return ADDRESS_TYPE_ETHERNET;
	case MAC_TYPE_TOKENRING:
		return ADDRESS_TYPE_TOKENRING;
	case MAC_TYPE_FDDI:
		return ADDRESS_TYPE_FDDI;
	case MAC_TYPE_ATM:
		return ADDRESS_TYPE_ATM;
	case MAC_TYPE_1394:
		return ADDRESS_TYPE_1394;
	default:
		em_set_last_error(NMERR_UNKNOWN_MACTYPE);
		return NO_TYPE;
	}
}

/* ------------------------------------------------------------------- addresses as text */

LPSTR WINAPI AddressToString(LPSTR string, BYTE *lpAddress)
{
	static const char digits[] = "0123456789ABCDEF";
	int i;

	if (!string || !lpAddress)
		return em_fail_null(NMERR_INVALID_PARAMETER);
	for (i = 0; i < MAC_ADDRESS_SIZE; i++) {
		string[2 * i] = digits[HINIBBLE(lpAddress[i])];
		string[2 * i + 1] = digits[LONIBBLE(lpAddress[i])];
	}
	string[2 * i] = '\0';
	return string;
}

/* The value of a hexadecimal digit; -1: it is none. */
static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

LPBYTE WINAPI StringToAddress(BYTE *lpAddress, LPSTR string)
{
	BYTE address[MAC_ADDRESS_SIZE];
	int i;

	if (!string || !lpAddress)
		return em_fail_null(NMERR_INVALID_PARAMETER);
	for (i = 0; i < MAC_ADDRESS_SIZE; i++) {
		int high, low;

		if (i && (*string == ':' || *string == '-'))
			string++;
		high = digit_of(string[0]);
		low = high < 0 ? -1 : digit_of(string[1]);
		if (low < 0)
			return em_fail_null(NMERR_INVALID_PARAMETER);
		address[i] = (BYTE)(high << 4 | low);
		string += 2;
	}
	if (*string)
		return em_fail_null(NMERR_INVALID_PARAMETER);
	return memcpy(lpAddress, address, sizeof(address));
}
