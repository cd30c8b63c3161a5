// SPDX-License-Identifier: GPL-2.0
/*
 * Events: what an expert submits is what its host reads, and a hostile expert cannot make the host
 * read anything else.
 *
 * needs: native
 * also: asan fast
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "captures_test.h"

#define COLUMNS 16

struct event {
	NMEVENTDATA data;
	NMCOLUMNINFO columns[255];
};

FIXTURE(events) {
	HEXPERTKEY key;
	int fd;
};

FIXTURE_SETUP(events)
{
	self->key = open_private();
	self->fd = -1;
	ASSERT_EQ(EXPERTMEM_OK, expertmem_open_events(self->key, &self->fd));
}

FIXTURE_TEARDOWN(events)
{
	expertmem_close(self->key);
}

/* An event with a column of each type. */
static void fill(struct event *event)
{
	static const BYTE mac[] = { 1, 2, 3, 4, 5, 6 };
	static const IPX_ADDR ipx = { { 1, 2, 3, 4 }, { 5, 6, 7, 8, 9, 10 } };
	NMCOLUMNINFO *column;

	memset(event, 0xa5, sizeof(*event));
	column = event->data.Column;
	event->data.Version = 0;
	event->data.EventIdent = 42;
	event->data.Flags = NMEVENTFLAG_EXPERT | NMEVENTFLAG_DO_NOT_DISPLAY_TIME;
	event->data.Severity = NMEVENT_SEVERITY_WARNING;
	event->data.NumColumns = COLUMNS;
	event->data.szSourceName = (char *)"source";
	event->data.szEventName = (char *)"name";
	event->data.szDescription = (char *)"";
	event->data.szMachine = NULL;
	event->data.Justification = (char *)"line\nline\033";
	event->data.SysTime = (SYSTEMTIME){ .wYear = 1601, .wMonth = 1, .wMilliseconds = 7 };
	for (int i = 0; i < COLUMNS; i++) {
		column[i].szColumnName = (char *)(i % 2 ? "odd" : "even");
		column[i].VariantData.Type = i;
	}
	column[NMCOLUMNTYPE_UINT8].VariantData.Value.Uint8Val = 200;
	column[NMCOLUMNTYPE_SINT8].VariantData.Value.Sint8Val = -100;
	column[NMCOLUMNTYPE_UINT16].VariantData.Value.Uint16Val = 60000;
	column[NMCOLUMNTYPE_SINT16].VariantData.Value.Sint16Val = -30000;
	column[NMCOLUMNTYPE_UINT32].VariantData.Value.Uint32Val = 4000000000;
	column[NMCOLUMNTYPE_SINT32].VariantData.Value.Sint32Val = -2000000000;
	column[NMCOLUMNTYPE_FLOAT64].VariantData.Value.Float64Val = 1.5;
	column[NMCOLUMNTYPE_FRAME].VariantData.Value.FrameVal = 17;
	column[NMCOLUMNTYPE_YESNO].VariantData.Value.YesNoVal = TRUE;
	column[NMCOLUMNTYPE_ONOFF].VariantData.Value.OnOffVal = FALSE;
	column[NMCOLUMNTYPE_TRUEFALSE].VariantData.Value.TrueFalseVal = TRUE;
	memcpy(column[NMCOLUMNTYPE_MACADDR].VariantData.Value.MACAddrVal, mac, sizeof(mac));
	column[NMCOLUMNTYPE_IPXADDR].VariantData.Value.IPXAddrVal = ipx;
	column[NMCOLUMNTYPE_IPADDR].VariantData.Value.IPAddrVal = 0x0100007f;
	column[NMCOLUMNTYPE_VARTIME].VariantData.Value.VarTimeVal = 36526.25;
	column[NMCOLUMNTYPE_STRING].VariantData.Value.pStringVal = "text";
	column[3].szColumnName = NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_column(const NMCOLUMNINFO *a, const NMCOLUMNINFO *b)
{
	static const size_t sizes[] = { 1, 1, 2, 2, 4, 4, 8, 4, 4, 4, 4, 6, 10, 4, 8 };
	DWORD type = a->VariantData.Type;

	if (!same_text(a->szColumnName, b->szColumnName) || type != b->VariantData.Type)
		return false;
	if (type == NMCOLUMNTYPE_STRING)
		return same_text(a->VariantData.Value.pStringVal, b->VariantData.Value.pStringVal);
	return !memcmp(&a->VariantData.Value, &b->VariantData.Value, sizes[type]);
}

static bool same_event(const NMEVENTDATA *a, const NMEVENTDATA *b)
{
	bool same = a->EventIdent == b->EventIdent && a->Flags == b->Flags &&
		    a->Severity == b->Severity && a->NumColumns == b->NumColumns &&
		    same_text(a->szSourceName, b->szSourceName) &&
		    same_text(a->szEventName, b->szEventName) &&
		    same_text(a->szDescription, b->szDescription) &&
		    same_text(a->szMachine, b->szMachine) &&
		    same_text(a->Justification, b->Justification) &&
		    !memcmp(&a->SysTime, &b->SysTime, sizeof(a->SysTime));

	for (int i = 0; i < a->NumColumns; i++)
		same = same && same_column(&a->Column[i], &b->Column[i]);
	return same;
}

/* What a handler has seen. */
struct seen {
	struct event expected;
	int same;
	size_t description, justification, text;
	DWORD ident;
	bool ends_marked;
};

static void look(const NMEVENTDATA *event, void *arg)
{
	struct seen *seen = arg;

	seen->same += same_event(event, &seen->expected.data) && !event->Version &&
		      !event->pszReserved && !event->pvReserved;
	seen->description = event->szDescription ? strlen(event->szDescription) : 0;
	seen->justification = event->Justification ? strlen(event->Justification) : 0;
	if (event->NumColumns > NMCOLUMNTYPE_STRING) {
		const NMCOLUMNVARIANT *last = &event->Column[NMCOLUMNTYPE_STRING].VariantData;

		if (last->Type == NMCOLUMNTYPE_STRING && last->Value.pStringVal)
			seen->text = strlen(last->Value.pStringVal);
	}
	seen->ends_marked = seen->description > 3 &&
		!strcmp(event->szDescription + seen->description - 3, "\342\200\246");
	seen->ident = event->EventIdent;
}

TEST_F(events, the_host_reads_what_the_expert_has_submitted)
{
	struct pollfd poll_fd = { .fd = self->fd, .events = POLLIN };
	struct seen seen = { 0 };
	pid_t expert;

	fill(&seen.expected);
	EXPECT_EQ(0, expertmem_read_events(self->key, look, &seen));
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	expert = fork();
	if (!expert) {
		ExpertSubmitEvent(self->key, &seen.expected.data);
		ExpertSubmitEvent(self->key, &seen.expected.data);
		/* Events of an expert that crashes are still there. */
		kill(getpid(), SIGKILL);
	}
	waitpid(expert, NULL, 0);
	EXPECT_EQ(1, poll(&poll_fd, 1, 0));
	EXPECT_EQ(2, expertmem_read_events(self->key, look, &seen));
	EXPECT_EQ(2, seen.same);
	EXPECT_EQ(0, expertmem_read_events(self->key, look, &seen));
}

TEST_F(events, wrong_events_and_calls_have_their_codes)
{
	HEXPERTKEY without = open_private(), closed = open_private();
	struct seen seen = { 0 };
	struct event event;
	int fd = -7;

	expertmem_close(closed);
	fill(&event);
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertSubmitEvent(self->key, NULL));
	EXPECT_EQ(NMERR_INVALID_EXPERT_HANDLE, ExpertSubmitEvent(NULL, &event.data));
	EXPECT_EQ(NMERR_INVALID_EXPERT_HANDLE, ExpertSubmitEvent(closed, &event.data));
	event.data.Version = 1;
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertSubmitEvent(self->key, &event.data));
	event.data.Version = 0;
	event.data.Column[15].VariantData.Type = 16;
	EXPECT_EQ(NMERR_INVALID_PARAMETER, ExpertSubmitEvent(self->key, &event.data));
	event.data.NumColumns = 15;
	EXPECT_EQ(NMERR_SUCCESS, ExpertSubmitEvent(self->key, &event.data));
	event.data.NumColumns = 0;
	EXPECT_EQ(NMERR_SUCCESS, ExpertSubmitEvent(self->key, &event.data));
	EXPECT_EQ(2, expertmem_read_events(self->key, look, &seen));
	/* Without a host that reads them, events are dropped. */
	EXPECT_EQ(NMERR_SUCCESS, ExpertSubmitEvent(without, &event.data));
	EXPECT_EQ(EXPERTMEM_E_UNSUPPORTED, expertmem_read_events(without, look, &seen));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_read_events(self->key, NULL, NULL));
	EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_read_events(closed, look, &seen));
	EXPECT_EQ(EXPERTMEM_E_KEY, expertmem_open_events(closed, &fd));
	EXPECT_EQ(EXPERTMEM_E_INVALID, expertmem_open_events(without, NULL));
	EXPECT_EQ(EXPERTMEM_E_BUSY, expertmem_open_events(self->key, &fd));
	EXPECT_EQ(-7, fd);
	EXPECT_EQ(EXPERTMEM_OK, expertmem_terminate(self->key));
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, ExpertSubmitEvent(self->key, &event.data));
	EXPECT_EQ(0, expertmem_read_events(self->key, look, &seen));
	expertmem_close(without);
}

