// SPDX-License-Identifier: GPL-2.0
/*
 * The library's walk over the link layer headers of a frame finds the network packet, and reads no
 * byte behind the end of the frame: each frame ends where a page begins that cannot be read.
 *
 * needs: native
 * also: fast
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "layers_test.h"

#define LONGEST 256

/* A copy of these bytes at the end of what can be read. */
static const unsigned char *at_the_end(const void *bytes, unsigned int length)
{
	static unsigned char *end;

	if (!end) {
		size_t page = sysconf(_SC_PAGESIZE);

		end = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (end == MAP_FAILED || mprotect(end + page, page, PROT_NONE))
			abort();
		end += page;
	}
	return memcpy(end - length, bytes, length);
}

/* Walk a copy of these bytes. */
static enum em_layer walk(unsigned int link_type, const void *bytes, unsigned int length,
			  uint32_t *offset)
{
	return em_link_walk(link_type, at_the_end(bytes, length), length, offset);
}

/* The headers are in front of the packet, but those of raw IP, which are its first byte. */
static unsigned int packet_at(const struct stack *stack)
{
	return stack->link_type == LINK_RAW_IP ? 0 : stack->length;
}

static bool is_ip(enum em_layer layer)
{
	return layer == EM_LAYER_IPV4 || layer == EM_LAYER_IPV6;
}

TEST(each_stack_leads_to_its_packet)
{
	unsigned char frame[LONGEST] = {};
	uint32_t offset;

	for (unsigned int i = 0; i < STACKS; i++) {
		const struct stack *stack = &stacks[i];

		memcpy(frame, stack->headers, stack->length);
		frame[stack->length] = stack->end == EM_LAYER_IPV6 ? 0x60 : 0x45;
		ASSERT_EQ(stack->end, walk(stack->link_type, frame, stack->length + 40, &offset))
			TH_LOG("%s", stack->name);
		if (is_ip(stack->end))
			ASSERT_EQ(packet_at(stack), offset) TH_LOG("%s", stack->name);
	}
}

TEST(a_frame_that_ends_inside_a_header_is_cut)
{
	unsigned int tried = 0;
	uint32_t offset;

	for (unsigned int i = 0; i < STACKS; i++)
		for (unsigned int length = 0; length < stacks[i].length; length++) {
			ASSERT_EQ(EM_LAYER_CUT, walk(stacks[i].link_type, stacks[i].headers, length,
						     &offset))
				TH_LOG("%s, %u bytes", stacks[i].name, length);
			tried++;
		}
	EXPECT_LT(1000, tried);
}

TEST(tags_and_labels_may_be_stacked_without_end)
{
	static const unsigned char ethernet[] = { ETHERNET(VLAN) }, tag[] = { TAG(VLAN) },
		last[] = { TAG(MPLS) }, label[] = { LABEL }, bottom[] = { LAST_LABEL, 0x45 };
	unsigned char frame[4000], *at = frame;
	uint32_t offset;

#define ADD(bytes) at = (unsigned char *)memcpy(at, bytes, sizeof(bytes)) + sizeof(bytes)
	ADD(ethernet);
	while (at < frame + 2000)
		ADD(tag);
	ADD(last);
	while (at < frame + sizeof(frame) - 8)
		ADD(label);
	EXPECT_EQ(EM_LAYER_CUT, walk(LINK_ETHERNET, frame, at - frame, &offset));
	ADD(bottom);
	EXPECT_EQ(EM_LAYER_IPV4, walk(LINK_ETHERNET, frame, at - frame, &offset));
	EXPECT_EQ(at - frame - 1, offset);
}

/* Headers that one stack begins with, cut, changed and continued with those of others. */
static unsigned int mutate(unsigned char frame[LONGEST])
{
	unsigned int length = 0;

	while (length < LONGEST - 64 && random() % 4) {
		const struct stack *stack = &stacks[random() % STACKS];

		memcpy(frame + length, stack->headers, stack->length);
		length += random() % 3 ? stack->length : random() % (stack->length + 1);
	}
	for (int changes = random() % 3; length && changes; changes--)
		frame[random() % length] = random();
	return length;
}

TEST(whatever_the_bytes_are_the_walk_ends_inside_the_frame)
{
	static const uint16_t link_types[] = {
		0, 1, 6, 9, 10, 12, 50, 51, 100, 101, 104, 108, 113, 228, 229, 276,
	};
	unsigned int seen[EM_LAYER_CUT + 1] = {};
	unsigned char frame[LONGEST] = {};
	uint32_t offset;

	srandom(1);
	for (int i = 0; i < 1000000; i++) {
		unsigned int length = mutate(frame);
		uint16_t link_type = link_types[random() % (sizeof(link_types) / sizeof(*link_types))];
		enum em_layer end = walk(link_type, frame, length, &offset);

		ASSERT_TRUE(end >= EM_LAYERS_TO_WALK && end <= EM_LAYER_CUT);
		ASSERT_GE(length, offset);
		seen[end]++;
	}
	for (int end = EM_LAYERS_TO_WALK; end <= EM_LAYER_CUT; end++)
		EXPECT_LT(1000, seen[end]);
}

TEST(an_unknown_link_type_is_not_walked)
{
	uint32_t offset;

	EXPECT_EQ(EM_LAYER_OTHER, walk(0xffff, stacks[0].headers, stacks[0].length, &offset));
	EXPECT_EQ(0, offset);
}

TEST_HARNESS_MAIN
