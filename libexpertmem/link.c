// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Find the network packet of a frame behind the headers of its link layers.
 *
 * Each function below steps over the header of one layer and returns the next layer. Every header
 * has at least one byte, so the search ends, however deep headers are nested.
 */
#include <net/ethernet.h>
#include <stddef.h>

#include "link.h"

#define ETHERTYPE_QINQ		0x88a8
#define ETHERTYPE_OLD_QINQ	0x9100	/* used by switches before 802.1ad */
#define ETHERTYPE_BRIDGED	0x6558	/* a whole Ethernet frame */
#define ETHERTYPE_MAC_IN_MAC	0x88e7
#define ETHERTYPE_MPLS		0x8847
#define ETHERTYPE_MPLS_MULTI	0x8848
#define ETHERTYPE_PPPOE		0x8864

#define ETHERTYPE_XNS		0x0600
#define ETHERTYPE_VINES		0x0bad
#define ETHERTYPE_NOVELL	0x8137

/* of <linux/if_arp.h>, which musl's <net/ethernet.h> does not go with */
#define ARPHRD_NETLINK		824

/* Service access points of 802.2 */
#define SAP_IP		0x06
#define SAP_XNS		0x80
#define SAP_SNAP	0xaa
#define SAP_IPX		0xe0
#define LLC_UI		0x03	/* unnumbered information */

#define LONGEST_802_3	1500	/* a larger value is an EtherType, else it is a length */
#define SLL_802_2	4	/* Linux's ETH_P_802_2 in place of an EtherType */

#define PPP_IPV4	0x0021
#define PPP_IPV6	0x0057
#define PPP_MPLS	0x0281
#define PPP_MPLS_MULTI	0x0283

/* The bytes of a frame behind the headers that were read. */
struct rest {
	const unsigned char *bytes;
	unsigned int length;
};

/* Take @length bytes off the rest and return them; NULL: the frame is cut short. */
static const unsigned char *take(struct rest *rest, unsigned int length)
{
	const unsigned char *header = rest->bytes;

	if (rest->length < length)
		return NULL;
	rest->bytes += length;
	rest->length -= length;
	return header;
}