TEST_F(events, long_texts_are_cut_at_a_character)
{
	static char long_text[200001];
	struct seen seen = { 0 };

	fill(&seen.expected);
	/* Of two bytes each: the cut must not be inside of one. */
	for (size_t i = 0; i + 2 < sizeof(long_text); i += 2) {
		long_text[i] = '\303';
		long_text[i + 1] = '\244';
	}
	seen.expected.data.szDescription = long_text;
	EXPECT_EQ(NMERR_SUCCESS, ExpertSubmitEvent(self->key, &seen.expected.data));
	EXPECT_EQ(1, expertmem_read_events(self->key, look, &seen));
	EXPECT_LT(60000, seen.description);
	EXPECT_GT(65536, seen.description);
	EXPECT_TRUE(seen.ends_marked);
	EXPECT_EQ(0, (seen.description - 3) % 2);
	/* Short ones are whole. */
	EXPECT_EQ(10, seen.justification);
	EXPECT_EQ(4, seen.text);

	/* Several long ones share the room. */
	seen.expected.data.Justification = long_text;
	seen.expected.data.Column[NMCOLUMNTYPE_STRING].VariantData.Value.pStringVal = long_text;
	EXPECT_EQ(NMERR_SUCCESS, ExpertSubmitEvent(self->key, &seen.expected.data));
	EXPECT_EQ(1, expertmem_read_events(self->key, look, &seen));
	EXPECT_LT(20000, seen.description);
	EXPECT_LT(20000, seen.justification);
	EXPECT_LT(20000, seen.text);
}

