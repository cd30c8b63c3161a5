// SPDX-License-Identifier: GPL-2.0
/*
 * Each function below steps over the header of one layer and returns the next layer. Every header
 * has at least one byte, so the search ends, however deep headers are nested.
 */
#include "link.h"

#include <linux/if_arp.h>
#include <net/ethernet.h>
#include <stddef.h>

#define ETHERTYPE_QINQ		0x88a8
#define ETHERTYPE_OLD_QINQ	0x9100	/* used by switches before 802.1ad */
#define ETHERTYPE_BRIDGED	0x6558	/* a whole Ethernet frame */
#define ETHERTYPE_MAC_IN_MAC	0x88e7
#define ETHERTYPE_MPLS		0x8847
#define ETHERTYPE_MPLS_MULTI	0x8848
#define ETHERTYPE_PPPOE		0x8864

#define LONGEST_802_3	1500	/* a larger value is an EtherType, else it is a length */
#define SLL_802_2	4	/* Linux's ETH_P_802_2 in place of an EtherType */

#define PPP_IPV4	0x0021
#define PPP_IPV6	0x0057
#define PPP_MPLS	0x0281
#define PPP_MPLS_MULTI	0x0283

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

static enum layer of_ether_type(unsigned int type)
{
	switch (type) {
	case ETHERTYPE_IP:
		return LAYER_IPV4;
	case ETHERTYPE_IPV6:
		return LAYER_IPV6;
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_OLD_QINQ:
		return LAYER_VLAN;
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTI:
		return LAYER_MPLS;
	case ETHERTYPE_PPPOE:
		return LAYER_PPPOE;
	case ETHERTYPE_BRIDGED:
		return LAYER_ETHERNET;
	case ETHERTYPE_MAC_IN_MAC:
		return LAYER_SERVICE_TAG;
	default:
		return LAYER_NOT_IP;
	}
}

static enum layer of_type_or_length(unsigned int value)
{
	return value > LONGEST_802_3 ? of_ether_type(value) : LAYER_SNAP;
}

static enum layer ethernet(struct rest *rest)
{
	const unsigned char *header = take(rest, 14);

	return header ? of_type_or_length(get16(header + 12)) : LAYER_CUT;
}

static enum layer vlan(struct rest *rest)
{
	const unsigned char *tag = take(rest, 4);

	return tag ? of_type_or_length(get16(tag + 2)) : LAYER_CUT;
}

static enum layer service_tag(struct rest *rest)
{
	return take(rest, 4) ? LAYER_ETHERNET : LAYER_CUT;
}

static enum layer snap(struct rest *rest)
{
	const unsigned char *llc = take(rest, 3), *header;
	unsigned int organization;

	if (!llc)
		return LAYER_CUT;
	if (llc[0] == 0x06 && llc[1] == 0x06 && llc[2] == 0x03)
		return LAYER_RAW_IP;
	if (llc[0] != 0xaa || llc[1] != 0xaa || llc[2] != 0x03)
		return LAYER_NOT_IP;
	header = take(rest, 5);
	if (!header)
		return LAYER_CUT;
	organization = header[0] << 16 | get16(header + 1);
	/* 0: EtherTypes as such; 0xf8: those that bridges pass on unchanged */
	return organization == 0 || organization == 0xf8 ?
		of_ether_type(get16(header + 3)) : LAYER_NOT_IP;
}

static enum layer cooked(unsigned int device, unsigned int protocol)
{
	if (device == ARPHRD_NETLINK)	/* the protocol is a netlink family */
		return LAYER_NOT_IP;
	return protocol == SLL_802_2 ? LAYER_SNAP : of_ether_type(protocol);
}

static enum layer sll(struct rest *rest)
{
	const unsigned char *header = take(rest, 16);

	return header ? cooked(get16(header + 2), get16(header + 14)) : LAYER_CUT;
}

static enum layer sll2(struct rest *rest)
{
	const unsigned char *header = take(rest, 20);

	return header ? cooked(get16(header + 8), get16(header)) : LAYER_CUT;
}

