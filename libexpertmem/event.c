// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events: the expert writes each one as a message into a socket, and the host reads it there. A
 * message in the socket stays there when the expert ends or crashes.
 *
 * A message is a struct head, a struct column for each column, and the texts, each with its null:
 * the five of struct head, then name and value of each column. The expert may be hostile: the host
 * checks every length before it uses a message.
 *
 * Each slot of em_experts[] has one struct em_events, which is never freed, like struct em_client.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"
#include "raw.h"

#define MESSAGE_SIZE	(64U << 10)	/* most bytes of a message */
#define MAX_COLUMNS	255U
#define READ_AT_ONCE	4096	/* most events that one call of the host reads */
#define TICK_MS		100	/* a call that waits looks at the expert's status after each */

/* The texts of an event. */
enum { SOURCE, NAME, DESCRIPTION, MACHINE, JUSTIFICATION, TEXTS };

/* @texts: bytes of each text with its null; 0: it is NULL */
struct head {
	uint32_t ident;
	uint32_t flags;
	uint32_t severity;
	uint32_t columns;
	SYSTEMTIME time;
	uint32_t texts[TEXTS];
};

/* @name, @text: bytes with the null; 0: NULL. @text: of NMCOLUMNTYPE_STRING, else 0. */
struct column {
	uint32_t type;
	uint32_t name;
	uint32_t text;
	uint32_t reserved;
	uint8_t value[16];
};

/* A text that is cut ends with this. */
static const char ellipsis[] = "\342\200\246";

#define ELLIPSIS	(sizeof(ellipsis) - 1)

/**
 * struct em_events - the events of an expert
 * @key: key of the expert; 0: not in use; atomic
 * @closing: expertmem_close() waits for the locks; atomic
 * @lock: protects @writer and @message
 * @writer: the expert's end of the socket; -1: this process has none
 * @message: the message that is sent
 * @read_lock: protects @reader
 * @reader: the host's end of the socket; -1: this process has none
 * @forks: number of fork() between the process that called expertmem_open_events() and this one
 */
struct em_events {
	HEXPERTKEY key;
	bool closing;
	pthread_mutex_t lock;
	int writer;
	pthread_mutex_t read_lock;
	int reader;
	unsigned int forks;
	char message[MESSAGE_SIZE] __attribute__((aligned(16)));
};

static struct em_events *slots[EM_MAX_EXPERTS];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

/* ------------------------------------------------------------------- making and closing */

static struct em_events *of_key(HEXPERTKEY key)
{
	return em_load_acquire(&slots[(uintptr_t)key & (EM_MAX_EXPERTS - 1)]);
}

/* The events of a slot, which may be new; NULL: no memory. */
static struct em_events *make(HEXPERTKEY key)
{
	struct em_events **slot = &slots[(uintptr_t)key & (EM_MAX_EXPERTS - 1)];
	struct em_events *events;

	pthread_mutex_lock(&slots_lock);
	events = *slot;
	if (!events) {
		events = em_map(sizeof(*events), MAP_PRIVATE);
		if (events) {
			pthread_mutex_init(&events->lock, NULL);
			pthread_mutex_init(&events->read_lock, NULL);
			events->writer = events->reader = -1;
			em_store_release(slot, events);
		}
	}
	pthread_mutex_unlock(&slots_lock);
	return events;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		em_raw(SYS_close, *fd, 0, 0);
	*fd = -1;
}

static void events_close(struct em_expert *expert)
{
	struct em_events *events = expert->events;

	em_write_once(&events->closing, true);
	pthread_mutex_lock(&events->lock);
	pthread_mutex_lock(&events->read_lock);
	em_store_release(&events->key, 0);
	close_fd(&events->writer);
	close_fd(&events->reader);
	pthread_mutex_unlock(&events->read_lock);
	pthread_mutex_unlock(&events->lock);
}

static void events_release(struct em_expert *expert)
{
	struct em_events *events = expert->events;

	expert->parts[EM_PART_EVENTS] = NULL;
	expert->events = NULL;
	em_store_release(&events->key, 0);
	close_fd(&events->writer);
	close_fd(&events->reader);
	events->closing = false;
	events->forks = 0;
}

/*
 * A child of the host may be the expert. It closes the reader: otherwise send() would not fail
 * after the host has ended. A child of the expert closes the reader and the writer.
 */
