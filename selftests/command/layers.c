// SPDX-License-Identifier: GPL-2.0
/*
 * The sample experts' walk over the link layer headers of a frame finds the IP packet, and
 * reads no byte behind the end of the frame: each frame ends where a page begins that cannot
 * be read.
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
/* NOLINTNEXTLINE(bugprone-suspicious-include): it is part of the experts, not of a library */
#include "../../tools/experts/common/link.c"

#define LONGEST 256

/* A copy of these bytes at the end of what can be read. */
static struct rest at_the_end(const void *bytes, unsigned int length)
{
	static unsigned char *end;

	if (!end) {
		size_t page = sysconf(_SC_PAGESIZE);

		end = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (end == MAP_FAILED || mprotect(end + page, page, PROT_NONE))
			abort();
		end += page;
	}
	return (struct rest){ memcpy(end - length, bytes, length), length };
}

/* The headers are in front of the packet, but those of raw IP, which are its first byte. */
static unsigned int packet_at(const struct stack *stack)
{
	return stack->first == LAYER_RAW_IP ? 0 : stack->length;
}

TEST(each_stack_leads_to_its_packet)
{
	unsigned char frame[LONGEST] = {};

	for (unsigned int i = 0; i < STACKS; i++) {
		const struct stack *stack = &stacks[i];
		struct rest rest, whole;

		memcpy(frame, stack->headers, stack->length);
		frame[stack->length] = stack->end == LAYER_IPV6 ? 0x60 : 0x45;
		whole = rest = at_the_end(frame, stack->length + 40);
		ASSERT_EQ(stack->end, walk_to_ip(stack->first, &rest)) TH_LOG("%s", stack->name);
		if (stack->end == LAYER_NOT_IP)
			continue;
		ASSERT_EQ(whole.bytes + packet_at(stack), rest.bytes) TH_LOG("%s", stack->name);
		ASSERT_EQ(whole.length - packet_at(stack), rest.length) TH_LOG("%s", stack->name);
	}
}

TEST(a_frame_that_ends_inside_a_header_is_cut)
{
	unsigned int tried = 0;

	for (unsigned int i = 0; i < STACKS; i++)
		for (unsigned int length = 0; length < stacks[i].length; length++) {
			struct rest rest = at_the_end(stacks[i].headers, length);

			ASSERT_EQ(LAYER_CUT, walk_to_ip(stacks[i].first, &rest))
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
	struct rest rest;

#define ADD(bytes) at = (unsigned char *)memcpy(at, bytes, sizeof(bytes)) + sizeof(bytes)
	ADD(ethernet);
	while (at < frame + 2000)
		ADD(tag);
	ADD(last);
	while (at < frame + sizeof(frame) - 8)
		ADD(label);
	rest = at_the_end(frame, at - frame);
	EXPECT_EQ(LAYER_CUT, walk_to_ip(LAYER_ETHERNET, &rest));
	ADD(bottom);
	rest = at_the_end(frame, at - frame);
	EXPECT_EQ(LAYER_IPV4, walk_to_ip(LAYER_ETHERNET, &rest));
	EXPECT_EQ(1, rest.length);
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
	unsigned int seen[LAYER_UNKNOWN + 1] = {};
	unsigned char frame[LONGEST] = {};

	srandom(1);
	for (int i = 0; i < 1000000; i++) {
		unsigned int length = mutate(frame);
		struct rest whole = at_the_end(frame, length), rest = whole;
		enum layer end = walk_to_ip(random() % LAYERS_TO_WALK, &rest);

		ASSERT_TRUE(end >= LAYERS_TO_WALK && end < LAYER_UNKNOWN);
		ASSERT_EQ(whole.bytes + whole.length, rest.bytes + rest.length);
		ASSERT_GE(whole.length, rest.length);
		seen[end]++;
	}
	for (int end = LAYERS_TO_WALK; end < LAYER_UNKNOWN; end++)
		EXPECT_LT(1000, seen[end]);
}

TEST(an_unknown_link_type_is_not_walked)
{
	struct rest rest = at_the_end(stacks[0].headers, stacks[0].length);

	EXPECT_EQ(LAYER_UNKNOWN, walk_to_ip(LAYER_UNKNOWN, &rest));
	EXPECT_EQ(stacks[0].length, rest.length);
}

TEST_HARNESS_MAIN
