/* SPDX-License-Identifier: GPL-2.0 */
/* The headers of link layers, from the first byte of a frame to the IP packet in it. */
#ifndef LINK_H
#define LINK_H

/* Headers that a frame may begin with or carry, and what is found behind all of them. */
enum layer {
	LAYER_ETHERNET,
	LAYER_VLAN,		/* a tag of 802.1Q or 802.1ad, behind its EtherType */
	LAYER_SERVICE_TAG,	/* of 802.1ah (MAC-in-MAC), behind its EtherType */
	LAYER_SNAP,		/* 802.2 LLC, which SNAP extends by an EtherType */
	LAYER_SLL,		/* Linux cooked capture, version 1 */
	LAYER_SLL2,		/* and version 2 */
	LAYER_LOOPBACK,		/* BSD: the address family in four bytes */
	LAYER_CISCO_HDLC,
	LAYER_PPPOE,
	LAYER_PPP,
	LAYER_MPLS,
	LAYER_RAW_IP,		/* IP of the version that its first byte says */
	LAYERS_TO_WALK,

	LAYER_IPV4 = LAYERS_TO_WALK,
	LAYER_IPV6,
	LAYER_NOT_IP,
	LAYER_CUT,		/* the frame ends inside a header */
	LAYER_UNKNOWN,		/* a link type that link.c cannot walk */
};

/* Bytes of a frame that are not looked at yet. */
struct rest {
	const unsigned char *bytes;
	unsigned int length;
};

/*
 * Step over all headers of a frame that begins with @first. Return LAYER_IPV4 or LAYER_IPV6,
 * with the packet as the @rest; or another of the layers that end the walk. No byte behind
 * @rest->length is read. Behind a tunnel's own IP header the walk does not go: the packet
 * that is found is the outermost.
 */
enum layer walk_to_ip(enum layer first, struct rest *rest);

#endif /* LINK_H */