static void events_after_fork(struct em_expert *expert)
{
	struct em_events *events = expert->events;

	/* A thread of the parent may hold the locks; it is not in the child. */
	pthread_mutex_init(&events->lock, NULL);
	pthread_mutex_init(&events->read_lock, NULL);
	if (++events->forks > 1)
		events_release(expert);
	else
		close_fd(&events->reader);
}

static const struct em_part events_part = {
	.close		= events_close,
	.release	= events_release,
	.after_fork	= events_after_fork,
};

/* Make the socket; both ends get high numbers. */
static int make_socket(int ends[2])
{
	const struct timeval tick = { .tv_usec = TICK_MS * 1000 };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return errno == EMFILE || errno == ENFILE ? EXPERTMEM_E_TOO_MANY :
							    EXPERTMEM_E_NOMEM;
	ends[0] = em_high_fd(ends[0]);
	ends[1] = em_high_fd(ends[1]);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick));
	return EXPERTMEM_OK;
}

int expertmem_open_events(HEXPERTKEY key, int *fd)
{
	struct em_expert *expert;
	struct em_events *events;
	int ends[2], error;

	if (!fd)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	error = EXPERTMEM_E_BUSY;
	if (expert->events)
		goto out;
	error = EXPERTMEM_E_NOMEM;
	events = make(key);
	if (!events)
		goto out;
	error = make_socket(ends);
	if (error)
		goto out;
	*fd = events->reader = ends[0];
	events->writer = ends[1];
	em_store_release(&events->key, key);
	expert->parts[EM_PART_EVENTS] = &events_part;
	expert->events = events;
out:
	em_unlock(expert);
	return error;
}

/* ----------------------------------------------------------------------------- writing */

/* Bytes of the value of a column, by type; 0: no such type. A text is not in the value. */
static const uint8_t value_sizes[] = {
	[NMCOLUMNTYPE_UINT8]		= sizeof(BYTE),
	[NMCOLUMNTYPE_SINT8]		= sizeof(int8_t),
	[NMCOLUMNTYPE_UINT16]		= sizeof(WORD),
	[NMCOLUMNTYPE_SINT16]		= sizeof(int16_t),
	[NMCOLUMNTYPE_UINT32]		= sizeof(DWORD),
	[NMCOLUMNTYPE_SINT32]		= sizeof(LONG),
	[NMCOLUMNTYPE_FLOAT64]		= sizeof(double),
	[NMCOLUMNTYPE_FRAME]		= sizeof(DWORD),
	[NMCOLUMNTYPE_YESNO]		= sizeof(BOOL),
	[NMCOLUMNTYPE_ONOFF]		= sizeof(BOOL),
	[NMCOLUMNTYPE_TRUEFALSE]	= sizeof(BOOL),
	[NMCOLUMNTYPE_MACADDR]		= MAC_ADDRESS_SIZE,
	[NMCOLUMNTYPE_IPXADDR]		= IPX_ADDR_SIZE,
	[NMCOLUMNTYPE_IPADDR]		= sizeof(DWORD),
	[NMCOLUMNTYPE_VARTIME]		= sizeof(double),
	[NMCOLUMNTYPE_STRING]		= 0,
};

static bool is_type(uint32_t type)
{
	return type <= NMCOLUMNTYPE_STRING;
}

static bool is_valid(const NMEVENTDATA *event)
{
	unsigned int i;

	if (!event || event->Version)
		return false;
	for (i = 0; i < event->NumColumns; i++)
		if (!is_type(event->Column[i].VariantData.Type))
			return false;
	return true;
}

/* The texts of an event, in the order of a message. Returns how many there are. */
static unsigned int list_texts(const NMEVENTDATA *event, const char *texts[])
{
	unsigned int n = 0, i;

	texts[n++] = event->szSourceName;
	texts[n++] = event->szEventName;
	texts[n++] = event->szDescription;
	texts[n++] = event->szMachine;
	texts[n++] = event->Justification;
	for (i = 0; i < event->NumColumns; i++) {
		const NMCOLUMNVARIANT *value = &event->Column[i].VariantData;

		texts[n++] = event->Column[i].szColumnName;
		texts[n++] = value->Type == NMCOLUMNTYPE_STRING ? value->Value.pStringVal : NULL;
	}
	return n;
}

/* Bytes that a text of @length bytes has in the message, if no text may have more than @most. */
static uint32_t cut_length(uint32_t length, uint32_t most)
{
	return length < most ? length : most;
}

