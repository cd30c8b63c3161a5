// SPDX-License-Identifier: GPL-2.0-or-later
/* The form that a field of Wireshark has in Netmon.h. */
#include "ws.h"

#include <Netmon.h>

static struct form integer_form(unsigned int width, uint8_t flags)
{
	static const uint8_t types[] = {
		[1] = PROP_TYPE_BYTE, [2] = PROP_TYPE_WORD, [4] = PROP_TYPE_DWORD,
		[8] = PROP_TYPE_LARGEINT,
	};
	uint8_t type = types[width];

	return (struct form){ type ? type : PROP_TYPE_VAR_LEN_SMALL_INT, width, flags };
}

/* Bytes of an integer of this type; 0: the type is no integer. */
static unsigned int integer_width(enum ftenum type)
{
	switch (type) {
	case FT_CHAR:
	case FT_BOOLEAN:
	case FT_UINT8:
	case FT_INT8:
		return 1;
	case FT_UINT16:
	case FT_INT16:
		return 2;
	case FT_UINT24:
	case FT_INT24:
		return 3;
	case FT_UINT32:
	case FT_INT32:
	case FT_FRAMENUM:
	case FT_IPXNET:
		return 4;
	case FT_UINT40:
	case FT_INT40:
		return 5;
	case FT_UINT48:
	case FT_INT48:
		return 6;
	case FT_UINT56:
	case FT_INT56:
		return 7;
	case FT_UINT64:
	case FT_INT64:
		return 8;
	default:
		return 0;
	}
}

struct form field_form(const header_field_info *field)
{
	unsigned int width = integer_width(field->type);
	uint8_t flags = 0;

	if (FT_IS_INT(field->type))
		flags |= ENGINE_FIELD_SIGNED;
	if (width && field->type != FT_BOOLEAN && (FIELD_DISPLAY(field->display) == BASE_HEX ||
						   FIELD_DISPLAY(field->display) == BASE_HEX_DEC))
		flags |= ENGINE_FIELD_HEX;
	if (width)
		return integer_form(width, flags);

	switch (field->type) {
	case FT_NONE:
		return (struct form){ field->id == hf_text_only ? PROP_TYPE_STRING : PROP_TYPE_VOID,
				      0, 0 };
	case FT_PROTOCOL:
		return (struct form){ PROP_TYPE_SUMMARY, 0, 0 };
	case FT_ETHER:
		return (struct form){ PROP_TYPE_ETHERNET_ADDRESS, 0, 0 };
	case FT_IPv4:
		return (struct form){ PROP_TYPE_IP_ADDRESS, 0, 0 };
	case FT_IPv6:
		return (struct form){ PROP_TYPE_IP6_ADDRESS, 0, 0 };
	case FT_VINES:
		return (struct form){ PROP_TYPE_VINES_IP_ADDRESS, 0, 0 };
	case FT_OID:
		return (struct form){ PROP_TYPE_OBJECT_IDENTIFIER, 0, 0 };
	case FT_ABSOLUTE_TIME:
		return (struct form){ PROP_TYPE_TIME, 0, 0 };
	case FT_RELATIVE_TIME:
		return integer_form(8, ENGINE_FIELD_SIGNED | ENGINE_FIELD_DURATION);
	case FT_FLOAT:
	case FT_DOUBLE:
		return (struct form){ PROP_TYPE_RAW_DATA, 0, ENGINE_FIELD_DOUBLE };
	default:
		return (struct form){ FT_IS_STRING(field->type) ? PROP_TYPE_STRING :
								  PROP_TYPE_RAW_DATA, 0, 0 };
	}
}
