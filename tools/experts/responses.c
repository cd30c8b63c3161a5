// SPDX-License-Identifier: GPL-2.0
/*
 * responses: how long servers take to respond, by protocol.
 *
 * A pair of properties marks requests and responses. The expert finds the frames that have one of
 * these properties by a filter, and the properties in these frames by
 * FindPropertyInstanceRestart(). The engine evaluates the filter, so properties are attached to
 * these frames only.
 *
 * A response belongs to the request
 *   - of its conversation: equal addresses and ports, with source and destination exchanged
 *   - with the same id, if the pair has one, such as dns.id
 *   - or else with the same number: the first response of a conversation belongs to the first
 *     request, as in HTTP. Responses that come before any request are left out.
 * If a request is sent again before it is answered, the time of its first frame counts. The time of
 * a response is that of the frame in which it is complete. So the times are those of http.time,
 * dns.time, smb.time and smb2.time of Wireshark, cut to microseconds. Wireshark also gives an
 * http.time to responses with a status below 200, which do not end a request.
 *
 * Memory: a request takes 80 bytes, a response 8. When the expert's limit is reached, further
 * requests and times are left out, and their number is printed. The percentiles are those of all
 * measured times.
 *
 * Build it:	cc -shared -fPIC responses.c common/{table,text,event,config,property,walk}.c \
 *		   -o responses.so -lexpertmem
 * Run it:	expertmem run --events slow.json ./responses.so traffic.pcap
 *
 * Configuration: a pair in each line, at most 16 pairs, see Configure(). If RESPONSES is in the
 * environment, its lines, separated by semicolons, replace those of the configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Netmon.h>

#include "common/config.h"
#include "common/event.h"
#include "common/property.h"
#include "common/table.h"
#include "common/text.h"
#include "common/walk.h"

#define PAIRS_MAX		16
#define SLOWEST			10	/* events of each pair */
#define SLOW			1000000	/* microseconds: the event is a warning */

static const char standard_pairs[] =
	"HTTP, http.request.method, http.response.code >= 200\n"
	"DNS, dns.flags.response = 0, dns.flags.response = 1, dns.id\n"
	"SMB, smb.flags.response = 0, smb.flags.response = 1, smb.mid\n"
	"SMB2, smb2.flags.response = 0, smb2.flags.response = 1, smb2.msg_id\n";

/* A property, and the range of values that a request or response has. */
struct condition {
	HPROPERTY property;
	uint64_t least, most;	/* 0 and UINT64_MAX: any value, also a value that is no number */
};

struct slow {
	int64_t time, answered;	/* microseconds: duration; TimeStamp of the response */
	DWORD request, response; /* numbers of frames */
	char server[ENDPOINT_TEXT];
};

struct pair {
	const char *name;
	struct condition request, response;
	HPROPERTY id;		/* identifies a request; 0: requests are matched by their number */
	int64_t *times;		/* microseconds */
	uint32_t count, room;	/* of @times */
	unsigned long long requests, orphans, left_out; /* orphans: responses without a request */
	struct slow slowest[SLOWEST];
	unsigned int slow_count;
};

struct request {
	struct {		/* the key in the table */
		struct host client, server;
		uint16_t ports[2];	/* of client and server */
		uint16_t pair;		/* number of the pair */
		uint16_t is_counter;	/* 1: counts the requests and responses of a conversation */
		uint64_t id;
	} key;
	int64_t time;		/* TimeStamp of its first frame, microseconds */
	DWORD frame;		/* number of its first frame */
	uint32_t open;		/* 1: the request is not answered yet */
	uint32_t sent, answered; /* of a counter: number of requests and responses */
};

struct survey {
	HEXPERTKEY key;
	char text[CONFIG_TEXT];	/* the configuration; pair.name points into it */
	struct pair pairs[PAIRS_MAX];
	unsigned int count;
	HFILTER filter;
	HPROPERTY ports[4];	/* source and destination of TCP and of UDP */
	struct table requests;
	unsigned long long frames;
};

