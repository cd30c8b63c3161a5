/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers of link layers, alone and nested, and what is behind them. layers.c walks them;
 * mkpcap writes them to captures, which tshark judges.
 */
#ifndef LAYERS_TEST_H
#define LAYERS_TEST_H

#include "../../libexpertmem/link.h"

/* The LINKTYPE_ of a frame whose first header it is. */
enum {
	LINK_LOOPBACK	= 0,
	LINK_ETHERNET	= 1,
	LINK_PPP	= 9,
	LINK_PPPOE	= 51,
	LINK_RAW_IP	= 101,
	LINK_CISCO_HDLC	= 104,
	LINK_SLL	= 113,
	LINK_SLL2	= 276,
};

struct stack {
	const char *name;
	unsigned int link_type;		/* where the walk begins */
	enum em_layer end;		/* where it ends */
	unsigned int length;		/* bytes of the headers: all of them decide */
	const unsigned char *headers;
};

#define BE16(value)		(value) >> 8 & 0xff, (value) & 0xff
#define MAC(last)		0x00, 0x16, 0x3e, 1, 2, (last)

#define ETHERNET(type)		MAC(1), MAC(2), BE16(type)
#define TAG(type)		0, 5, BE16(type)
#define LABEL			0, 1, 0, 64
#define LAST_LABEL		0, 1, 1, 64
#define CONTROL_WORD		0, 0, 0, 0
#define SERVICE_TAG		0, 0, 1, 0
#define PPPOE(code, length)	0x11, (code), 0, 1, BE16(length)
#define LLC(address)		(address), (address), 3
#define SNAP(last, type)	LLC(0xaa), 0, 0, (last), BE16(type)
#define SLL(device, protocol)	0, 0, BE16(device), 0, 6, MAC(1), 0, 0, BE16(protocol)
#define SLL2(device, protocol)	BE16(protocol), 0, 0, 0, 0, 0, 1, BE16(device), 0, 6, MAC(1), 0, 0

enum { IPV4 = 0x0800, IPV6 = 0x86dd, VLAN = 0x8100, QINQ = 0x88a8, MPLS = 0x8847 };
enum { DEVICE_ETHERNET = 1, DEVICE_NETLINK = 824 };
/* bytes that a stack's packet has */
enum { LEN4 = 20, LEN6 = 40 };

#define STACK(name, first, end, ...)						\
	{ name, LINK_##first, EM_LAYER_##end, sizeof((unsigned char[]){ __VA_ARGS__ }),	\
	  (const unsigned char[]){ __VA_ARGS__ } }