static unsigned int get16(const unsigned char *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static enum em_layer of_ether_type(unsigned int type)
{
	switch (type) {
	case ETHERTYPE_IP:
		return EM_LAYER_IPV4;
	case ETHERTYPE_IPV6:
		return EM_LAYER_IPV6;
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_OLD_QINQ:
		return EM_LAYER_VLAN;
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTI:
		return EM_LAYER_MPLS;
	case ETHERTYPE_PPPOE:
		return EM_LAYER_PPPOE;
	case ETHERTYPE_BRIDGED:
		return EM_LAYER_ETHERNET;
	case ETHERTYPE_MAC_IN_MAC:
		return EM_LAYER_SERVICE_TAG;
	case ETHERTYPE_NOVELL:
		return EM_LAYER_IPX;
	case ETHERTYPE_XNS:
		return EM_LAYER_XNS;
	case ETHERTYPE_VINES:
		return EM_LAYER_VINES;
	default:
		return EM_LAYER_OTHER;
	}
}

static enum em_layer of_type_or_length(unsigned int value)
{
	return value > LONGEST_802_3 ? of_ether_type(value) : EM_LAYER_LLC;
}

static enum em_layer ethernet(struct rest *rest)
{
	const unsigned char *header = take(rest, 14);

	return header ? of_type_or_length(get16(header + 12)) : EM_LAYER_CUT;
}

static enum em_layer vlan(struct rest *rest)
{
	const unsigned char *tag = take(rest, 4);

	return tag ? of_type_or_length(get16(tag + 2)) : EM_LAYER_CUT;
}

static enum em_layer service_tag(struct rest *rest)
{
	return take(rest, 4) ? EM_LAYER_ETHERNET : EM_LAYER_CUT;
}

static enum em_layer llc(struct rest *rest)
{
	const unsigned char *header, *snap;
	unsigned int organization;

	/* Novell's frames without 802.2 begin with IPX's checksum, which is not used. */
	if (rest->length >= 2 && rest->bytes[0] == 0xff && rest->bytes[1] == 0xff)
		return EM_LAYER_IPX;
	header = take(rest, 3);
	if (!header)
		return EM_LAYER_CUT;
	if (header[0] != header[1] || header[2] != LLC_UI)
		return EM_LAYER_OTHER;
	switch (header[0]) {
	case SAP_IP:
		return EM_LAYER_RAW_IP;
	case SAP_IPX:
		return EM_LAYER_IPX;
	case SAP_XNS:
		return EM_LAYER_XNS;
	case SAP_SNAP:
		break;
	default:
		return EM_LAYER_OTHER;
	}
	snap = take(rest, 5);
	if (!snap)
		return EM_LAYER_CUT;
	organization = snap[0] << 16 | get16(snap + 1);
	/* 0: EtherTypes as such; 0xf8: those that bridges pass on unchanged */
	return organization == 0 || organization == 0xf8 ?
		of_ether_type(get16(snap + 3)) : EM_LAYER_OTHER;
}

/* The second byte has the type of the frame. A header of 802.2 follows only in LLC frames. */
static enum em_layer token_ring(struct rest *rest)
{
	const unsigned char *header = take(rest, TOKENRING_HEADER_LENGTH), *routing;
	unsigned int length;

	if (!header)
		return EM_LAYER_CUT;
	if ((header[1] & 0xc0) != TOKENRING_TYPE_LLC)
		return EM_LAYER_OTHER;
	if (!(header[8] & TOKENRING_SA_ROUTING_INFO))
		return EM_LAYER_LLC;
	if (!rest->length)
		return EM_LAYER_CUT;
	routing = rest->bytes;
	length = routing[0] & TOKENRING_RC_LENGTHMASK;
	return take(rest, length) ? EM_LAYER_LLC : EM_LAYER_CUT;
}

static enum em_layer fddi(struct rest *rest)
{
	const unsigned char *header = take(rest, FDDI_HEADER_LENGTH);

	if (!header)
		return EM_LAYER_CUT;
	return (header[0] & 0x30) == FDDI_TYPE_LLC ? EM_LAYER_LLC : EM_LAYER_OTHER;
}

static enum em_layer cooked(unsigned int device, unsigned int protocol)
{
	if (device == ARPHRD_NETLINK)	/* the protocol is a netlink family */
		return EM_LAYER_OTHER;
	return protocol == SLL_802_2 ? EM_LAYER_LLC : of_ether_type(protocol);
}

static enum em_layer sll(struct rest *rest)
{
	const unsigned char *header = take(rest, 16);

	return header ? cooked(get16(header + 2), get16(header + 14)) : EM_LAYER_CUT;
}

static enum em_layer sll2(struct rest *rest)
{
	const unsigned char *header = take(rest, 20);

	return header ? cooked(get16(header + 8), get16(header)) : EM_LAYER_CUT;
}

static enum em_layer loopback(struct rest *rest)
{
	const unsigned char *header = take(rest, 4);

	if (!header)
		return EM_LAYER_CUT;
	/* AF_INET and AF_INET6 of the system that captured, in its own byte order */
	switch (header[0] ? header[0] : header[3]) {
	case 2:
		return EM_LAYER_IPV4;
	case 10:	/* Linux */
	case 24:	/* NetBSD, OpenBSD */
	case 28:	/* FreeBSD */
	case 30:	/* macOS */
		return EM_LAYER_IPV6;
	default:
		return EM_LAYER_OTHER;
	}
}

static enum em_layer cisco_hdlc(struct rest *rest)
{
	const unsigned char *header = take(rest, 4);

	return header ? of_ether_type(get16(header + 2)) : EM_LAYER_CUT;
}

static enum em_layer pppoe(struct rest *rest)
{
	const unsigned char *header = take(rest, 6);

	if (!header)
		return EM_LAYER_CUT;
	return header[1] == 0 ? EM_LAYER_PPP : EM_LAYER_OTHER;	/* code 0: session data */
}

static enum em_layer ppp(struct rest *rest)
{
	const unsigned char *header;
	unsigned int protocol;

	/* HDLC's address and control field, which the two ends may agree to leave out */
	if (rest->length && rest->bytes[0] == 0xff && !take(rest, 2))
		return EM_LAYER_CUT;
	header = take(rest, 1);
	if (!header)
		return EM_LAYER_CUT;
	protocol = header[0];
	if (!(protocol & 1)) {	/* an odd first byte is the whole number, compressed */
		header = take(rest, 1);
		if (!header)
			return EM_LAYER_CUT;
		protocol = protocol << 8 | header[0];
	}
	switch (protocol) {
	case PPP_IPV4:
		return EM_LAYER_IPV4;
	case PPP_IPV6:
		return EM_LAYER_IPV6;
	case PPP_MPLS:
	case PPP_MPLS_MULTI:
		return EM_LAYER_MPLS;
	default:
		return EM_LAYER_OTHER;
	}
}

static enum em_layer raw_ip(struct rest *rest)
{
	if (!rest->length)
		return EM_LAYER_CUT;
	switch (rest->bytes[0] >> 4) {
	case 4:
		return EM_LAYER_IPV4;
	case 6:
		return EM_LAYER_IPV6;
	default:
		return EM_LAYER_OTHER;
	}
}

/*
 * MPLS has no type of its payload. Routers guess it from the first four bits: 4 and 6 are IP.
 * Otherwise the payload may be an Ethernet frame, perhaps behind four bytes that begin with 0.
 */
static enum em_layer mpls(struct rest *rest)
{
	const unsigned char *label;

	do {
		label = take(rest, 4);
		if (!label)
			return EM_LAYER_CUT;
	} while (!(label[2] & 1));	/* the bottom of the stack */

	if (raw_ip(rest) != EM_LAYER_OTHER)
		return raw_ip(rest);
	if (rest->length >= 14 && of_ether_type(get16(rest->bytes + 12)) != EM_LAYER_OTHER)
		return EM_LAYER_ETHERNET;
	if (rest->bytes[0] >> 4 == 0)
		return take(rest, 4) ? EM_LAYER_ETHERNET : EM_LAYER_CUT;
	return EM_LAYER_OTHER;
}

/* The first header of a frame with this LINKTYPE_. */
static enum em_layer first_layer(uint16_t link_type)
{
	switch (link_type) {
	case 0:
	case 108:
		return EM_LAYER_LOOPBACK;
	case 1:
		return EM_LAYER_ETHERNET;
	case 6:
		return EM_LAYER_TOKENRING;
	case 9:
	case 50:
		return EM_LAYER_PPP;
	case 10:
		return EM_LAYER_FDDI;
	case 12:	/* OpenBSD's number of 101 on other systems */
	case 101:
	case 228:
	case 229:
		return EM_LAYER_RAW_IP;
	case 51:
		return EM_LAYER_PPPOE;
	case 100:
		return EM_LAYER_LLC;
	case 104:
		return EM_LAYER_CISCO_HDLC;
	case 113:
		return EM_LAYER_SLL;
	case 276:
		return EM_LAYER_SLL2;
	default:
		return EM_LAYER_OTHER;
	}
}

enum em_layer em_link_walk(uint16_t link_type, const unsigned char *bytes, uint32_t size,
			   uint32_t *offset)
{
	static enum em_layer (*const step[EM_LAYERS_TO_WALK])(struct rest *rest) = {
		[EM_LAYER_ETHERNET]	= ethernet,
		[EM_LAYER_TOKENRING]	= token_ring,
		[EM_LAYER_FDDI]		= fddi,
		[EM_LAYER_VLAN]		= vlan,
		[EM_LAYER_SERVICE_TAG]	= service_tag,
		[EM_LAYER_LLC]		= llc,
		[EM_LAYER_SLL]		= sll,
		[EM_LAYER_SLL2]		= sll2,
		[EM_LAYER_LOOPBACK]	= loopback,
		[EM_LAYER_CISCO_HDLC]	= cisco_hdlc,
		[EM_LAYER_PPPOE]	= pppoe,
		[EM_LAYER_PPP]		= ppp,
		[EM_LAYER_MPLS]		= mpls,
		[EM_LAYER_RAW_IP]	= raw_ip,
	};
	enum em_layer layer = first_layer(link_type);
	struct rest rest = { .bytes = bytes, .length = size };

	while (layer < EM_LAYERS_TO_WALK)
		layer = step[layer](&rest);
	*offset = (uint32_t)(rest.bytes - bytes);
	return layer;
}