/* Cut the next field off a line: the text up to a comma, without blanks at its ends. */
static char *next_field(char **line)
{
	char *field = *line + strspn(*line, " \t"), *end = field + strcspn(field, ",");

	*line = end + (*end == ',');
	*end = '\0';
	while (end > field && strchr(" \t", end[-1]))
		*--end = '\0';
	return field;
}

/* Read "PROPERTY", "PROPERTY = NUMBER" or "PROPERTY >= NUMBER". Returns an NMERR_ code. */
static DWORD parse_condition(char *field, struct condition *condition)
{
	char *end = field + strcspn(field, "=>"), *number = end + strspn(end, "=> \t");
	DWORD error;

	condition->most = UINT64_MAX;
	if (*end) {
		condition->least = strtoull(number, NULL, 0);
		if (*end == '=')
			condition->most = condition->least;
		while (end > field && end[-1] == ' ')
			end--;
		*end = '\0';
	}
	condition->property = property_find(field, &error);
	return error;
}

static DWORD parse_pair(struct pair *pair, char *line)
{
	char *request, *response, *id;
	DWORD error;

	pair->name = next_field(&line);
	request = next_field(&line);
	response = next_field(&line);
	id = next_field(&line);
	error = parse_condition(request, &pair->request);
	if (error == NMERR_SUCCESS)
		error = parse_condition(response, &pair->response);
	if (error == NMERR_SUCCESS && *id)
		pair->id = property_find(id, &error);
	return error;
}

/* Make the filter: any of the properties exists. Objects are in postfix order. */
static DWORD make_filter(struct survey *survey)
{
	DWORD error = NMERR_SUCCESS;

	survey->filter = CreateFilter();
	if (!survey->filter)
		return BhGetLastError();
	for (unsigned int i = 0; i < 2 * survey->count && error == NMERR_SUCCESS; i++) {
		struct pair *pair = &survey->pairs[i / 2];
		FILTEROBJECT exists = { .Action = FILTERACTION_PROPERTYEXIST },
			or = { .Action = FILTERACTION_OR };

		exists.hProperty = i % 2 ? pair->response.property : pair->request.property;
		error = FilterAddObject(survey->filter, &exists);
		if (error == NMERR_SUCCESS && i)
			error = FilterAddObject(survey->filter, &or);
	}
	return error;
}

static DWORD survey_prepare(struct survey *survey, PEXPERTCONFIG config)
{
	static const char *const ports[] = { "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport" };
	const char *wish = getenv("RESPONSES");
	char *rest = survey->text, *line, visible[128];
	DWORD error;

	config_text(config, survey->text);
	if (wish)
		snprintf(survey->text, sizeof(survey->text), "%s", wish);
	else if (!*survey->text)
		strcpy(survey->text, standard_pairs);
	for (char *end = survey->text; (end = strchr(end, ';')); )
		*end = '\n';

	for (int i = 0; i < 4; i++) {
		survey->ports[i] = property_find(ports[i], &error);
		if (error != NMERR_SUCCESS)
			return error;
	}
	while (survey->count < PAIRS_MAX && (line = config_line(&rest))) {
		struct pair *pair = &survey->pairs[survey->count];

		error = parse_pair(pair, line);
		if (error != NMERR_SUCCESS) {
			fprintf(stderr,
				"responses: cannot find a property of the pair '%s'; correct RESPONSES or the configuration\n",
				visible_text(pair->name, visible, sizeof(visible)));
			return error;
		}
		survey->count++;
	}
	return make_filter(survey);
}

static bool fulfils(const struct condition *condition, LPPROPERTYINST instance)
{
	uint64_t number;

	if (!condition->least && condition->most == UINT64_MAX)
		return true;
	return property_number(instance, &number) && number >= condition->least &&
	       number <= condition->most;
}