static const struct stack stacks[] = {
	STACK("Ethernet", ETHERNET, IPV4, ETHERNET(IPV4)),
	STACK("Ethernet", ETHERNET, IPV6, ETHERNET(IPV6)),
	STACK("VLAN", ETHERNET, IPV4, ETHERNET(VLAN), TAG(IPV4)),
	STACK("QinQ", ETHERNET, IPV6, ETHERNET(QINQ), TAG(VLAN), TAG(IPV6)),
	STACK("old QinQ", ETHERNET, IPV4, ETHERNET(0x9100), TAG(VLAN), TAG(IPV4)),
	STACK("four tags", ETHERNET, IPV4, ETHERNET(QINQ), TAG(QINQ), TAG(VLAN), TAG(VLAN), TAG(IPV4)),
	STACK("SNAP", ETHERNET, IPV4, ETHERNET(8 + LEN4), SNAP(0, IPV4)),
	STACK("SNAP of a bridge", ETHERNET, IPV6, ETHERNET(8 + LEN6), SNAP(0xf8, IPV6)),
	STACK("SNAP in a VLAN", ETHERNET, IPV4, ETHERNET(VLAN), TAG(8 + LEN4), SNAP(0, IPV4)),
	STACK("LLC", ETHERNET, IPV4, ETHERNET(3 + LEN4), LLC(6)),
	STACK("MPLS", ETHERNET, IPV4, ETHERNET(MPLS), LAST_LABEL),
	STACK("MPLS multicast", ETHERNET, IPV6, ETHERNET(0x8848), LAST_LABEL),
	STACK("three labels", ETHERNET, IPV6, ETHERNET(MPLS), LABEL, LABEL, LAST_LABEL),
	STACK("MPLS in QinQ", ETHERNET, IPV4, ETHERNET(QINQ), TAG(VLAN), TAG(MPLS), LAST_LABEL),
	STACK("pseudowire", ETHERNET, IPV4, ETHERNET(MPLS), LABEL, LAST_LABEL, CONTROL_WORD,
	      ETHERNET(IPV4)),
	STACK("VLAN in a pseudowire", ETHERNET, IPV6, ETHERNET(MPLS), LAST_LABEL, CONTROL_WORD,
	      ETHERNET(VLAN), TAG(IPV6)),
	STACK("pseudowire without a control word", ETHERNET, IPV4, ETHERNET(MPLS), LAST_LABEL,
	      ETHERNET(IPV4)),
	STACK("PPPoE", ETHERNET, IPV4, ETHERNET(0x8864), PPPOE(0, 2 + LEN4), BE16(0x0021)),
	STACK("PPPoE", ETHERNET, IPV6, ETHERNET(0x8864), PPPOE(0, 2 + LEN6), BE16(0x0057)),
	STACK("PPPoE in QinQ", ETHERNET, IPV4, ETHERNET(QINQ), TAG(VLAN), TAG(0x8864),
	      PPPOE(0, 2 + LEN4), BE16(0x0021)),
	STACK("MPLS in PPPoE", ETHERNET, IPV4, ETHERNET(0x8864), PPPOE(0, 6 + LEN4), BE16(0x0281),
	      LAST_LABEL),
	STACK("PPPoE in MPLS", ETHERNET, IPV4, ETHERNET(MPLS), LAST_LABEL, CONTROL_WORD,
	      ETHERNET(0x8864), PPPOE(0, 2 + LEN4), BE16(0x0021)),
	STACK("Mac-in-Mac", ETHERNET, IPV4, ETHERNET(QINQ), TAG(0x88e7), SERVICE_TAG, ETHERNET(IPV4)),
	STACK("ARP", ETHERNET, OTHER, ETHERNET(0x0806)),
	STACK("spanning tree", ETHERNET, OTHER, ETHERNET(38), LLC(0x42)),
	STACK("IPX", ETHERNET, IPX, ETHERNET(30), 0xff, 0xff),
	STACK("IPX of Novell", ETHERNET, IPX, ETHERNET(0x8137)),
	STACK("IPX in 802.2", ETHERNET, IPX, ETHERNET(33), LLC(0xe0)),
	STACK("XNS", ETHERNET, XNS, ETHERNET(0x0600)),
	STACK("XNS in 802.2", ETHERNET, XNS, ETHERNET(33), LLC(0x80)),
	STACK("VINES", ETHERNET, VINES, ETHERNET(0x0bad)),
	STACK("VINES in a VLAN", ETHERNET, VINES, ETHERNET(VLAN), TAG(0x0bad)),
	STACK("VINES in SNAP", ETHERNET, VINES, ETHERNET(38), SNAP(0, 0x0bad)),
	STACK("SNAP of Cisco", ETHERNET, OTHER, ETHERNET(30), LLC(0xaa), 0, 0, 0xc, BE16(IPV4)),
	STACK("PPPoE discovery", ETHERNET, OTHER, ETHERNET(0x8863)),
	STACK("PPPoE's end", ETHERNET, OTHER, ETHERNET(0x8864), PPPOE(0xa7, 0)),
	STACK("PPP's link control", ETHERNET, OTHER, ETHERNET(0x8864), PPPOE(0, 10), BE16(0xc021)),
	STACK("pseudowire's control", ETHERNET, OTHER, ETHERNET(MPLS), LAST_LABEL, 0x10),

	STACK("SLL", SLL, IPV4, SLL(DEVICE_ETHERNET, IPV4)),
	STACK("SLL", SLL, IPV6, SLL(DEVICE_ETHERNET, IPV6)),
	STACK("VLAN in SLL", SLL, IPV4, SLL(DEVICE_ETHERNET, VLAN), TAG(IPV4)),
	STACK("QinQ in SLL", SLL, IPV6, SLL(DEVICE_ETHERNET, QINQ), TAG(VLAN), TAG(IPV6)),
	STACK("SNAP in SLL", SLL, IPV4, SLL(DEVICE_ETHERNET, 4), SNAP(0, IPV4)),
	STACK("MPLS in SLL", SLL, IPV4, SLL(DEVICE_ETHERNET, MPLS), LAST_LABEL),
	STACK("PPPoE in SLL", SLL, IPV4, SLL(DEVICE_ETHERNET, 0x8864), PPPOE(0, 2 + LEN4), BE16(0x0021)),
	STACK("netlink in SLL", SLL, OTHER, SLL(DEVICE_NETLINK, IPV4)),
	STACK("CAN in SLL", SLL, OTHER, SLL(280, 12)),

	STACK("SLL2", SLL2, IPV4, SLL2(DEVICE_ETHERNET, IPV4)),
	STACK("SLL2", SLL2, IPV6, SLL2(DEVICE_ETHERNET, IPV6)),
	STACK("VLAN in SLL2", SLL2, IPV4, SLL2(DEVICE_ETHERNET, VLAN), TAG(IPV4)),
	STACK("netlink in SLL2", SLL2, OTHER, SLL2(DEVICE_NETLINK, IPV4)),

	STACK("loopback", LOOPBACK, IPV4, 2, 0, 0, 0),
	STACK("FreeBSD's loopback", LOOPBACK, IPV6, 28, 0, 0, 0),
	STACK("macOS's loopback", LOOPBACK, IPV6, 0, 0, 0, 30),
	STACK("AppleTalk's loopback", LOOPBACK, OTHER, 16, 0, 0, 0),

	STACK("PPP", PPP, IPV4, BE16(0x0021)),
	STACK("PPP", PPP, IPV6, BE16(0x0057)),
	STACK("PPP in HDLC", PPP, IPV4, 0xff, 3, BE16(0x0021)),
	STACK("PPP, compressed", PPP, IPV4, 0x21),
	STACK("MPLS in PPP", PPP, IPV6, BE16(0x0281), LAST_LABEL),
	STACK("PPP's link control", PPP, OTHER, BE16(0xc021)),

	STACK("Cisco HDLC", CISCO_HDLC, IPV4, 0xf, 0, BE16(IPV4)),
	STACK("Cisco HDLC", CISCO_HDLC, IPV6, 0xf, 0, BE16(IPV6)),
	STACK("Cisco's keepalive", CISCO_HDLC, OTHER, 0x8f, 0, BE16(0x8035)),

	STACK("PPPoE alone", PPPOE, IPV4, PPPOE(0, 2 + LEN4), BE16(0x0021)),

	STACK("raw IP", RAW_IP, IPV4, 0x45),
	STACK("raw IP", RAW_IP, IPV6, 0x60),
	STACK("raw, no IP", RAW_IP, OTHER, 0x50),
};

#define STACKS (sizeof(stacks) / sizeof(stacks[0]))

#endif /* LAYERS_TEST_H */
