/* SPDX-License-Identifier: GPL-2.0 */
/* Find the IP packet of a frame behind the headers of its link layers. */
#ifndef LINK_H
#define LINK_H

/* The headers of a frame, and the results of the search. */
enum layer {
	LAYER_ETHERNET,
	LAYER_VLAN,		/* a tag of 802.1Q or 802.1ad, behind its EtherType */
	LAYER_SERVICE_TAG,	/* of 802.1ah (MAC-in-MAC), behind its EtherType */
	LAYER_SNAP,		/* 802.2 LLC, perhaps with SNAP, which has an EtherType */
	LAYER_SLL,		/* Linux cooked capture, version 1 */
	LAYER_SLL2,		/* Linux cooked capture, version 2 */
	LAYER_LOOPBACK,		/* BSD: the address family in four bytes */
	LAYER_CISCO_HDLC,
	LAYER_PPPOE,
	LAYER_PPP,
	LAYER_MPLS,
	LAYER_RAW_IP,		/* IP, with the version in its first byte */
	LAYERS_TO_WALK,

	LAYER_IPV4 = LAYERS_TO_WALK,
	LAYER_IPV6,
	LAYER_NOT_IP,
	LAYER_CUT,		/* the frame ends inside a header */
	LAYER_UNKNOWN,		/* a link type that link.c cannot walk */
};

/* The bytes of a frame behind the headers that were read. */
struct rest {
	const unsigned char *bytes;
	unsigned int length;
};

/*
 * Step over all headers of a frame whose first header is @first. Return LAYER_IPV4 or LAYER_IPV6,
 * with the packet in @rest, or another layer that ends the search. No byte behind @rest->length is
 * read. The search ends at the first IP header, so for a tunnel it finds the outer packet.
 */
enum layer walk_to_ip(enum layer first, struct rest *rest);

#endif /* LINK_H */