static enum layer loopback(struct rest *rest)
{
	const unsigned char *header = take(rest, 4);

	if (!header)
		return LAYER_CUT;
	/* AF_INET and AF_INET6 of the system that captured, in its own byte order */
	switch (header[0] ? header[0] : header[3]) {
	case 2:
		return LAYER_IPV4;
	case 10:	/* Linux */
	case 24:	/* NetBSD, OpenBSD */
	case 28:	/* FreeBSD */
	case 30:	/* macOS */
		return LAYER_IPV6;
	default:
		return LAYER_NOT_IP;
	}
}

static enum layer cisco_hdlc(struct rest *rest)
{
	const unsigned char *header = take(rest, 4);

	return header ? of_ether_type(get16(header + 2)) : LAYER_CUT;
}

static enum layer pppoe(struct rest *rest)
{
	const unsigned char *header = take(rest, 6);

	if (!header)
		return LAYER_CUT;
	return header[1] == 0 ? LAYER_PPP : LAYER_NOT_IP;	/* code 0: session data */
}

static enum layer ppp(struct rest *rest)
{
	const unsigned char *header;
	unsigned int protocol;

	/* HDLC's address and control field, which the two ends may agree to leave out */
	if (rest->length && rest->bytes[0] == 0xff && !take(rest, 2))
		return LAYER_CUT;
	header = take(rest, 1);
	if (!header)
		return LAYER_CUT;
	protocol = header[0];
	if (!(protocol & 1)) {	/* an odd first byte is the whole number, compressed */
		header = take(rest, 1);
		if (!header)
			return LAYER_CUT;
		protocol = protocol << 8 | header[0];
	}
	switch (protocol) {
	case PPP_IPV4:
		return LAYER_IPV4;
	case PPP_IPV6:
		return LAYER_IPV6;
	case PPP_MPLS:
	case PPP_MPLS_MULTI:
		return LAYER_MPLS;
	default:
		return LAYER_NOT_IP;
	}
}

static enum layer raw_ip(struct rest *rest)
{
	if (!rest->length)
		return LAYER_CUT;
	switch (rest->bytes[0] >> 4) {
	case 4:
		return LAYER_IPV4;
	case 6:
		return LAYER_IPV6;
	default:
		return LAYER_NOT_IP;
	}
}

/*
 * MPLS has no type of its payload. Routers guess it from the first four bits: 4 and 6 are IP.
 * Otherwise the payload may be an Ethernet frame, perhaps behind four bytes that begin with 0.
 */
static enum layer mpls(struct rest *rest)
{
	const unsigned char *label;

	do {
		label = take(rest, 4);
		if (!label)
			return LAYER_CUT;
	} while (!(label[2] & 1));	/* the bottom of the stack */

	if (raw_ip(rest) != LAYER_NOT_IP)
		return raw_ip(rest);
	if (rest->length >= 14 && of_ether_type(get16(rest->bytes + 12)) != LAYER_NOT_IP)
		return LAYER_ETHERNET;
	if (rest->bytes[0] >> 4 == 0)
		return take(rest, 4) ? LAYER_ETHERNET : LAYER_CUT;
	return LAYER_NOT_IP;
}

enum layer walk_to_ip(enum layer first, struct rest *rest)
{
	static enum layer (*const step[LAYERS_TO_WALK])(struct rest *rest) = {
		[LAYER_ETHERNET]   = ethernet,
		[LAYER_VLAN]	   = vlan,
		[LAYER_SERVICE_TAG] = service_tag,
		[LAYER_SNAP]	   = snap,
		[LAYER_SLL]	   = sll,
		[LAYER_SLL2]	   = sll2,
		[LAYER_LOOPBACK]   = loopback,
		[LAYER_CISCO_HDLC] = cisco_hdlc,
		[LAYER_PPPOE]	   = pppoe,
		[LAYER_PPP]	   = ppp,
		[LAYER_MPLS]	   = mpls,
		[LAYER_RAW_IP]	   = raw_ip,
	};
	enum layer layer = first;

	while (layer < LAYERS_TO_WALK)
		layer = step[layer](rest);
	return layer;
}