/* Fill in the key's addresses and ports. The source of a response is the server. */
static void make_key(struct survey *survey, HFRAME frame, bool is_response, struct request *request)
{
	ADDRESS source = { .Type = 0 }, destination = { .Type = 0 };
	struct host *from = is_response ? &request->key.server : &request->key.client;
	struct host *to = is_response ? &request->key.client : &request->key.server;

	GetFrameSourceAddress(frame, &source, ADDRESS_TYPE_FIND_HIGHEST, 0);
	GetFrameDestAddress(frame, &destination, ADDRESS_TYPE_FIND_HIGHEST, 0);
	if (!host_of(&source, from) || !host_of(&destination, to)) {
		memcpy(from->bytes, source.MACAddress, MAC_ADDRESS_SIZE);
		memcpy(to->bytes, destination.MACAddress, MAC_ADDRESS_SIZE);
	}
	for (int i = 0; i < 4; i++) {
		LPPROPERTYINST port = FindPropertyInstance(frame, survey->ports[i]);
		uint64_t number;

		if (port && property_number(port, &number))
			request->key.ports[(i & 1) ^ is_response] = number;
	}
}

/* The id of the instance number @n of a frame. */
static uint64_t find_id(HFRAME frame, HPROPERTY property, unsigned int n)
{
	LPPROPERTYINST key = NULL, instance;

	do
		instance = FindPropertyInstanceRestart(frame, property, &key, TRUE);
	while (instance && n--);
	return instance ? property_hash(instance) : 0;
}

/* If @error is NMERR_OUT_OF_MEMORY, count a request or time as left out, and go on. */
static DWORD leave_out(struct pair *pair, DWORD error)
{
	if (error != NMERR_OUT_OF_MEMORY)
		return error;
	pair->left_out++;
	return NMERR_SUCCESS;
}

static DWORD add_request(struct survey *survey, struct pair *pair, struct request *wanted,
			 const EXPERTFRAMEDESCRIPTOR *frame)
{
	struct request *found;
	DWORD error;

	pair->requests++;
	if (!pair->id) {
		wanted->key.is_counter = 1;
		found = table_add(&survey->requests, &wanted->key, &error);
		if (!found)
			return leave_out(pair, error);
		wanted->key.is_counter = 0;
		wanted->key.id = found->sent++;
	}
	found = table_add(&survey->requests, &wanted->key, &error);
	if (!found)
		return leave_out(pair, error);
	if (!found->open) {
		found->open = 1;
		found->time = frame->pFrame->TimeStamp;
		found->frame = frame->FrameNumber;
	}
	return NMERR_SUCCESS;
}

/* Keep the slowest responses, the slowest first. */
static void note_slow(struct pair *pair, const struct request *request,
		      const EXPERTFRAMEDESCRIPTOR *frame, int64_t time)
{
	unsigned int i = SLOWEST - 1;

	if (pair->slow_count < SLOWEST)
		i = pair->slow_count++;
	else if (pair->slowest[i].time >= time)
		return;
	for (; i && pair->slowest[i - 1].time < time; i--)
		pair->slowest[i] = pair->slowest[i - 1];
	pair->slowest[i] = (struct slow){
		.time = time, .answered = frame->pFrame->TimeStamp,
		.request = request->frame, .response = frame->FrameNumber,
	};
	endpoint_text(&request->key.server, request->key.ports[1], pair->slowest[i].server);
}

static DWORD add_time(struct survey *survey, struct pair *pair, int64_t time)
{
	if (pair->count == pair->room) {
		uint32_t room = pair->room ? 2 * pair->room : 1024;
		DWORD error;
		int64_t *times = ExpertReallocMemory(survey->key, pair->times,
						     room * sizeof(*times), &error);

		if (!times)
			return leave_out(pair, error);
		pair->times = times;
		pair->room = room;
	}
	pair->times[pair->count++] = time;
	return NMERR_SUCCESS;
}

