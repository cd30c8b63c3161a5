// SPDX-License-Identifier: GPL-2.0
/*
 * protocols: how many frames and bytes each protocol has, as a tree in which each protocol is below
 * the one that carries it.
 *
 * For each frame, the engine lists the protocols in it, from the lowest to the highest, in the
 * lpRecognizeDataTable of ExpertGetFrame(). The expert follows these protocols from the root of a tree,
 * and counts the frame at each node. Only an engine with dissectors has these tables; with the pcap
 * engine, the expert says so and fails.
 *
 * A protocol's bytes are those of its frames, on the wire and with all headers, as in
 * tshark -z io,phs: the counts are equal.
 *
 * Memory: a node takes 56 bytes. Protocols of a frame behind its 64th are not counted. A malicious
 * capture can have very many paths. After 65,536 nodes, or when the expert's limit is reached, no
 * nodes are added: frames are counted at the nodes of their path that exist.
 *
 * Build it:	cc -shared -fPIC protocols.c common/{table,text,walk}.c -o protocols.so -lexpertmem
 * Run it:	expertmem run ./protocols.so traffic.pcap
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Netmon.h>

#include "common/table.h"
#include "common/text.h"
#include "common/walk.h"

#define DEPTH_MAX		64
#define NODES_MAX		65536

/* A protocol below another one. Nodes are linked by their numbers; 0 is the root, and no link. */
struct node {
	struct {		/* the key in the table */
		uint32_t parent;
		uint32_t protocol;	/* RECOGNIZEDATA.ProtocolID */
	} key;
	uint32_t first_child, last_child, next;
	uint32_t depth;
	unsigned long long frames, bytes;
};

/* The name of a protocol, by its number. */
struct name {
	uint64_t protocol;	/* the key in the table */
	char text[40];
};

struct survey {
	HEXPERTKEY key;
	HCAPTURE capture;
	struct table nodes, names;
	bool full;
	unsigned long long frames, bytes, unknown; /* unknown: frames without any protocol */
	unsigned long long shortened;	/* frames of whose path not all nodes are in the tree */
};

/* Find the node of a protocol below @parent; add it if it is not there. NULL: it cannot be added. */
static struct node *add_node(struct survey *survey, uint32_t parent, uint32_t protocol, DWORD *error)
{
	struct node wanted = { .key.parent = parent, .key.protocol = protocol };
	uint32_t before = survey->nodes.count, number = before;
	struct node *node, *above;

	if (survey->full || before >= NODES_MAX)
		return table_find(&survey->nodes, &wanted.key);
	node = table_add(&survey->nodes, &wanted.key, error);
	if (!node && *error == NMERR_OUT_OF_MEMORY) {
		survey->full = true;
		*error = NMERR_SUCCESS;
	}
	if (!node || survey->nodes.count == before)
		return node;

	/* the node is new; the first node is the root, which has no parent */
	if (!number)
		return node;
	above = table_at(&survey->nodes, parent);
	node->depth = above->depth + 1;
	if (above->last_child)
		((struct node *)table_at(&survey->nodes, above->last_child))->next = number;
	else
		above->first_child = number;
	above->last_child = number;
	return node;
}

static DWORD survey_frame(struct survey *survey, const EXPERTFRAMEDESCRIPTOR *frame)
{
	const RECOGNIZEDATATABLE *table = frame->lpRecognizeDataTable;
	struct node *node;
	DWORD error = NMERR_SUCCESS;
	uint32_t number = 0;

	/* with expertmem run --recognize=no, ExpertGetFrame() sets no table */
	if (!table)
		table = GetFrameRecognizeData(frame->hFrame);
	if (!table) {
		error = BhGetLastError();
		if (error != NMERR_INTERNAL_EXCEPTION && error != NMERR_RUNAWAY_PROTOCOL)
			return error;
	}
	survey->frames++;
	survey->bytes += frame->pFrame->FrameLength;
	survey->unknown += !table || !table->nRecognizeDatas;

	error = NMERR_SUCCESS;
	for (WORD i = 0; table && i < table->nRecognizeDatas; i++) {
		node = i < DEPTH_MAX ? add_node(survey, number, table->RecognizeData[i].ProtocolID,
						&error) : NULL;
		if (!node) {
			survey->shortened++;
			break;
		}
		number = ((char *)node - survey->nodes.entries) / sizeof(*node);
		node->frames++;
		node->bytes += frame->pFrame->FrameLength;
	}
	return error;
}