TEST_F(events, there_is_room_for_all_columns)
{
	static char long_text[70000];
	struct seen seen = { 0 };

	memset(long_text, 'x', sizeof(long_text) - 1);
	fill(&seen.expected);
	seen.expected.data.NumColumns = 255;
	for (int i = 0; i < 255; i++) {
		seen.expected.data.Column[i].szColumnName = long_text;
		seen.expected.data.Column[i].VariantData.Type = NMCOLUMNTYPE_STRING;
		seen.expected.data.Column[i].VariantData.Value.pStringVal = long_text;
	}
	EXPECT_EQ(NMERR_SUCCESS, ExpertSubmitEvent(self->key, &seen.expected.data));
	EXPECT_EQ(1, expertmem_read_events(self->key, look, &seen));
	EXPECT_LT(50, seen.text);
}

static void *submit_many(void *key)
{
	struct event event;
	DWORD error = NMERR_SUCCESS;

	fill(&event);
	for (DWORD i = 0; i < 5000 && !error; i++) {
		event.data.EventIdent = i;
		error = ExpertSubmitEvent(key, &event.data);
	}
	return (void *)(uintptr_t)error;
}

TEST_F(events, threads_wait_while_the_host_reads)
{
	struct pollfd poll_fd = { .fd = self->fd, .events = POLLIN };
	struct seen seen = { 0 };
	pthread_t threads[4];
	int total = 0;
	void *error;

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, submit_many, self->key);
	while (total < 20000 && poll(&poll_fd, 1, WAIT) == 1)
		total += expertmem_read_events(self->key, look, &seen);
	EXPECT_EQ(20000, total);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &error);
		EXPECT_EQ(NULL, error);
	}
}