static DWORD add_response(struct survey *survey, struct pair *pair, struct request *wanted,
			  const EXPERTFRAMEDESCRIPTOR *frame)
{
	struct request *found;
	int64_t time;

	if (!pair->id) {
		wanted->key.is_counter = 1;
		found = table_find(&survey->requests, &wanted->key);
		if (found && found->answered < found->sent)
			wanted->key.id = found->answered++;
		wanted->key.is_counter = 0;
	}
	found = table_find(&survey->requests, &wanted->key);
	if (!found || !found->open) {
		pair->orphans++;
		return NMERR_SUCCESS;
	}
	found->open = 0;
	time = frame->pFrame->TimeStamp - found->time;
	note_slow(pair, found, frame, time);
	return add_time(survey, pair, time);
}

/* Look for requests or responses of a pair in a frame. A frame may have several. */
static DWORD survey_pair(struct survey *survey, unsigned int number, bool is_response,
			 const EXPERTFRAMEDESCRIPTOR *frame)
{
	struct pair *pair = &survey->pairs[number];
	struct condition *condition = is_response ? &pair->response : &pair->request;
	LPPROPERTYINST key = NULL, instance;
	DWORD error = NMERR_SUCCESS;
	unsigned int n;

	for (n = 0; error == NMERR_SUCCESS; n++) {
		struct request wanted = { .key.pair = number };

		instance = FindPropertyInstanceRestart(frame->hFrame, condition->property, &key, TRUE);
		if (!instance)
			break;
		if (!fulfils(condition, instance))
			continue;
		make_key(survey, frame->hFrame, is_response, &wanted);
		if (pair->id)
			wanted.key.id = find_id(frame->hFrame, pair->id, n);
		error = is_response ? add_response(survey, pair, &wanted, frame) :
				      add_request(survey, pair, &wanted, frame);
	}
	return error;
}

static DWORD survey_capture(struct survey *survey, HCAPTURE capture)
{
	struct walk walk;
	DWORD error;

	walk_init(&walk, survey->key, capture, "measuring response times");
	walk.flags |= FLAGS_ATTACH_PROPERTIES;
	walk.filter = survey->filter;
	while ((error = walk_next(&walk)) == NMERR_SUCCESS) {
		survey->frames++;
		for (unsigned int i = 0; i < 2 * survey->count && error == NMERR_SUCCESS; i++)
			error = survey_pair(survey, i / 2, i % 2, &walk.frame);
		if (error != NMERR_SUCCESS)
			return error;
	}
	return error == NMERR_NO_MORE_FRAMES ? NMERR_SUCCESS : error;
}

static int compare_times(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return (a > b) - (a < b);
}

/* The smallest time that @percent of the times do not exceed, in milliseconds. */
static double percentile(const struct pair *pair, unsigned int percent)
{
	uint64_t rank = ((uint64_t)pair->count * percent + 99) / 100;

	return pair->count ? pair->times[rank ? rank - 1 : 0] / 1000.0 : 0;
}

static DWORD submit_slowest(struct survey *survey, const struct pair *pair, unsigned int number)
{
	DWORD error = NMERR_SUCCESS;

	for (unsigned int i = 0; i < pair->slow_count && error == NMERR_SUCCESS; i++) {
		const struct slow *slow = &pair->slowest[i];
		struct event event;

		event_begin(&event, number + 1, slow->time < SLOW ? NMEVENT_SEVERITY_INFORMATIONAL :
			    NMEVENT_SEVERITY_WARNING, "Slow response", slow->answered);
		event.data.szSourceName = (LPSTR)pair->name;
		event.data.Justification = (LPSTR)"One of the slowest responses of this protocol.";
		event_frame(&event, "Request", slow->request);
		event_frame(&event, "Response", slow->response);
		event_number(&event, "Milliseconds", slow->time / 1000.0);
		event_text(&event, "Server", slow->server);
		error = event_submit(&event, survey->key);
	}
	return error;
}

