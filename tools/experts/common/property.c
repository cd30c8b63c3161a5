// SPDX-License-Identifier: GPL-2.0
#include "property.h"

#include <string.h>

HPROPERTY property_find(const char *name, DWORD *error)
{
	size_t length = strcspn(name, "/");
	const char *property = name + length + 1;
	char protocol[256];
	HPROTOCOL handle;
	HPROPERTY found;

	if (!name[length]) {
		length = strcspn(name, ".");
		property = name;
	}
	if (length >= sizeof(protocol)) {
		*error = NMERR_PROTOCOL_NOT_FOUND;
		return 0;
	}
	memcpy(protocol, name, length);
	protocol[length] = '\0';
	handle = GetProtocolFromName(protocol);
	found = handle ? GetProperty(handle, (LPSTR)property) : 0;
	*error = found ? NMERR_SUCCESS : BhGetLastError();
	return found;
}

const BYTE *property_bytes(LPPROPERTYINST instance, DWORD *length)
{
	const BYTE *bytes = GetPropertyInstanceData(instance);

	*length = GetPropertyInstanceExDataLength(instance);
	if (*length == 0xffff)
		*length = GetPropertyInstanceFrameDataLength(instance);
	if (!bytes)
		*length = 0;
	return bytes;
}

/* FNV-1a */
uint64_t property_hash(LPPROPERTYINST instance)
{
	uint64_t hash = 0xcbf29ce484222325;
	DWORD length;
	const BYTE *bytes = property_bytes(instance, &length);

	for (DWORD i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

bool property_number(LPPROPERTYINST instance, uint64_t *number)
{
	DWORD length;
	const BYTE *bytes = property_bytes(instance, &length);

	switch (instance->lpPropertyInfo->DataType) {
	case PROP_TYPE_BYTE:
	case PROP_TYPE_WORD:
	case PROP_TYPE_DWORD:
	case PROP_TYPE_LARGEINT:
	case PROP_TYPE_VAR_LEN_SMALL_INT:
		break;
	default:
		return false;
	}
	if (!length || length > sizeof(*number))
		return false;
	*number = 0;
	/* without IFLAG_SWAPPED, the lowest byte comes first */
	for (DWORD i = 0; i < length; i++)
		*number = *number << 8 |
			  bytes[instance->IFlags & IFLAG_SWAPPED ? i : length - 1 - i];
	return true;
}

DWORD property_absent(void)
{
	DWORD error = BhGetLastError();

	return error == NMERR_PROPERTY_NOT_FOUND ? NMERR_SUCCESS : error;
}