static void *terminate_soon(void *key)
{
	usleep(100000);
	expertmem_terminate(key);
	return NULL;
}

TEST_F(events, terminate_ends_the_wait_of_an_expert)
{
	pthread_t thread;

	pthread_create(&thread, NULL, terminate_soon, self->key);
	EXPECT_EQ(NMERR_EXPERT_TERMINATE, (uintptr_t)submit_many(self->key));
	pthread_join(thread, NULL);
}

static void *close_soon(void *key)
{
	usleep(100000);
	expertmem_close(key);
	return NULL;
}

TEST_F(events, close_ends_the_wait_of_an_expert)
{
	pthread_t thread;
	uintptr_t error;

	pthread_create(&thread, NULL, close_soon, self->key);
	error = (uintptr_t)submit_many(self->key);
	EXPECT_TRUE(error == NMERR_EXPERT_TERMINATE || error == NMERR_INVALID_EXPERT_HANDLE);
	pthread_join(thread, NULL);
	self->key = open_private();
}

TEST_F(events, an_expert_learns_that_its_host_has_ended)
{
	int answer[2], code = -1;
	pid_t host;

	/* The host of this test's expert is a process that ends, and leaves the expert alone. */
	ASSERT_EQ(0, pipe(answer));
	host = fork();
	if (!host) {
		HEXPERTKEY key = open_private();
		int fd;

		expertmem_open_events(key, &fd);
		host = getpid();
		if (!fork()) {
			while (getppid() == host)
				usleep(1000);
			code = (int)(uintptr_t)submit_many(key);
			_exit(write(answer[1], &code, sizeof(code)) != sizeof(code));
		}
		_exit(0);
	}
	waitpid(host, NULL, 0);
	close(answer[1]);
	ASSERT_EQ(sizeof(code), read(answer[0], &code, sizeof(code)));
	EXPECT_EQ(NMERR_EXPERT_REPORT_FAILED, code);
	close(answer[0]);
}

/* The expert's end of the socket: the highest descriptor of a socket that can be written. */
static int writer_of(int reader)
{
	for (int fd = reader + 16; fd > 2; fd--) {
		int type;
		socklen_t size = sizeof(type);

		if (fd != reader && !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) &&
		    type == SOCK_SEQPACKET)
			return fd;
	}
	return -1;
}

TEST_F(events, messages_of_a_hostile_expert_are_dropped)
{
	static char message[65536 + 512];
	int writer = writer_of(self->fd), good = 0;
	struct seen seen = { 0 };
	uint32_t random = 1;
	ssize_t size;

	ASSERT_LE(0, writer);
	fill(&seen.expected);
	ASSERT_EQ(NMERR_SUCCESS, ExpertSubmitEvent(self->key, &seen.expected.data));
	size = recv(self->fd, message, sizeof(message), MSG_DONTWAIT);
	ASSERT_LT(0, size);
	/* as it is */
	ASSERT_EQ(size, send(writer, message, (size_t)size, 0));
	EXPECT_EQ(1, expertmem_read_events(self->key, look, &seen));
	EXPECT_EQ(1, seen.same);
	/* cut, and with more behind it */
	for (ssize_t n = 0; n < size; n++) {
		send(writer, message, (size_t)n, 0);
		EXPECT_EQ(0, expertmem_read_events(self->key, look, &seen));
	}
	send(writer, message, (size_t)size + 1, 0);
	EXPECT_EQ(0, expertmem_read_events(self->key, look, &seen));
	send(writer, message, sizeof(message), 0);
	EXPECT_EQ(0, expertmem_read_events(self->key, look, &seen));
	/* each byte changed; values may be anything, lengths and types may not */
	for (int i = 0; i < (int)size * 4; i++) {
		char before = message[i % size];

		random = random * 1664525 + 1013904223;
		message[i % size] = (char)(random >> 24);
		send(writer, message, (size_t)size, 0);
		good += expertmem_read_events(self->key, look, &seen);
		message[i % size] = before;
	}
	EXPECT_LT(0, good);
	EXPECT_GT(size * 4, good);
}

TEST_HARNESS_MAIN