static bool survey_print(struct survey *survey)
{
	printf("%9s %9s %10s %10s %10s %10s  %s\n", "Requests", "Responses", "50 % [ms]", "90 %",
	       "99 %", "Most", "Protocol");
	for (unsigned int i = 0; i < survey->count; i++) {
		struct pair *pair = &survey->pairs[i];
		char name[64];

		if (pair->count)
			qsort(pair->times, pair->count, sizeof(*pair->times), compare_times);
		printf("%9llu %9u %10.3f %10.3f %10.3f %10.3f  %s\n", pair->requests, pair->count,
		       percentile(pair, 50), percentile(pair, 90), percentile(pair, 99),
		       percentile(pair, 100), visible_text(pair->name, name, sizeof(name)));
	}
	printf("%llu frames with requests or responses", survey->frames);
	for (unsigned int i = 0; i < survey->count; i++) {
		struct pair *pair = &survey->pairs[i];
		char name[64];

		visible_text(pair->name, name, sizeof(name));
		if (pair->orphans)
			printf("; %llu responses of %s without a request", pair->orphans, name);
		if (pair->left_out)
			printf("; %llu of %s left out for want of memory", pair->left_out, name);
	}
	printf("\n");
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	fprintf(stderr, "responses: cannot write the table: %s\n", strerror(errno));
	return false;
}

BOOL WINAPI Register(PEXPERTENUMINFO info)
{
	strcpy(info->szName, "Response Times");
	strcpy(info->szVendor, "expertmem");
	strcpy(info->szDescription, "How long servers take to respond: HTTP, DNS, SMB and others");
	info->Version = 0;
	info->Flags = EXPERT_ENUM_FLAG_CONFIGURABLE;
	return TRUE;
}

static const char *check_line(char *line)
{
	unsigned int commas = 0;

	for (; *line; line++)
		commas += *line == ',';
	return commas == 2 || commas == 3 ? NULL :
					    "a pair has three or four fields, separated by commas";
}

BOOL WINAPI Configure(HEXPERTKEY key, PEXPERTCONFIG *config, PEXPERTSTARTUPINFO startup, DWORD flags,
		      HWND window)
{
	(void)startup, (void)flags, (void)window;
	return config_edit(key, config,
			   "Which requests and responses are measured? Each line has a name, a property of\n"
			   "requests, one of responses, and perhaps one that identifies a request. A\n"
			   "value may follow a property:\n"
			   "  HTTP, http.request.method, http.response.code >= 200\n"
			   "  DNS, dns.flags.response = 0, dns.flags.response = 1, dns.id", check_line);
}

static void survey_free(struct survey *survey)
{
	for (unsigned int i = 0; i < survey->count; i++)
		ExpertFreeMemory(survey->key, survey->pairs[i].times);
	table_free(&survey->requests);
	if (survey->filter)
		DestroyFilter(survey->filter);
	ExpertFreeMemory(survey->key, survey);
}

BOOL WINAPI Run(HEXPERTKEY key, PEXPERTCONFIG config, PEXPERTSTARTUPINFO startup, DWORD flags,
		HWND window)
{
	DWORD error;
	struct survey *survey = ExpertAllocMemory(key, sizeof(*survey), &error);
	bool good = false;

	(void)flags, (void)window;
	if (survey) {
		memset(survey, 0, sizeof(*survey));
		survey->key = key;
		table_init(&survey->requests, key, sizeof(((struct request *)NULL)->key),
			   sizeof(struct request));
		error = survey_prepare(survey, config);
		if (error == NMERR_SUCCESS)
			error = survey_capture(survey, startup->hCapture);
		for (unsigned int i = 0; i < survey->count && error == NMERR_SUCCESS; i++)
			error = submit_slowest(survey, &survey->pairs[i], i);
		if (error == NMERR_SUCCESS)
			good = survey_print(survey);
		survey_free(survey);
	}
	if (error != NMERR_SUCCESS && error != NMERR_EXPERT_TERMINATE)
		fprintf(stderr, "responses: %s (error %u)\n", error_text(error), error);
	return good;
}
