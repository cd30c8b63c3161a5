// SPDX-License-Identifier: GPL-2.0
/*
 * libexpertmem's calls for captures under libFuzzer, with an engine that lies. An input is a
 * sequence of bytes for both sides: the calls of the host and of the expert, and what the engine
 * does to its honest answers before it sends them. At the end of the input both sides read zeros,
 * for which the engine is honest.
 *
 * The engine is no process: the linker replaces some functions that the library calls (--wrap).
 * em_spawn() becomes the supervisor, and send() becomes the engine, which answers each request at
 * once. So an input always does the same. mmap() puts a page that cannot be read behind each file
 * of the engine, and with ASan the rest of the last page cannot be read either.
 *
 * The expert reads every byte that it gets. Values may be wrong; but each property has to be in
 * its frame, each request has to keep to the protocol, and no descriptor or mapping may be left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>

#define FAKE_FRAMES	300u
#include "../netmon/fake_engine.h"
#include "input.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define SET_READABLE(start, size)	__asan_unpoison_memory_region(start, size)
#define SET_UNREADABLE(start, size)	__asan_poison_memory_region(start, size)
#endif
#endif
#ifndef SET_READABLE
#define SET_READABLE(start, size)	((void)0)
#define SET_UNREADABLE(start, size)	((void)0)
#endif

#define PAGE		4096UL
#define KEPT		4	/* handles of each kind that the expert keeps */
#define HIGH_FD		500	/* the library moves its descriptors to higher numbers */

void *__real_mmap(void *start, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *start, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *start, size_t size);
int __wrap_munmap(void *start, size_t size);
ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
int __wrap_access(const char *path, int mode);
int __wrap_em_spawn(const char *program, char *const arguments[], bool input, int control);

/* ------------------------------------------------------------------------- input */

static uint64_t integer(unsigned int width)
{
	uint64_t n = 0;

	while (width--)
		n = n << 8 | byte();
	return n;
}

/* A number that may be wrong; @near: a right one */
static uint64_t any_number(uint64_t near)
{
	static const uint64_t edges[] = {
		0, 1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 0x7f, 0x80, 0xff, 0x100, FAKE_FRAMES - 1,
		FAKE_FRAMES, 0x7fff, 0xfffe, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
		ENGINE_NONE - 2, ENGINE_NONE - 1, ENGINE_NONE, 0x100000000, ENGINE_RESULTS - 1,
		ENGINE_RESULTS, ENGINE_RESULTS + 1, 0xffffffffffff, INT64_MAX, UINT64_MAX - 15,
		UINT64_MAX,
	};
	unsigned int kind = byte();

	switch (kind % 4) {
	case 0:
		return near + kind / 4 - 32;
	case 1:
		return edges[kind / 4 % (sizeof(edges) / sizeof(edges[0]))];
	case 2:
		return byte();
	default:
		return integer(1 + kind / 4 % 8);
	}
}

static uint32_t any_frame(void)
{
	unsigned int kind = byte();

	return kind < 192 ? kind : (uint32_t)any_number(FAKE_FRAMES);
}

/* --------------------------------------------------------------- files of the engine */

enum { STATE, INDEX, FRAMES, FILES };

static const size_t file_sizes[FILES] = {
	sizeof(struct engine_state), FAKE_INDEX_SIZE, FAKE_FRAMES_SIZE
};

/**
 * struct actor - the engine, as supervisor and as worker
 * @fake: gives honest answers
 * @files: descriptors that cannot write
 * @bytes: the files, mapped
 * @changed: the file differs from the honest one
 * @control: its end of the control socket; -1: closed
 * @key: the expert's key
 * @capture: what the host has
 */
static struct actor {
	struct fake_engine fake;
	int files[FILES];
	char *bytes[FILES];
	bool changed[FILES];
	int control;
	HEXPERTKEY key;
	expertmem_capture *capture;
} actor;

static struct engine_state honest_state;
static char honest_frames[FAKE_FRAMES_SIZE];
static uint64_t honest_index[FAKE_FRAMES];

/* A file that is mapped; returns a descriptor that cannot write. */
static int make_file(size_t size, char **bytes)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC), readable;
	char path[64];

	CHECK(fd >= 0 && !ftruncate(fd, (off_t)size));
	*bytes = __real_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(*bytes != MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(readable >= 0);
	close(fd);
	return readable;
}

static void make_files(void)
{
	honest_state = (struct engine_state){
		.version = ENGINE_VERSION, .kind = ENGINE_WIRESHARK, .phase = ENGINE_READY,
		.link_type = 1, .frames = FAKE_FRAMES, .frames_size = FAKE_FRAMES_SIZE,
		.start = INT64_C(1700000000000000000), .comment = "a comment", .software = "fuzz",
	};
	fake_make_frames(honest_frames, honest_index);
	for (int i = 0; i < FILES; i++) {
		actor.files[i] = make_file(file_sizes[i], &actor.bytes[i]);
		actor.changed[i] = true;
	}
}