/*
 * Find the most bytes that one text may have, so that all texts together fit into @room bytes. With
 * MAX_COLUMNS columns, some characters of each text still fit.
 */
static uint32_t longest_text(const uint32_t lengths[], unsigned int n, uint32_t room)
{
	uint32_t low = 1, high = MESSAGE_SIZE;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2, sum = 0;

		for (unsigned int i = 0; i < n && sum <= room; i++)
			sum += cut_length(lengths[i], middle);
		if (sum <= room)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Copy a text of @length bytes with its null as at most @most bytes. Returns how many. */
static uint32_t copy_text(char *to, const char *text, uint32_t length, uint32_t most)
{
	uint32_t size = cut_length(length, most);

	if (!size)
		return 0;
	memcpy(to, text, size - 1);
	if (size < length) {
		uint32_t end = size - 1 - ELLIPSIS;

		/* Not inside of a character of UTF-8. */
		for (int i = 0; i < 3 && end && (text[end] & 0xc0) == 0x80; i++)
			end--;
		memcpy(to + end, ellipsis, ELLIPSIS);
		size = end + ELLIPSIS + 1;
	}
	to[size - 1] = '\0';
	return size;
}

static void copy_head(struct head *head, const NMEVENTDATA *event)
{
	*head = (struct head){
		.ident		= event->EventIdent,
		.flags		= event->Flags,
		.severity	= event->Severity,
		.columns	= event->NumColumns,
		.time		= event->SysTime,
	};
}

/* Write the event to events->message. Returns its bytes. */
static size_t write_message(struct em_events *events, const NMEVENTDATA *event)
{
	const char *texts[TEXTS + 2 * MAX_COLUMNS];
	uint32_t lengths[TEXTS + 2 * MAX_COLUMNS];
	struct head *head = (struct head *)events->message;
	struct column *columns = (struct column *)(head + 1);
	char *to = (char *)(columns + event->NumColumns);
	unsigned int n = list_texts(event, texts), i;
	uint32_t most, size;

	copy_head(head, event);
	for (i = 0; i < event->NumColumns; i++) {
		columns[i] = (struct column){ .type = event->Column[i].VariantData.Type };
		memcpy(columns[i].value, &event->Column[i].VariantData.Value,
		       value_sizes[columns[i].type]);
	}
	for (i = 0; i < n; i++)
		lengths[i] = texts[i] ? (uint32_t)strnlen(texts[i], MESSAGE_SIZE) + 1 : 0;
	most = longest_text(lengths, n, (uint32_t)(events->message + MESSAGE_SIZE - to));
	for (i = 0; i < n; i++) {
		size = copy_text(to, texts[i], lengths[i], most);
		to += size;
		if (i < TEXTS)
			head->texts[i] = size;
		else if ((i - TEXTS) % 2)
			columns[(i - TEXTS) / 2].text = size;
		else
			columns[(i - TEXTS) / 2].name = size;
	}
	return to - events->message;
}

/* Send the message. The expert is open, because events->lock is held. */
static DWORD send_message(struct em_events *events, size_t size)
{
	const struct em_expert *expert = em_slot_of(events->key);
	int saved = errno;
	DWORD error = NMERR_SUCCESS;

	while (send(events->writer, events->message, size, MSG_NOSIGNAL) < 0) {
		if (em_status(expert) || em_read_once(&events->closing))
			error = NMERR_EXPERT_TERMINATE;
		else if (errno != EAGAIN && errno != EINTR)
			error = NMERR_EXPERT_REPORT_FAILED;
		if (error)
			break;
	}
	errno = saved;
	return error;
}

DWORD WINAPI ExpertSubmitEvent(HEXPERTKEY hExpertKey, PNMEVENTDATA pExpertEvent)
{
	struct em_events *events;
	DWORD error;

	if (!is_valid(pExpertEvent))
		return NMERR_INVALID_PARAMETER;
	error = em_become(hExpertKey);
	if (error)
		return error;
	events = of_key(hExpertKey);
	if (!events || em_load_acquire(&events->key) != hExpertKey)
		return NMERR_SUCCESS;
	pthread_mutex_lock(&events->lock);
	if (events->key != hExpertKey || em_read_once(&events->closing))
		error = NMERR_INVALID_EXPERT_HANDLE;
	else
		error = send_message(events, write_message(events, pExpertEvent));
	pthread_mutex_unlock(&events->lock);
	return error;
}

/* ----------------------------------------------------------------------------- reading */

/* A message as the host reads it, and the event that the host passes to the handler. */
struct incoming {
	char message[MESSAGE_SIZE] __attribute__((aligned(16)));
	union {
		NMEVENTDATA event;
		char space[sizeof(NMEVENTDATA) + MAX_COLUMNS * sizeof(NMCOLUMNINFO)];
	};
};

/* Take a text of @length bytes from the rest of a message. False: it is not one. */
static bool take_text(char **rest, const char *end, uint32_t length, char **text)
{
	*text = NULL;
	if (!length)
		return true;
	if (length > (size_t)(end - *rest) || (*rest)[length - 1])
		return false;
	*text = *rest;
	*rest += length;
	return true;
}

static bool take_column(const struct column *column, NMCOLUMNINFO *info, char **rest,
			const char *end)
{
	char *text;

	if (!is_type(column->type) || (column->text && column->type != NMCOLUMNTYPE_STRING))
		return false;
	info->VariantData.Type = column->type;
	if (!take_text(rest, end, column->name, &info->szColumnName) ||
	    !take_text(rest, end, column->text, &text))
		return false;
	if (column->type == NMCOLUMNTYPE_STRING)
		info->VariantData.Value.pStringVal = text;
	else
		memcpy(&info->VariantData.Value, column->value, value_sizes[column->type]);
	return true;
}

/* Make the event of a message of @size bytes. False: it is not one. */
static bool read_message(struct incoming *incoming, size_t size)
{
	const struct head *head = (const struct head *)incoming->message;
	const struct column *columns = (const struct column *)(head + 1);
	const char *end = incoming->message + size;
	NMEVENTDATA *event = &incoming->event;
	char *rest;
	uint32_t i;

	if (size < sizeof(*head) || head->columns > MAX_COLUMNS ||
	    size < sizeof(*head) + head->columns * sizeof(*columns))
		return false;
	rest = (char *)(columns + head->columns);
	memset(event, 0, sizeof(incoming->space));
	event->EventIdent = head->ident;
	event->Flags = head->flags;
	event->Severity = head->severity;
	event->NumColumns = (BYTE)head->columns;
	event->SysTime = head->time;
	if (!take_text(&rest, end, head->texts[SOURCE], &event->szSourceName) ||
	    !take_text(&rest, end, head->texts[NAME], &event->szEventName) ||
	    !take_text(&rest, end, head->texts[DESCRIPTION], &event->szDescription) ||
	    !take_text(&rest, end, head->texts[MACHINE], &event->szMachine) ||
	    !take_text(&rest, end, head->texts[JUSTIFICATION], &event->Justification))
		return false;
	for (i = 0; i < head->columns; i++)
		if (!take_column(&columns[i], &event->Column[i], &rest, end))
			return false;
	return rest == end;
}

/* Receive a message, if there is one. -1: there is none. */
static ssize_t receive(struct em_events *events, HEXPERTKEY key, struct incoming *incoming)
{
	ssize_t size = -1;

	pthread_mutex_lock(&events->read_lock);
	if (events->key == key && events->reader >= 0)
		size = recv(events->reader, incoming->message, sizeof(incoming->message),
			    MSG_DONTWAIT | MSG_TRUNC);
	pthread_mutex_unlock(&events->read_lock);
	return size;
}

int expertmem_read_events(HEXPERTKEY key, expertmem_event_handler handler, void *arg)
{
	struct em_expert *expert;
	struct em_events *events;
	struct incoming *incoming;
	int count = 0, i;
	ssize_t size;

	if (!handler)
		return EXPERTMEM_E_INVALID;
	expert = em_lock(key);
	if (!expert)
		return EXPERTMEM_E_KEY;
	events = expert->events;
	em_unlock(expert);
	if (!events)
		return EXPERTMEM_E_UNSUPPORTED;
	incoming = em_map(sizeof(*incoming), MAP_PRIVATE);
	if (!incoming)
		return EXPERTMEM_E_NOMEM;
	for (i = 0; i < READ_AT_ONCE; i++) {
		size = receive(events, key, incoming);
		if (size <= 0)	/* there is none now; 0: there will be none, as the expert has ended */
			break;
		if ((size_t)size > sizeof(incoming->message) ||
		    !read_message(incoming, (size_t)size))
			continue;
		handler(&incoming->event, arg);
		count++;
	}
	munmap(incoming, sizeof(*incoming));
	return count;
}
