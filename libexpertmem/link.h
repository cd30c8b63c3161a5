/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Find the network packet of a frame behind the headers of its link layers. */
#ifndef EM_LINK_H
#define EM_LINK_H

#include <Netmon.h>

#pragma GCC visibility push(hidden)

/* The headers of a frame, and the results of the search. */
enum em_layer {
	EM_LAYER_ETHERNET,
	EM_LAYER_TOKENRING,
	EM_LAYER_FDDI,
	EM_LAYER_VLAN,		/* a tag of 802.1Q or 802.1ad, behind its EtherType */
	EM_LAYER_SERVICE_TAG,	/* of 802.1ah (MAC-in-MAC), behind its EtherType */
	EM_LAYER_LLC,		/* 802.2, perhaps with SNAP, which has an EtherType */
	EM_LAYER_SLL,		/* Linux cooked capture, version 1 */
	EM_LAYER_SLL2,		/* Linux cooked capture, version 2 */
	EM_LAYER_LOOPBACK,	/* BSD: the address family in four bytes */
	EM_LAYER_CISCO_HDLC,
	EM_LAYER_PPPOE,
	EM_LAYER_PPP,
	EM_LAYER_MPLS,
	EM_LAYER_RAW_IP,	/* IP, with the version in its first byte */
	EM_LAYERS_TO_WALK,

	EM_LAYER_IPV4 = EM_LAYERS_TO_WALK,
	EM_LAYER_IPV6,
	EM_LAYER_IPX,
	EM_LAYER_XNS,
	EM_LAYER_VINES,
	EM_LAYER_OTHER,		/* another protocol, or a link type that link.c cannot walk */
	EM_LAYER_CUT,		/* the frame ends inside a header */
};

/*
 * Step over all link headers of a frame of @size bytes. Returns the layer that ends the search, and
 * its offset. No byte behind @size is read. The search ends at the first packet, so for a tunnel it
 * finds the outer one.
 */
enum em_layer em_link_walk(uint16_t link_type, const unsigned char *bytes, uint32_t size,
			   uint32_t *offset);

#pragma GCC visibility pop

#endif /* EM_LINK_H */