static DWORD survey_capture(struct survey *survey)
{
	DWORD error = NMERR_SUCCESS;
	struct walk walk;

	if (!add_node(survey, UINT32_MAX, 0, &error))
		return error == NMERR_SUCCESS ? NMERR_OUT_OF_MEMORY : error;
	walk_init(&walk, survey->key, survey->capture, "counting protocols");
	walk.flags &= ~FLAGS_NO_RECOGNIZE_DATA;
	while ((error = walk_next(&walk)) == NMERR_SUCCESS) {
		error = survey_frame(survey, &walk.frame);
		if (error != NMERR_SUCCESS)
			return error;
	}
	return error == NMERR_NO_MORE_FRAMES ? NMERR_SUCCESS : error;
}

/* Store the name of a protocol if the handle is its handle. */
static bool take_name(struct name *name, HPROTOCOL handle)
{
	const PROTOCOLINFO *info = GetProtocolInfo(handle);

	if (!info || info->ProtocolID != name->protocol)
		return false;
	visible_text((const char *)info->ProtocolName, name->text, sizeof(name->text));
	return true;
}

/*
 * Get the names of the protocols in the tree. Tables of frames have numbers of protocols, but
 * GetProtocolInfo() needs handles. So look for the handle whose PROTOCOLINFO has the number. It is
 * usually the entry of the table at the index that equals the number.
 */
static DWORD find_names(struct survey *survey)
{
	const PROTOCOLTABLE *protocols = GetEnabledProtocols(survey->capture);
	DWORD error = NMERR_SUCCESS;

	if (!protocols)
		return BhGetLastError();
	for (uint32_t i = 1; i < survey->nodes.count; i++) {
		const struct node *node = table_at(&survey->nodes, i);
		uint64_t protocol = node->key.protocol;
		struct name *name = table_add(&survey->names, &protocol, &error);

		if (!name)
			return error;
		if (*name->text || (protocol < protocols->nProtocols &&
				    take_name(name, protocols->hProtocol[protocol])))
			continue;
		for (DWORD k = 0; k < protocols->nProtocols; k++)
			if (take_name(name, protocols->hProtocol[k]))
				break;
	}
	return NMERR_SUCCESS;
}

static void print_node(const struct survey *survey, const struct node *node)
{
	uint64_t protocol = node->key.protocol;
	const struct name *name = table_find(&survey->names, &protocol);

	printf("%10llu %14llu %6.1f%%  %*s%s\n", node->frames, node->bytes,
	       100.0 * node->frames / survey->frames, 2 * (int)(node->depth - 1), "",
	       name && *name->text ? name->text : "(unknown)");
}

/* Print each node and then its children, without recursion. */
static void print_tree(const struct survey *survey)
{
	const struct node *node = table_at(&survey->nodes, 0);

	for (;;) {
		if (node->first_child) {
			node = table_at(&survey->nodes, node->first_child);
		} else {
			while (node->depth && !node->next)
				node = table_at(&survey->nodes, node->key.parent);
			if (!node->depth)
				return;
			node = table_at(&survey->nodes, node->next);
		}
		print_node(survey, node);
	}
}

static bool survey_print(const struct survey *survey)
{
	printf("%10s %14s %7s  %s\n", "Frames", "Bytes", "Share", "Protocol");
	print_tree(survey);
	printf("%llu frames, %llu bytes; %llu frames without a known protocol\n", survey->frames,
	       survey->bytes, survey->unknown);
	if (survey->shortened)
		printf("%llu frames have more protocols than are shown\n", survey->shortened);
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	fprintf(stderr, "protocols: cannot write the table: %s\n", strerror(errno));
	return false;
}

BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "Protocol Distribution");
	strcpy(info->szVendor, "expertmem");
	strcpy(info->szDescription, "Frames and bytes of each protocol, by what carries it");
	info->Version = 0;
	info->Flags = EXPERT_ENUM_FLAG_NO_VIEWER;
	return TRUE;
}

BOOL WINAPI Run(HEXPERTKEY key, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup, DWORD flags,
		HWND window)
{
	struct survey survey = { .key = key, .capture = startup->hCapture };
	bool good = false;
	DWORD error;

	(void)config, (void)flags, (void)window;
	table_init(&survey.nodes, key, sizeof(((struct node *)NULL)->key), sizeof(struct node));
	table_init(&survey.names, key, sizeof(uint64_t), sizeof(struct name));
	error = survey_capture(&survey);
	if (error == NMERR_SUCCESS)
		error = find_names(&survey);
	if (error == NMERR_SUCCESS)
		good = survey_print(&survey);
	else if (error != NMERR_EXPERT_TERMINATE)
		fprintf(stderr, "protocols: %s (error %u) after %llu frames\n", error_text(error),
			error, survey.frames);
	table_free(&survey.names);
	table_free(&survey.nodes);
	return good;
}