static void restore_files(void)
{
	const void *const honest[FILES] = { &honest_state, honest_index, honest_frames };

	for (int i = 0; i < FILES; i++) {
		if (actor.changed[i])
			memcpy(actor.bytes[i], honest[i], file_sizes[i]);
		actor.changed[i] = false;
	}
}

/* Write a number of 1, 2, 4 or 8 bytes somewhere into @size bytes. */
static void change_number(char *bytes, size_t size)
{
	unsigned int width = 1U << byte() % 4;
	size_t at = integer(2) % size / width * width;
	uint64_t number = 0;

	if (width > size - at)
		return;
	memcpy(&number, bytes + at, width);
	number = any_number(number);
	memcpy(bytes + at, &number, width);
}

static void change_file(int file)
{
	change_number(actor.bytes[file], file_sizes[file]);
	actor.changed[file] = true;
}

/* --------------------------------------------------------- mappings of the library */

/* Mapped files of the engine. */
static struct mapping {
	char *start;
	size_t size;
} mappings[8];

static size_t rounded(size_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

static struct mapping *mapping_at(const void *start)
{
	for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++)
		if (mappings[i].start == start)
			return &mappings[i];
	return NULL;
}

void *__wrap_mmap(void *start, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct mapping *mapping = mapping_at(NULL);
	char *guarded;

	if (fd < 0 || !(flags & MAP_SHARED))
		return __real_mmap(start, size, prot, flags, fd, offset);
	CHECK(!start && prot == PROT_READ && mapping);
	guarded = __real_mmap(NULL, rounded(size) + PAGE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(guarded != MAP_FAILED);
	CHECK(__real_mmap(guarded, size, prot, flags | MAP_FIXED, fd, offset) == guarded);
	SET_UNREADABLE(guarded + size, rounded(size) - size);
	*mapping = (struct mapping){ guarded, size };
	return guarded;
}

int __wrap_munmap(void *start, size_t size)
{
	struct mapping *mapping = mapping_at(start);

	if (!mapping)
		return __real_munmap(start, size);
	CHECK(mapping->size == size);
	mapping->start = NULL;
	SET_READABLE((char *)start + size, rounded(size) - size);
	return __real_munmap(start, rounded(size) + PAGE);
}

/* ---------------------------------------------------------- the engine's control socket */

/* Send a message of the supervisor, which may be a wrong one. */
static void send_message(uint32_t kind)
{
	struct engine_control control = { .message = kind, .version = ENGINE_VERSION };
	char space[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	int fds[8] = {
		actor.files[STATE], actor.files[INDEX], actor.files[FRAMES], actor.files[STATE],
		actor.files[INDEX], actor.control, actor.control, actor.control,
	};
	size_t n = kind == ENGINE_HELLO ? FILES : 0, lie = byte();
	struct iovec part = { .iov_base = &control, .iov_len = sizeof(control) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *head;

	switch (lie) {
	case 240 ... 243:
		control.message = (uint32_t)any_number(kind);
		break;
	case 244:
		control.version = (uint32_t)any_number(ENGINE_VERSION);
		break;
	case 245:
		part.iov_len = byte() % (sizeof(control) + 1);
		break;
	case 246 ... 248:
		n = byte() % 9;
		break;
	case 249 ... 251:
		fds[byte() % 3] = fds[byte() % 8];
		break;
	}
	if (n) {
		message.msg_control = space;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(head), fds, n * sizeof(int));
	}
	sendmsg(actor.control, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Give a frame another link type, and other bytes. */
static void change_frame(void)
{
	static const uint16_t link_types[] = {
		0, 1, 6, 9, 10, 50, 51, 100, 101, 104, 108, 113, 276, 0xffff,
	};
	uint32_t i = byte() % FAKE_FRAMES;
	uint64_t *entry = &((uint64_t *)actor.bytes[INDEX])[i];
	uint64_t type = link_types[byte() % (sizeof(link_types) / sizeof(link_types[0]))];
	FRAME *frame = (FRAME *)(actor.bytes[FRAMES] + i * FAKE_STEP);
	unsigned int at = byte() % FAKE_BYTES, size = byte() % (FAKE_BYTES + 1 - at);

	*entry = (*entry & EM_INDEX_OFFSET) | type << 48;
	for (; size; size--)
		frame->MacFrame[at++] = (BYTE)byte();
	frame->nBytesAvail = byte() % 2 ? FAKE_BYTES : byte() % FAKE_BYTES;
	actor.changed[INDEX] = actor.changed[FRAMES] = true;
}

/* A supervisor that lies does one of these, at any time. */
static void disturb(void)
{
	switch (byte() % 16) {
	case 0:
		change_file(STATE);
		break;
	case 1:
		change_file(INDEX);
		break;
	case 2:
	case 3:
		change_file(FRAMES);
		break;
	case 4:
		send_message(byte() % 4);
		break;
	case 5:
		close_fd(&actor.control);
		break;
	case 6:
		send_message(ENGINE_PHASE);
		break;
	default:
		change_frame();
	}
}

int __wrap_access(const char *path, int mode)
{
	(void)path, (void)mode;
	return 0;
}

/* Instead of starting a supervisor, be it. */
int __wrap_em_spawn(const char *program, char *const arguments[], bool in, int control)
{
	unsigned int lies = byte();

	(void)program, (void)arguments, (void)in;
	actor.control = dup(control);
	CHECK(actor.control >= 0);
	for (; lies > 192; lies -= 16)
		disturb();
	if (lies != 192)
		send_message(ENGINE_HELLO);
	return 0;
}

/* Take the expert that the host connects. False: it has sent none. */
static bool take_expert(void)
{
	char space[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct engine_control control = { 0 };
	struct iovec part = { .iov_base = &control, .iov_len = sizeof(control) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *head;
	int fds[2];

	if (recvmsg(actor.control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return false;
	head = CMSG_FIRSTHDR(&message);
	CHECK(control.message == ENGINE_CONNECT && control.version == ENGINE_VERSION && head);
	memcpy(fds, CMSG_DATA(head), sizeof(fds));
	actor.fake.fd = fds[0];
	actor.fake.results = __real_mmap(NULL, ENGINE_RESULTS, PROT_READ | PROT_WRITE, MAP_SHARED,
					 fds[1], 0);
	CHECK(actor.fake.results != MAP_FAILED);
	close(fds[1]);
	return true;
}

/* --------------------------------------------------------------- the engine's answers */

/* Repeat the last record of a frame: there may be more than a table has room for. */
static void add_records(const struct engine_request *request, struct engine_reply *reply)
{
	size_t size = request->op == ENGINE_PROTOCOLS ? sizeof(struct engine_layer) :
							sizeof(struct engine_property);
	struct engine_frame *frame = (struct engine_frame *)actor.fake.results;
	uint32_t count = 1U << byte() % 18;
	char *last;

	if (request->op > ENGINE_PROTOCOLS || reply->count != 1 || !frame->count ||
	    frame->count > FAKE_RECORDS)
		return;
	last = (char *)(frame + 1) + (frame->count - 1) * size;
	for (uint32_t i = 1; i <= count; i++)
		memcpy(last + i * size, last, size);
	frame->count += count;
	frame->size = (uint32_t)(sizeof(*frame) + frame->count * size + 7) / 8 * 8;
	reply->size = frame->size;
}

/* Give a field another type, so that all forms of values are written as text. */
static void change_field(struct engine_reply *reply)
{
	static const uint8_t qualifiers[] = { PROP_QUAL_NONE, PROP_QUAL_LABELED_SET, PROP_QUAL_FLAGS };
	struct engine_field *field = (struct engine_field *)actor.fake.results;

	if (reply->size < sizeof(*field))
		return;
	field->type = (uint8_t)(byte() % (PROP_TYPE_IP6_ADDRESS + 2));
	field->qualifier = qualifiers[byte() % 3];
	field->flags = (uint8_t)byte();
	field->mask = byte() % 2 ? field->mask : any_number(field->mask);
}

/* Give a property of the last frame another value, of a size that some type has. */
static void change_value(struct engine_reply *reply)
{
	static const uint8_t sizes[] = { 0, 1, 2, 3, 4, 6, 8, 10, 16, 40 };
	struct engine_frame *frame = (struct engine_frame *)actor.fake.results;
	struct engine_property *record = (struct engine_property *)(frame + 1);
	uint32_t length = sizes[byte() % 10];

	if (reply->count != 1 || !frame->count || frame->count > FAKE_RECORDS)
		return;
	record += byte() % frame->count;
	if (byte() % 2) {
		record->flags &= (uint8_t)~ENGINE_VALUE;
		record->length = length;
		record->offset = byte() % FAKE_BYTES;
		return;
	}
	record->flags |= ENGINE_VALUE;
	record->value_length = (uint16_t)length;
	record->value = integer(4) * 0x100000001;
	if (length <= 8 || frame->size > ENGINE_RESULTS / 2)
		return;
	record->value = frame->size;
	for (uint32_t i = 0; i < (length + 7) / 8 * 8; i++)
		actor.fake.results[frame->size++] = (char)byte();
	reply->size = frame->size;
}

static void change_meaning(const struct engine_request *request, struct engine_reply *reply)
{
	if (request->op == ENGINE_FIELD_INFO)
		change_field(reply);
	else if (request->op == ENGINE_PROPERTIES)
		change_value(reply);
}

/* Write a text of any length over the first text of a description. */
static void change_text(struct engine_reply *reply)
{
	uint32_t length = byte() % 2 ? byte() : (uint32_t)any_number(16) % (1U << 17);
	size_t at = integer(2) % ((size_t)reply->size + 1);

	memset(actor.fake.results + at, (int)byte(), length);
	actor.fake.results[at + length] = '\0';
	if (reply->size < at + length)
		reply->size = (uint32_t)(at + length);
}

static void change_reply(const struct engine_request *request, struct engine_reply *reply)
{
	switch (byte() % 16) {
	case 0:
		reply->size = (uint32_t)any_number(reply->size);
		break;
	case 1:
		reply->count = (uint32_t)any_number(reply->count);
		break;
	case 2:
		reply->next = (uint32_t)any_number(reply->next);
		break;
	case 3:
		reply->id = (uint32_t)any_number(reply->id);
		break;
	case 4:
		reply->error = (uint32_t)any_number(reply->error);
		break;
	case 5:
		add_records(request, reply);
		break;
	case 6:
		change_text(reply);
		break;
	case 7:
		disturb();
		break;
	case 8 ... 11:
		change_meaning(request, reply);
		break;
	default:
		if (reply->size)
			change_number(actor.fake.results, reply->size);
	}
}

/* Break the protocol of replies. False: there is no reply. */
static bool break_protocol(struct engine_reply *reply)
{
	const struct engine_reply right = *reply;

	switch (byte() % 8) {
	case 0:
		reply->op = (uint32_t)any_number(reply->op);
		return true;
	case 1:
		reply->sequence++;
		return true;
	case 2:
		__real_send(actor.fake.fd, reply, byte() * 2, MSG_NOSIGNAL);
		return true;
	case 3:
		close_fd(&actor.fake.fd);
		return false;
	case 4:		/* the expert is asked to stop, and then only replies to old requests come */
		expertmem_terminate(actor.key);
		reply->sequence--;
		return true;
	case 5:
		shutdown(actor.fake.fd, SHUT_WR);
		return false;
	default:
		for (unsigned int n = byte() % 4; n; n--) {
			reply->sequence = right.sequence - n;
			__real_send(actor.fake.fd, reply, sizeof(*reply), MSG_NOSIGNAL);
		}
		*reply = right;
		return true;
	}
}

/* Does the request keep to the protocol? As the worker of an engine sees it. */
static void check_request(const struct engine_request *request, size_t size)
{
	CHECK(size >= offsetof(struct engine_request, text));
	CHECK(request->length <= ENGINE_TEXT);
	CHECK(size == offsetof(struct engine_request, text) + request->length);
	CHECK(!request->length || !request->text[request->length - 1]);
	CHECK(request->op >= ENGINE_PROPERTIES && request->op <= ENGINE_DROP_FILTER);
	CHECK((request->op != ENGINE_PROPERTIES && request->op != ENGINE_PROTOCOLS) ||
	      (request->count && request->count <= ENGINE_BATCH));
}

/* The library sends a request: answer it at once. */
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	struct engine_request request = { 0 };
	struct engine_reply reply = { 0 };
	unsigned int lies;

	if (actor.fake.fd < 0)
		return __real_send(fd, bytes, size, flags);
	memcpy(&request, bytes, size < sizeof(request) ? size : sizeof(request));
	check_request(&request, size);
	reply.op = request.op;
	reply.sequence = request.sequence;
	fake_answer(&actor.fake, &request, &reply);
	lies = byte();
	if (lies >= 252 && !break_protocol(&reply))
		return (ssize_t)size;
	for (; lies > 128; lies = lies > 160 ? lies - 32 : 0)
		change_reply(&request, &reply);
	__real_send(actor.fake.fd, &reply, sizeof(reply), MSG_NOSIGNAL);
	return (ssize_t)size;
}

/* ------------------------------------------------------------------------ the expert */

/* Handles that the expert has got. They may be 0. */
static struct {
	HCAPTURE capture;
	HFRAME frames[KEPT];
	HPROTOCOL protocols[KEPT];
	HPROPERTY properties[KEPT];
	HFILTER filters[KEPT];
	LPPROPERTYINST found;		/* may not be there any more; only a key for the library */
} expert;

/* The expert has seen these in an earlier run: they are handles that are right, mostly. */
static void know_handles(void)
{
	static const uint32_t known[KEPT] = { FAKE_SRCPORT, FAKE_LONG, FAKE_TEXT, FAKE_VERSION };
	const uint64_t key = (uintptr_t)expert.capture & EM_HANDLE_KEY << 32;

	for (uint32_t i = 0; i < KEPT; i++) {
		expert.frames[i] = (HFRAME)((uint64_t)EM_HANDLE_FRAME << 60 | key | i * 16);
		expert.protocols[i] = (HPROTOCOL)((uint64_t)EM_HANDLE_PROTOCOL << 60 | key | i);
		expert.properties[i] = (uint64_t)EM_HANDLE_PROPERTY << 60 | key | known[i];
	}
	expert.filters[0] = CreateFilter();
}

static volatile unsigned int sum;

static void read_all(const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	unsigned int n = 0;

	for (size_t i = 0; i < size; i++)
		n += at[i];
	sum = n;
}

static void read_text(const char *text)
{
	read_all(text, strlen(text) + 1);
}

/* A handle, sometimes one of another kind or a wrong one. */
static uint64_t any_handle(uint64_t right)
{
	unsigned int kind = byte();

	if (kind < 240)
		return right;
	if (kind < 248)
		return (uint64_t)(uintptr_t)expert.frames[kind % KEPT];
	if (kind < 252)
		return right ^ 1UL << byte() % 64;
	return (right & ~(uint64_t)UINT32_MAX) | (uint32_t)any_number((uint32_t)right);
}

#define KEPT_HANDLE(type, list)	((type)any_handle((uint64_t)(list)[byte() % KEPT]))

static HFRAME any_frame_handle(void)
{
	return KEPT_HANDLE(HFRAME, expert.frames);
}

static LPSTR any_name(void)
{
	static const char *const names[] = {
		"TCP", "IP", "ETHERNET", "tcp", "eth", "Source Port", "Acknowledgment", "Text",
		"Checksum", "Long", "Hidden", "Version", "tcp.checksum", "ip.version", "",
	};
	const unsigned int known = sizeof(names) / sizeof(names[0]);
	static char text[ENGINE_TEXT + 16];
	unsigned int kind = byte();
	size_t length;

	if (kind < 240)
		return (LPSTR)names[kind % known];
	length = kind < 250 ? kind - 240 : ENGINE_TEXT - 2 + kind - 250;
	memset(text, (int)(byte() | 1), length);
	text[length] = '\0';
	return text;
}

static void look_at_info(const PROPERTYINFO *info)
{
	read_text(info->Label);
	read_text(info->Comment);
	if (!info->lpSet)
		return;
	if (info->DataQualifier == PROP_QUAL_FLAGS) {
		for (DWORD i = 0; i < info->lpSet->nEntries; i++) {
			read_text(info->lpSet->lpLabeledBit[i].LabelOn);
			read_text(info->lpSet->lpLabeledBit[i].LabelOff);
		}
		return;
	}
	CHECK(info->DataQualifier == PROP_QUAL_LABELED_SET);
	switch (info->DataType) {
	case PROP_TYPE_BYTE:
		LookupByteSetString(info->lpSet, (BYTE)byte());
		break;
	case PROP_TYPE_WORD:
		LookupWordSetString(info->lpSet, (WORD)byte());
		break;
	case PROP_TYPE_DWORD:
		LookupDwordSetString(info->lpSet, (DWORD)byte());
		break;
	}
}

/* Write an instance as text into a block of exactly @size bytes, so that ASan sees its end. */
static void write_text(HFRAME frame, LPPROPERTYINST instance, DWORD size)
{
	char *text = malloc(size);

	if (GetPropertyText(frame, instance, text, size))
		read_text(text);
	free(text);
}

/* @inside: the engine has not changed the frames, so the bytes have to be in this one */
static void look_at_instance(HFRAME frame, LPPROPERTYINST instance, bool inside)
{
	bool is_extended = instance->DataLength == 0xffff;
	const BYTE *start = GetFrameFromFrameHandle(frame) ?
			    GetFrameFromFrameHandle(frame)->MacFrame : NULL;
	const BYTE *bytes = is_extended ? (const BYTE *)instance->lpPropertyInstEx->lpData :
					  (const BYTE *)instance->lpData;
	DWORD length = GetPropertyInstanceFrameDataLength(instance);

	look_at_info(instance->lpPropertyInfo);
	if (is_extended)
		read_all(instance->lpPropertyInstEx->Byte, instance->lpPropertyInstEx->LengthEx);
	if (bytes && inside)
		CHECK(start && bytes >= start &&
		      length <= GetFrameStoredLength(frame) - (DWORD)(bytes - start));
	if (bytes)
		read_all(bytes, length);
}

/* The expert was not asked to stop, and the engine has not changed the frames. */
static bool is_honest(void)
{
	return !actor.changed[FRAMES] && !actor.changed[INDEX];
}

static void look_at_descriptor(const EXPERTFRAMEDESCRIPTOR *descriptor)
{
	bool inside = is_honest();
	LPRECOGNIZEDATATABLE protocols = descriptor->lpRecognizeDataTable;
	LPPROPERTYTABLE table = descriptor->lpPropertyTable;
	DWORD step;

	read_all((const void *)descriptor->pFrame, EM_FRAME_HEADER);
	read_all((const void *)descriptor->pFrame->MacFrame,
		 GetFrameStoredLength(descriptor->hFrame));
	if (protocols)
		read_all(protocols->RecognizeData,
			 protocols->nRecognizeDatas * sizeof(protocols->RecognizeData[0]));
	if (!table)
		return;
	for (unsigned int i = 0; i < table->nPropertyInstTables; i++)
		CHECK(table->PropertyInstTable[i].nPropertyInstIndex +
		      table->PropertyInstTable[i].nPropertyInsts <= table->nTotalPropertyInsts);
	/* Of very many, only some, or an input would take too long. */
	step = 1 + table->nTotalPropertyInsts / 64;
	for (DWORD i = 0; i < table->nTotalPropertyInsts; i += step)
		look_at_instance(descriptor->hFrame, &table->lpFirstPropertyInst[i], inside);
	if (table->nTotalPropertyInsts) {
		LPPROPERTYINST instance = &table->lpFirstPropertyInst[byte() %
								      table->nTotalPropertyInsts];

		write_text(descriptor->hFrame, instance, 1 + byte());
		if (!FormatPropertyInstance(instance) && instance->szPropertyText)
			read_text(instance->szPropertyText);
	}
}

static void get_frame(void)
{
	static const DWORD flags[] = {
		0, FLAGS_ATTACH_PROPERTIES, FLAGS_NO_RECOGNIZE_DATA, FLAGS_DEFER_TO_UI_FILTER,
		FLAGS_ATTACH_PROPERTIES | FLAGS_DEFER_TO_UI_FILTER,
		FLAGS_ATTACH_PROPERTIES | FLAGS_NO_RECOGNIZE_DATA, FLAGS_ATTACH_PROPERTIES, 4,
	};
	EXPERTFRAMEDESCRIPTOR descriptor = { 0 };
	unsigned int kind = byte();
	HFILTER filter = kind >= 192 ? KEPT_HANDLE(HFILTER, expert.filters) : NULL;
	DWORD error;

	error = ExpertGetFrame(actor.key, kind % 4, flags[kind / 4 % 8], any_frame(), filter,
			       &descriptor);
	if (error && error != NMERR_INTERNAL_EXCEPTION && error != NMERR_RUNAWAY_PROTOCOL)
		return;
	expert.frames[kind % KEPT] = descriptor.hFrame;
	look_at_descriptor(&descriptor);
}

static void ask_about_frame(void)
{
	HFRAME frame = any_frame_handle();
	DWORD type = byte() % 2 ? ADDRESS_TYPE_FIND_HIGHEST : byte() % 16, length = 0, offset;
	ULPFRAME bytes = GetFrameFromFrameHandle(frame);
	ADDRESS2 address;

	sum = (unsigned int)GetFrameTimeStamp(frame) + GetFrameLength(frame) +
	      GetFrameMacType(frame) + GetFrameMacHeaderLength(frame) + GetFrameNumber(frame) +
	      !!GetFrameCaptureHandle(frame) + !!ParserTemporaryLockFrame(frame);
	offset = GetFrameSrcAddressOffset(frame, type, &length);
	if (offset != UINT32_MAX && bytes && is_honest())
		CHECK(length <= GetFrameStoredLength(frame) &&
		      offset <= GetFrameStoredLength(frame) - length);
	GetFrameDstAddressOffset(frame, type, &length);
	if (!GetFrameSourceAddress(frame, &address, type, byte() % 8))
		CompareFrameSourceAddress(frame, &address);
	if (!GetFrameDestAddress(frame, &address, type, byte() % 8))
		CompareFrameDestAddress(frame, &address);
}

static void ask_about_capture(void)
{
	HCAPTURE capture = (HCAPTURE)any_handle((uintptr_t)expert.capture);

	sum = GetCaptureTotalFrames(capture) + GetCaptureMacType(capture);
	if (GetCaptureTimeStamp(capture))
		read_all(GetCaptureTimeStamp(capture), sizeof(SYSTEMTIME));
	if (GetCaptureComment(capture))
		read_text(GetCaptureComment(capture));
}

static void ask_about_protocol(void)
{
	LPPROTOCOLINFO info = GetProtocolInfo(KEPT_HANDLE(HPROTOCOL, expert.protocols));

	if (!info)
		return;
	read_text((const char *)info->ProtocolName);
	read_text((const char *)info->Comment);
	for (DWORD i = 0; info->PropertyDatabase && i < info->PropertyDatabase->nProperties; i++)
		look_at_info(info->PropertyDatabase->PropertyInfo[i]);
}

static void list_protocols(void)
{
	LPPROTOCOLTABLE table = GetEnabledProtocols((HCAPTURE)any_handle((uintptr_t)expert.capture));

	if (!table)
		return;
	read_all(table->hProtocol, table->nProtocols * sizeof(table->hProtocol[0]));
	if (table->nProtocols)
		expert.protocols[byte() % KEPT] = table->hProtocol[byte() % table->nProtocols];
}

static void find_instances(void)
{
	HFRAME frame = any_frame_handle();
	HPROPERTY property = KEPT_HANDLE(HPROPERTY, expert.properties);
	unsigned int kind = byte();
	LPPROPERTYINST key = kind & 1 ? expert.found : NULL, found;

	for (int i = 0; i < 12; i++) {
		bool inside = is_honest();

		found = FindPropertyInstanceRestart(frame, property, &key, !(kind & 2));
		if (!found)
			break;
		expert.found = found;
		look_at_instance(frame, found, inside && is_honest());
		write_text(frame, found, 1 + kind / 4);
		if (!FormatPropertyInstance(found))
			read_text(found->szPropertyText);
	}
}

static void ask_for_offsets(void)
{
	HFRAME frame = any_frame_handle();
	LPRECOGNIZEDATATABLE table = GetFrameRecognizeData(frame);
	DWORD offset = 0;

	if (table)
		read_all(table->RecognizeData,
			 table->nRecognizeDatas * sizeof(table->RecognizeData[0]));
	GetProtocolStartOffset(frame, any_name());
	GetProtocolStartOffsetHandle(frame, KEPT_HANDLE(HPROTOCOL, expert.protocols));
	GetPreviousProtocolOffsetByName(frame, byte(), any_name(), &offset);
}

static void find_frame(void)
{
	HFRAME frame = any_frame_handle(), found;
	unsigned int kind = byte();
	ADDRESS2 address = { .Type = kind / 4 % 8 };
	LPADDRESS2 given = kind & 2 ? &address : NULL;
	WORD offset;

	if (kind & 1)
		found = FindNextFrame(frame, any_name(), given, NULL, &offset, byte(), any_frame());
	else
		found = FindPreviousFrame(frame, any_name(), NULL, given, &offset, byte(), byte());
	if (found)
		expert.frames[kind % KEPT] = found;
}

/* Add an object, or a few that make a filter. */
static void add_objects(HFILTER filter)
{
	char text[] = "a text";
	ADDRESS2 address = { .Type = byte() % 8 };
	FILTEROBJECT2 object = { .hProperty = expert.properties[byte() % KEPT] };
	unsigned int kind = byte();

	if (kind < 64) {
		object.Action = FILTERACTION_PROTOCOLEXIST;
		object.hProtocol = expert.protocols[kind % KEPT];
		FilterAddObject(filter, &object);
		return;
	}
	if (kind < 128) {
		object.Action = FILTERACTION_PROPERTY;
		FilterAddObject(filter, &object);
		object = (FILTEROBJECT2){ .Action = FILTERACTION_VALUE, .Value = kind };
		FilterAddObject(filter, &object);
		object = (FILTEROBJECT2){ .Action = FILTERACTION_EQUAL };
		FilterAddObject(filter, &object);
		return;
	}
	object.Action = byte() % 50;
	if (object.Action == FILTERACTION_STRING || object.Action == FILTERACTION_ARRAY) {
		object.lpArray = text;
		object.ByteCount = byte() % sizeof(text);
	} else if (object.Action == FILTERACTION_PROPERTY ||
		   object.Action == FILTERACTION_PROPERTYEXIST) {
		object.hProperty = (HPROPERTY)any_handle(object.hProperty);
	} else if (object.Action == FILTERACTION_VALUE) {
		object.Value = (VALUETYPE)integer(4);
	} else if (object.Action >= FILTERACTION_ADDR_ETHER ||
		   object.Action == FILTERACTION_ADDRESS) {
		object.lpAddress = object.Action == FILTERACTION_OID ? NULL : &address;
	} else if (object.Action == FILTERACTION_DEREFPROPERTY) {
		object.hProtocol = expert.protocols[kind % KEPT];
		object.ByteOffset = (WORD)integer(2);
	} else if (object.Action == FILTERACTION_PROTOCOLSEXIST ||
		   object.Action == FILTERACTION_LARGEINT || object.Action == FILTERACTION_TIME) {
		return;
	}
	FilterAddObject(filter, &object);
}

static BOOL go_on(DWORD frame, HCAPTURE capture, HFILTER filter, LPVOID unused)
{
	(void)frame, (void)capture, (void)filter, (void)unused;
	return byte() < 250;
}

static void use_filter(void)
{
	unsigned int i = byte() % KEPT, kind = byte();
	HFILTER *filter = &expert.filters[i];

	switch (kind % 16) {
	case 0 ... 1:
		if (!*filter)
			*filter = CreateFilter();
		break;
	case 2 ... 6:
		add_objects(*filter);
		break;
	case 7:
		DestroyFilter(*filter);
		*filter = NULL;
		break;
	case 8:
		if (!expert.filters[(i + 1) % KEPT])
			expert.filters[(i + 1) % KEPT] = FilterDuplicate(*filter);
		break;
	case 9:
		FilterAttachesProperties(*filter);
		break;
	case 10 ... 11:
		FilterFrame(any_frame_handle(), *filter, expert.capture);
		break;
	default:
		FilterFindFrame(*filter, expert.capture, any_frame(), kind & 16 ? go_on : NULL,
				NULL, 0, kind & 32);
	}
}

static void ask_the_host(void)
{
	struct expertmem_capture_status status;

	switch (byte() % 4) {
	case 0:
		expertmem_wait_capture(actor.capture, 0);
		break;
	case 1:
		expertmem_use_capture(actor.key, actor.capture);
		break;
	default:
		CHECK(!expertmem_capture_status(actor.capture, &status));
		read_text(status.comment);
		read_text(status.error);
		read_text(status.software);
	}
}

static void step(void)
{
	unsigned int call = byte();

	switch (call % 32) {
	case 0 ... 7:
		get_frame();
		break;
	case 8 ... 9:
		expert.frames[byte() % KEPT] = GetFrame(expert.capture, any_frame());
		break;
	case 10:
		ask_about_frame();
		break;
	case 11:
		ask_about_capture();
		break;
	case 12 ... 13:
		expert.protocols[byte() % KEPT] = GetProtocolFromName(any_name());
		break;
	case 14:
		ask_about_protocol();
		break;
	case 15 ... 16:
		expert.properties[byte() % KEPT] = GetProperty(KEPT_HANDLE(HPROTOCOL,
							       expert.protocols), any_name());
		break;
	case 17: {
		LPPROPERTYINFO info = GetPropertyInfo(KEPT_HANDLE(HPROPERTY, expert.properties));

		if (info)
			look_at_info(info);
		break;
	}
	case 18 ... 21:
		find_instances();
		break;
	case 22:
		list_protocols();
		break;
	case 23:
		ask_for_offsets();
		break;
	case 24:
		find_frame();
		break;
	case 25 ... 29:
		use_filter();
		break;
	case 30:
		ask_the_host();
		break;
	default:
		disturb();
	}
}

/* -------------------------------------------------------------------------- the host */

static void open_expert(void)
{
	static const uint64_t limits[] = { 0, 0, 1UL << 16, 4UL << 20 };
	const struct expertmem_options options = {
		.name = "fuzz", .backend = EXPERTMEM_BACKEND_ANON, .limit = limits[byte() % 4],
	};

	CHECK(!expertmem_open(&options, &actor.key));
}

static void open_capture(void)
{
	unsigned int kind = byte();
	const struct expertmem_capture_options options = {
		.engine = EXPERTMEM_ENGINE_WIRESHARK, .filter = kind & 8 ? "user" : NULL,
		.flags = kind & (EXPERTMEM_NO_RECOGNIZE | EXPERTMEM_ASKED_PROPERTIES |
				 EXPERTMEM_NEXT_AT),
	};

	CHECK(!expertmem_open_capture("fuzz.pcap", &options, &actor.capture));
}

/* The lowest free descriptors, below and above those that the library moves up. */
struct free_descriptors {
	int low, high;
};

static struct free_descriptors free_descriptors(void)
{
	const struct free_descriptors found = {
		dup(actor.files[0]), fcntl(actor.files[0], F_DUPFD_CLOEXEC, HIGH_FD),
	};

	close(found.low);
	close(found.high);
	return found;
}

static void end(void)
{
	CHECK(!expertmem_close(actor.key));
	expertmem_close_capture(actor.capture);
	close_fd(&actor.control);
	close_fd(&actor.fake.fd);
	if (actor.fake.results)
		__real_munmap(actor.fake.results, ENGINE_RESULTS);
	for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++)
		CHECK(!mappings[i].start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct free_descriptors before, after;
	EXPERTSTARTUPINFO startup;

	if (!actor.bytes[0])
		make_files();
	before = free_descriptors();
	input = data;
	input_end = data + size;
	memset(&expert, 0, sizeof(expert));
	memset(&actor.fake, 0, sizeof(actor.fake));
	actor.fake.fd = -1;
	actor.fake.crashed = 17;
	restore_files();
	open_expert();
	open_capture();
	if (!expertmem_use_capture(actor.key, actor.capture) && take_expert() &&
	    !ExpertGetStartupInfo(actor.key, &startup)) {
		expert.capture = startup.hCapture;
		know_handles();
		while (input < input_end)
			step();
	} else {
		ask_the_host();
	}
	end();
	after = free_descriptors();
	CHECK(after.low == before.low && after.high == before.high);
	return 0;
}
