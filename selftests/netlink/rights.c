// SPDX-License-Identifier: GPL-2.0
/*
 * Who may list and control an expert by netlink: the process that opened the socket, the one
 * that sends and the one that reads each need the right. The owner of an expert may only lower
 * its limit.
 *
 * needs: module root
 */
#include <pthread.h>
#include <sys/utsname.h>

#include "harness.h"
#include "netlink_test.h"
#include "users_test.h"

#define LIMIT		(8 * MIB)
#define WINDOW		GIB

/* A user without an expert, and the user of the other ones in a dump. */
#define OTHER_UID	1004
#define THIRD_UID	1005

/* Root without the one capability that matters here. */
static const struct actor bare_root = {
	.name = "root without CAP_NET_ADMIN", .caps = CAPS_ALL & ~CAP(NET_ADMIN),
};

/* Root of a user namespace that it has made itself. */
static const struct actor namespace_root = {
	.name = "root of a user namespace", .uid = OTHER_UID, .euid = OTHER_UID,
	.member = true, .caps = 0, .userns = true,
};

static const struct actor owner_in_namespace = {
	.name = "owner in a user namespace", .uid = OWNER_UID, .euid = OWNER_UID,
	.member = true, .userns = true,
};

/* A program of the owner's with the set-user-ID bit, started by a stranger. */
static const struct actor setuid_owner = {
	.name = "stranger in a set-user-ID program of the owner",
	.uid = STRANGER_UID, .euid = OWNER_UID,
};

static const struct actor setuid_root = {
	.name = "stranger in a set-user-ID program of root",
	.uid = STRANGER_UID, .euid = 0, .caps = CAPS_ALL,
};

static const struct actor *const actors[] = {
	&root, &operator, &owner, &member, &stranger, &bare_root, &namespace_root,
	&owner_in_namespace, &setuid_owner, &setuid_root,
};

FIXTURE(rights)
{
	struct nl nl;			/* root's */
	struct stat device;
	struct parameter default_limit;
};

FIXTURE_SETUP(rights)
{
	NEED_USERS();
	ASSERT_EQ(group_device(&self->device, 0660), 0);
	ASSERT_EQ(parameter_set(&self->default_limit, "default_limit", "8M"), 0);
	ASSERT_EQ(nl_open(&self->nl), 0);
}

FIXTURE_TEARDOWN(rights)
{
	close(self->nl.fd);
	EXPECT_EQ(parameter_restore(&self->default_limit), 0);
	EXPECT_EQ(ungroup_device(&self->device), 0);
}

static long open_socket(void *arg)
{
	return nl_open(arg);
}

/* nl_open_as() - a socket that @who opens; @nl becomes like @resolved */
static int nl_open_as(const struct actor *who, struct nl *nl, const struct nl *resolved)
{
	struct nl *opened = shared(sizeof(*opened));
	int err = as(who, open_socket, opened);

	*nl = *opened;
	nl->family = resolved->family;
	nl->group = resolved->group;
	munmap(opened, sizeof(*opened));
	return err;
}

/* --------------------------------------------------- whoever opened, whoever sends */

/* How a program writes to a descriptor that it was given. */
enum way {
	BY_WRITE,	/* as to its standard output: no address */
	BY_SENDTO,	/* to the kernel's address */
	WAYS
};

/* The bytes of the request are the socket opener's: nothing in them is the sender's. */
static int deliver(struct nl *nl, struct request *req, enum way way)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t sent;

	req->header.nlmsg_seq = ++nl->seq;
	if (way == BY_WRITE)
		sent = write(nl->fd, req, req->header.nlmsg_len);
	else
		sent = sendto(nl->fd, req, req->header.nlmsg_len, 0,
			      (const struct sockaddr *)&kernel, sizeof(kernel));
	return sent < 0 ? -errno : 0;
}

static void count(const struct told *t, void *arg)
{
	++*(unsigned long *)arg;
}

static int order(struct nl *nl, struct request *req, enum way way)
{
	unsigned long messages;

	if (!(req->header.nlmsg_flags & NLM_F_DUMP))
		req->header.nlmsg_flags |= NLM_F_ACK;
	return deliver(nl, req, way) ?: nl_receive(nl, count, &messages);
}

static int order_id(struct nl *nl, __u8 cmd, __u16 flags, __u64 id, enum way way)
{
	struct request req = request(nl, cmd, flags);

	put_u64(&req, E(ID), id);
	return order(nl, &req, way);
}

static int order_set(struct nl *nl, __u64 id, __u64 limit, enum way way)
{
	struct request req = request(nl, EXPERTMEM_CMD_EXPERT_SET, 0);

	put_u64(&req, E(ID), id);
	put_u64(&req, E(LIMIT), limit);
	return order(nl, &req, way);
}

static void look_for(const struct told *t, void *arg)
{
	__u64 *id = arg;

	if (t->value[E(ID)] == *id)
		*id = 0;
}

/* Whether a dump of all experts has the one with @id, which is not 0. */
static int order_dump(struct nl *nl, __u64 id, enum way way)
{
	struct request req = request(nl, EXPERTMEM_CMD_EXPERT_GET, NLM_F_DUMP);
	int err = deliver(nl, &req, way) ?: nl_receive(nl, look_for, &id);

	return err ?: id ? -ENOENT : 0;
}

/**
 * struct orders - what a deputy is made to send
 * @nl: the socket that it was given
 * @id: whose expert it is about
 * @get, @dump, @regions, @raise, @lift, @lower, @terminate, @reclaim: what it was answered
 */
struct orders {
	struct nl nl;
	__u64 id;
	struct {
		int get, dump, regions, raise, lift, lower, terminate, reclaim;
	} answer[WAYS];
};

/* From what does no harm to what does most. The limit is LIMIT before and afterwards less. */
static long give_orders(void *arg)
{
	struct orders *orders = arg;
	struct nl nl = orders->nl;
	__u64 id = orders->id;
	int way;

	for (way = 0; way < WAYS; way++) {
		typeof(&orders->answer[way]) answer = &orders->answer[way];

		answer->get = order_id(&nl, EXPERTMEM_CMD_EXPERT_GET, 0, id, way);
		answer->dump = order_dump(&nl, id, way);
		answer->regions = order_id(&nl, EXPERTMEM_CMD_REGION_GET, NLM_F_DUMP, id, way);
		answer->raise = order_set(&nl, id, LIMIT + PAGE, way);
		answer->lift = order_set(&nl, id, 0, way);
		answer->lower = order_set(&nl, id, LIMIT - (way + 1) * PAGE, way);
		answer->terminate = order_id(&nl, EXPERTMEM_CMD_TERMINATE, 0, id, way);
		answer->reclaim = order_id(&nl, EXPERTMEM_CMD_RECLAIM, 0, id, way);
	}
	orders->nl.seq = nl.seq;
	return 0;
}

#define EXPECT_ANSWER(request, want)						\
	EXPECT_EQ(orders->answer[way].request, want)				\
		TH_LOG("%s, way %d: opened by %s, sent by %s", #request, way,	\
		       opener->name, sender->name)

TEST_F(rights, opener_and_sender_each_need_the_right)
{
	struct orders *orders = shared(sizeof(*orders));
	size_t i, j;
	int way, fd = -1;

	NEED_USER_NAMESPACES();
	for (i = 0; i < COUNT_OF(actors); i++) {
		ASSERT_EQ(nl_open_as(actors[i], &orders->nl, &self->nl), 0);
		for (j = 0; j < COUNT_OF(actors); j++) {
			const struct actor *opener = actors[i], *sender = actors[j];
			bool may = may_touch(opener, OWNER_UID) && may_touch(sender, OWNER_UID);
			bool may_raise = is_operator(opener) && is_operator(sender);
			int err = may ? 0 : -EPERM, raise_err = may_raise ? 0 : -EPERM;
			struct expertmem_stat stat;

			if (fd < 0)
				fd = open_as(&owner);
			ASSERT_GE(fd, 0);
			orders->id = expert_stat(fd).id;
			ASSERT_EQ(as(sender, give_orders, orders), 0);
			for (way = 0; way < WAYS; way++) {
				EXPECT_ANSWER(get, err);
				EXPECT_ANSWER(dump, may ? 0 : -ENOENT);
				EXPECT_ANSWER(regions, err);
				EXPECT_ANSWER(raise, raise_err);
				EXPECT_ANSWER(lift, raise_err);
				EXPECT_ANSWER(lower, err);
				EXPECT_ANSWER(terminate, err);
				EXPECT_ANSWER(reclaim, err);
			}
			stat = expert_stat(fd);
			EXPECT_EQ(stat.state, may ? EXPERTMEM_STATE_RECLAIMED :
						    EXPERTMEM_STATE_IDLE);
			EXPECT_EQ(stat.limit, may ? LIMIT - 2 * PAGE : LIMIT);
			if (may) {
				close(fd);
				fd = -1;
			}
		}
		close(orders->nl.fd);
	}
	close(fd);
}

/* A sender without a capability names another user as itself. */
static long send_as_owner(void *arg)
{
	struct orders *orders = arg;
	struct request req = request(&orders->nl, EXPERTMEM_CMD_RECLAIM, NLM_F_ACK);
	union {
		char buffer[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr header;
	} control = { };
	struct iovec iov = { .iov_base = &req };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	const struct ucred cred = { .pid = getpid(), .uid = OWNER_UID, .gid = getgid() };

	put_u64(&req, E(ID), orders->id);
	req.header.nlmsg_seq = orders->nl.seq;
	iov.iov_len = req.header.nlmsg_len;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_CREDENTIALS;
	control.header.cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(&control.header), &cred, sizeof(cred));
	return result(sendmsg(orders->nl.fd, &msg, 0));
}

TEST_F(rights, nobody_can_send_as_if_it_were_the_owner)
{
	const struct actor *const senders[] = { &member, &stranger, &namespace_root };
	struct orders *orders = shared(sizeof(*orders));
	int fd = open_as(&owner);
	size_t i;

	NEED_USER_NAMESPACES();
	ASSERT_GE(fd, 0);
	orders->id = expert_stat(fd).id;
	ASSERT_EQ(nl_open_as(&owner, &orders->nl, &self->nl), 0);
	for (i = 0; i < COUNT_OF(senders); i++) {
		EXPECT_LT(as(senders[i], send_as_owner, orders), 0);
		EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_IDLE);
	}
	/* even who could be the owner needs a socket that is the owner's */
	close(orders->nl.fd);
	ASSERT_EQ(nl_open_as(&stranger, &orders->nl, &self->nl), 0);
	EXPECT_GE(as(&setuid_owner, send_as_owner, orders), 0);
	EXPECT_EQ(nl_receive(&orders->nl, keep_one, &(struct told){ }), -EPERM);
	EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_IDLE);
	close(orders->nl.fd);
	close(fd);
}

/* The socket's opener is the one who opened it, whoever that process has become. */
static long drop_and_order(void *arg)
{
	struct orders *orders = arg;

	return become(&stranger) ?: order_id(&orders->nl, EXPERTMEM_CMD_RECLAIM, 0, orders->id,
					     BY_WRITE);
}

TEST_F(rights, a_right_that_was_given_up_is_gone_though_the_socket_is_older)
{
	struct orders orders = { };
	int fd = open_as(&owner);

	ASSERT_GE(fd, 0);
	orders.nl = self->nl;
	orders.id = expert_stat(fd).id;
	EXPECT_EQ(as(&root, drop_and_order, &orders), -EPERM);
	EXPECT_EQ(expert_stat(fd).state, EXPERTMEM_STATE_IDLE);
	close(fd);
}

/* ------------------------------------------------------- whoever reads what is dumped */

#define EXPERTS		100	/* of each user: more than fit in a message of a dump */
#define REGIONS		500

static const uid_t uids[] = { OWNER_UID, 0, THIRD_UID };

/**
 * struct dumped - what was read of a dump
 * @nl: the socket
 * @req: the request
 * @way: how it is sent
 * @first_id: of the experts, that have consecutive ids; the users of @uids take turns
 * @first: how many were in what the sender caused, by user
 * @rest: how many were in what the reader caused, by user
 * @err: of the dump
 */
struct dumped {
	struct nl nl;
	struct request req;
	enum way way;
	__u64 first_id;
	unsigned long first[COUNT_OF(uids)];
	unsigned long rest[COUNT_OF(uids)];
	int err;
};

static long start_dump(void *arg)
{
	struct dumped *dumped = arg;

	return deliver(&dumped->nl, &dumped->req, dumped->way);
}

static void count_dumped(struct dumped *dumped, const struct told *t, bool first)
{
	__u64 number = t->value[E(ID)] - dumped->first_id;

	/* regions have the id of their expert under the same number */
	if (t->cmd == EXPERTMEM_CMD_REGION_GET)
		number = 0;
	if (number < EXPERTS * COUNT_OF(uids))
		++(first ? dumped->first : dumped->rest)[number % COUNT_OF(uids)];
}

/* What the first recv() returns was made when the request was sent, the rest while reading. */
static long read_dump(void *arg)
{
	static struct nlmsghdr buffer[64 * KIB / NLMSG_HDRLEN];
	struct dumped *dumped = arg;
	const struct nlmsghdr *header;
	bool first = true;
	struct told t;
	ssize_t len;

	for (;; first = false) {
		len = recv(dumped->nl.fd, buffer, sizeof(buffer), 0);
		if (len < 0)
			return -errno;
		for (header = buffer; NLMSG_OK(header, len); header = NLMSG_NEXT(header, len)) {
			if (header->nlmsg_seq != dumped->nl.seq)
				return -EBADMSG;
			if (header->nlmsg_type == NLMSG_DONE ||
			    header->nlmsg_type == NLMSG_ERROR) {
				dumped->err = *(int *)NLMSG_DATA(header);
				return 0;
			}
			parse(header, &t);
			count_dumped(dumped, &t, first);
		}
	}
}

static const struct actor *const dumpers[] = { &root, &operator, &owner, &namespace_root };

/* Dump for each opener, sender and reader there can be; @check says what is right. */
static void dump_for_all(struct __test_metadata *_metadata, struct dumped *dumped,
			 const struct nl *resolved,
			 void (*check)(struct __test_metadata *_metadata,
				       const struct dumped *dumped,
				       const struct actor *const who[3]))
{
	const struct actor *who[3];
	size_t i;

	for (i = 0; i < COUNT_OF(dumpers) * COUNT_OF(dumpers) * COUNT_OF(dumpers); i++) {
		who[0] = dumpers[i / COUNT_OF(dumpers) / COUNT_OF(dumpers)];
		who[1] = dumpers[i / COUNT_OF(dumpers) % COUNT_OF(dumpers)];
		who[2] = dumpers[i % COUNT_OF(dumpers)];
		ASSERT_EQ(nl_open_as(who[0], &dumped->nl, resolved), 0);
		memset(dumped->first, 0, sizeof(dumped->first));
		memset(dumped->rest, 0, sizeof(dumped->rest));
		dumped->err = 1;
		dumped->way = i % WAYS;
		ASSERT_EQ(as(who[1], start_dump, dumped), 0);
		ASSERT_EQ(as(who[2], read_dump, dumped), 0);
		check(_metadata, dumped, who);
		close(dumped->nl.fd);
	}
}

#define EXPECT_DUMPED(seen, expected, test)					\
	EXPECT_##test(seen, expected)						\
		TH_LOG("opened by %s, sent by %s, read by %s", who[0]->name, who[1]->name, \
		       who[2]->name)

static void check_experts(struct __test_metadata *_metadata, const struct dumped *dumped,
			  const struct actor *const who[3])
{
	size_t i;

	EXPECT_DUMPED(dumped->err, 0, EQ);
	for (i = 0; i < COUNT_OF(uids); i++) {
		bool to_two = may_touch(who[0], uids[i]) && may_touch(who[1], uids[i]);
		bool to_all = to_two && may_touch(who[2], uids[i]);

		if (!to_two) {
			EXPECT_DUMPED(dumped->first[i], 0, EQ);
		}
		if (to_all) {
			EXPECT_DUMPED(dumped->first[i] + dumped->rest[i], EXPERTS, EQ);
			/* or the reader was not put to the test */
			EXPECT_DUMPED(dumped->rest[i], 0, GT);
		} else {
			EXPECT_DUMPED(dumped->rest[i], 0, EQ);
		}
	}
}

TEST_F(rights, opener_sender_and_reader_of_a_dump_each_need_the_right_to_each_expert)
{
	struct dumped *dumped = shared(sizeof(*dumped));
	int fds[EXPERTS * COUNT_OF(uids)];
	size_t i;

	NEED_USER_NAMESPACES();
	for (i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = open_by_uid(uids[i % COUNT_OF(uids)]);
		ASSERT_GE(fds[i], 0);
	}
	dumped->first_id = expert_stat(fds[0]).id;
	ASSERT_EQ(expert_stat(fds[i - 1]).id, dumped->first_id + i - 1);
	dumped->req = request(&self->nl, EXPERTMEM_CMD_EXPERT_GET, NLM_F_DUMP);
	dump_for_all(_metadata, dumped, &self->nl, check_experts);
	for (i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
}

static void check_regions(struct __test_metadata *_metadata, const struct dumped *dumped,
			  const struct actor *const who[3])
{
	bool to_two = may_touch(who[0], OWNER_UID) && may_touch(who[1], OWNER_UID);
	bool to_all = to_two && may_touch(who[2], OWNER_UID);

	if (to_all) {
		EXPECT_DUMPED(dumped->err, 0, EQ);
		EXPECT_DUMPED(dumped->first[0] + dumped->rest[0], REGIONS, EQ);
		EXPECT_DUMPED(dumped->rest[0], 0, GT);
		return;
	}
	EXPECT_DUMPED(dumped->err, -EPERM, EQ);
	EXPECT_DUMPED(dumped->rest[0], 0, EQ);
	if (to_two) {
		EXPECT_DUMPED(dumped->first[0], REGIONS, LT);
	} else {
		EXPECT_DUMPED(dumped->first[0], 0, EQ);
	}
}

TEST_F(rights, opener_sender_and_reader_of_a_dump_of_regions_each_need_the_right)
{
	struct dumped *dumped = shared(sizeof(*dumped));
	int fd = open_as(&owner);
	struct window window;
	__u64 offset;
	size_t i;

	NEED_USER_NAMESPACES();
	ASSERT_EQ(window_map(&window, &small_window, fd, WINDOW), 0);
	for (i = 0; i < REGIONS; i++)
		ASSERT_EQ(region_alloc(&window, PAGE, &offset), 0);
	dumped->req = request(&self->nl, EXPERTMEM_CMD_REGION_GET, NLM_F_DUMP);
	put_u64(&dumped->req, R(ID), expert_stat(fd).id);
	dump_for_all(_metadata, dumped, &self->nl, check_regions);
	window_close(&window);
}

/* ---------------------------------------------------------------------- events */

static long join(void *arg)
{
	return nl_join(arg);
}

/* Since 6.8 a module may choose between the listeners of a group. */
static bool listeners_are_filtered(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	uname(&name);
	return sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 8));
}

/* Before 6.8 it is the joiner alone who needs it. */
TEST_F(rights, opener_and_joiner_each_need_the_right_to_hear_events)
{
	const bool filtered = listeners_are_filtered();
	struct told t;
	struct nl nl;
	size_t i, j;
	int fd;

	NEED_USER_NAMESPACES();
	for (i = 0; i < COUNT_OF(actors); i++) {
		for (j = 0; j < COUNT_OF(actors); j++) {
			bool may = is_operator(actors[j]) &&
				   (is_operator(actors[i]) || !filtered);
			long err;

			ASSERT_EQ(nl_open_as(actors[i], &nl, &self->nl), 0);
			err = as(actors[j], join, &nl);
			EXPECT_EQ(err, is_operator(actors[j]) ? 0 : -EPERM);
			fd = expert_open();
			ASSERT_GE(fd, 0);
			EXPECT_EQ(nl_event(&nl, &t), may ? EXPERTMEM_EVENT_OPENED : -EAGAIN)
				TH_LOG("opened by %s, joined by %s", actors[i]->name,
				       actors[j]->name);
			close(fd);
			close(nl.fd);
		}
	}
}

/* --------------------------------------------------------------------- limits */

/**
 * struct setting - a call that sets the limit of an expert
 * @fd: the expert
 * @id: its id
 * @limit: to set
 * @flags: of CONFIGURE
 * @nl: the socket, for netlink
 */
struct setting {
	int fd;
	__u64 id;
	__u64 limit;
	__u32 flags;
	struct nl nl;
};

static long configure(void *arg)
{
	const struct setting *setting = arg;

	return expert_configure(setting->fd, "set", setting->limit, setting->flags);
}

static long set_by_netlink(void *arg)
{
	struct setting *setting = arg;
	int err = nl_open(&setting->nl) ?: nl_set(&setting->nl, setting->id, setting->limit);

	close(setting->nl.fd);
	return err;
}

static int configure_as(const struct actor *who, int fd, __u64 limit, __u32 flags)
{
	struct setting setting = { .fd = fd, .limit = limit, .flags = flags };

	return as(who, configure, &setting);
}

static int set_as(const struct actor *who, int fd, __u64 limit)
{
	struct setting setting = { .id = expert_stat(fd).id, .limit = limit };

	return as(who, set_by_netlink, &setting);
}

/* The limits that are above LIMIT. */
static const __u64 above[] = { LIMIT + 1, LIMIT + PAGE, TIB, ~0ULL, 0 };

TEST_F(rights, default_limit_is_not_passed_by_an_unprivileged_configure)
{
	int fd = open_as(&owner);
	size_t i;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	for (i = 0; i < COUNT_OF(above); i++) {
		EXPECT_EQ(configure_as(&owner, fd, above[i], 0), -EPERM);
		EXPECT_EQ(expert_stat(fd).limit, LIMIT);
		EXPECT_EQ(expert_stat(fd).name[0], '\0');
	}
	/* it has not been configured by what failed */
	EXPECT_EQ(configure_as(&owner, fd, LIMIT - 1, 0), 0);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT - 1);
	EXPECT_STREQ(expert_stat(fd).name, "set");
	EXPECT_EQ(configure_as(&owner, fd, LIMIT, 0), -EBUSY);
	close(fd);

	fd = open_as(&owner);
	EXPECT_EQ(configure_as(&owner, fd, LIMIT, 0), 0);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	close(fd);
}

TEST_F(rights, default_limit_is_that_of_the_moment_at_which_the_expert_is_opened)
{
	int fd = open_as(&owner);

	ASSERT_EQ(file_write(self->default_limit.path, "0"), 0);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	EXPECT_EQ(configure_as(&owner, fd, 2 * LIMIT, 0), -EPERM);
	EXPECT_EQ(configure_as(&owner, fd, 0, 0), -EPERM);
	EXPECT_EQ(configure_as(&owner, fd, 0, EXPERTMEM_CONFIG_DEFAULT_LIMIT), 0);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	close(fd);

	fd = open_as(&owner);
	EXPECT_EQ(expert_stat(fd).limit, 0);
	ASSERT_EQ(file_write(self->default_limit.path, "1M"), 0);
	EXPECT_EQ(configure_as(&owner, fd, TIB, 0), 0);
	EXPECT_EQ(expert_stat(fd).limit, TIB);
	close(fd);

	ASSERT_EQ(file_write(self->default_limit.path, "0"), 0);
	fd = open_as(&owner);
	ASSERT_EQ(file_write(self->default_limit.path, "1M"), 0);
	EXPECT_EQ(configure_as(&owner, fd, 0, 0), 0);
	EXPECT_EQ(expert_stat(fd).limit, 0);
	close(fd);
}

TEST_F(rights, the_flag_for_the_default_limit_keeps_the_limit_and_is_not_kept)
{
	const __u32 flags = EXPERTMEM_CONFIG_DEFAULT_LIMIT;
	int fd = open_as(&owner);
	struct told t;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(configure_as(&owner, fd, 1, flags), -EINVAL);
	EXPECT_EQ(configure_as(&owner, fd, LIMIT, flags), -EINVAL);
	EXPECT_EQ(configure_as(&root, fd, 2 * LIMIT, flags), -EINVAL);
	EXPECT_EQ(expert_stat(fd).name[0], '\0');
	EXPECT_EQ(configure_as(&owner, fd, 0, flags), 0);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	EXPECT_EQ(expert_stat(fd).flags, 0);
	EXPECT_STREQ(expert_stat(fd).name, "set");
	ASSERT_EQ(nl_do(&self->nl, EXPERTMEM_CMD_EXPERT_GET, expert_stat(fd).id, &t), 0);
	EXPECT_EQ(t.value[E(FLAGS)], 0);
	EXPECT_EQ(t.value[E(LIMIT)], LIMIT);
	close(fd);

	fd = open_as(&owner);
	EXPECT_EQ(configure_as(&root, fd, 0, flags | EXPERTMEM_CONFIG_UNSWAPPABLE), 0);
	EXPECT_EQ(expert_stat(fd).flags, EXPERTMEM_CONFIG_UNSWAPPABLE);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	close(fd);
}

/* The descriptor is the right to configure; raising is the caller's, not the opener's. */
TEST_F(rights, whoever_has_the_descriptor_may_configure_less_and_operators_more)
{
	const struct actor *const openers[] = { &root, &owner };
	size_t i, j, k;
	int fd;

	NEED_USER_NAMESPACES();
	for (i = 0; i < COUNT_OF(openers); i++) {
		for (j = 0; j < COUNT_OF(actors); j++) {
			bool may = is_operator(actors[j]);

			for (k = 0; k < COUNT_OF(above); k++) {
				fd = open_as(openers[i]);
				ASSERT_GE(fd, 0);
				EXPECT_EQ(configure_as(actors[j], fd, above[k], 0),
					  may ? 0 : -EPERM) TH_LOG("%s", actors[j]->name);
				EXPECT_EQ(expert_stat(fd).limit, may ? above[k] : LIMIT);
				if (!may)
					EXPECT_EQ(configure_as(actors[j], fd, 1, 0), 0);
				close(fd);
			}
		}
	}
}

TEST_F(rights, no_other_capability_raises_a_limit)
{
	int cap, fd = open_as(&owner);

	ASSERT_GE(fd, 0);
	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		struct actor who = owner;

		if (cap == CAP_NET_ADMIN)
			continue;
		who.caps = 1ULL << cap;
		EXPECT_EQ(configure_as(&who, fd, 2 * LIMIT, 0), -EPERM)
			TH_LOG("capability %d", cap);
		EXPECT_EQ(set_as(&who, fd, 2 * LIMIT), -EPERM)
			TH_LOG("capability %d", cap);
	}
	EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	close(fd);
}

TEST_F(rights, the_owner_lowers_its_limit_by_netlink_and_never_raises_it)
{
	int fd = open_as(&owner);
	size_t i;

	ASSERT_GE(fd, 0);
	for (i = 0; i < COUNT_OF(above); i++) {
		EXPECT_EQ(set_as(&owner, fd, above[i]), -EPERM);
		EXPECT_EQ(set_as(&owner_in_namespace, fd, above[i]), -EPERM);
		EXPECT_EQ(expert_stat(fd).limit, LIMIT);
	}
	EXPECT_EQ(set_as(&owner, fd, LIMIT), 0);
	EXPECT_EQ(set_as(&owner, fd, LIMIT / 2), 0);
	EXPECT_EQ(expert_stat(fd).limit, LIMIT / 2);
	/* what it had is no more than any other limit */
	EXPECT_EQ(set_as(&owner, fd, LIMIT), -EPERM);
	EXPECT_EQ(set_as(&owner, fd, LIMIT / 2 + 1), -EPERM);
	EXPECT_EQ(set_as(&owner, fd, 1), 0);
	EXPECT_EQ(expert_stat(fd).limit, 1);
	EXPECT_EQ(set_as(&owner, fd, 2), -EPERM);
	EXPECT_EQ(expert_stat(fd).limit, 1);

	EXPECT_EQ(set_as(&operator, fd, 2 * LIMIT), 0);
	EXPECT_EQ(expert_stat(fd).limit, 2 * LIMIT);
	EXPECT_EQ(set_as(&root, fd, 0), 0);
	EXPECT_EQ(expert_stat(fd).limit, 0);
	/* with no limit everything is lower, and no limit is no raise */
	EXPECT_EQ(set_as(&owner, fd, 0), 0);
	EXPECT_EQ(set_as(&owner, fd, ~0ULL), 0);
	EXPECT_EQ(set_as(&owner, fd, 0), -EPERM);
	EXPECT_EQ(expert_stat(fd).limit, ~0ULL);
	close(fd);
}

TEST_F(rights, what_configure_has_set_the_owner_cannot_raise_by_netlink)
{
	int fd = open_as(&owner);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(configure_as(&owner, fd, MIB, 0), 0);
	EXPECT_EQ(set_as(&owner, fd, 0), -EPERM);
	EXPECT_EQ(set_as(&owner, fd, 2 * MIB), -EPERM);
	EXPECT_EQ(set_as(&owner, fd, LIMIT), -EPERM);
	EXPECT_EQ(expert_stat(fd).limit, MIB);
	EXPECT_EQ(set_as(&owner, fd, MIB / 2), 0);
	EXPECT_EQ(expert_stat(fd).limit, MIB / 2);
	close(fd);
}

TEST_F(rights, what_an_operator_has_set_configure_does_not_undo)
{
	int fd = open_as(&owner);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(set_as(&operator, fd, MIB), 0);
	EXPECT_EQ(configure_as(&owner, fd, 0, 0), -EPERM);
	EXPECT_EQ(configure_as(&owner, fd, LIMIT, 0), -EPERM);
	EXPECT_EQ(configure_as(&owner, fd, MIB + 1, 0), -EPERM);
	EXPECT_EQ(expert_stat(fd).limit, MIB);
	/* not the module's default: what the expert has */
	EXPECT_EQ(configure_as(&owner, fd, 0, EXPERTMEM_CONFIG_DEFAULT_LIMIT), 0);
	EXPECT_EQ(expert_stat(fd).limit, MIB);
	close(fd);

	/* above the default, too, it is the operator's word that counts */
	fd = open_as(&owner);
	ASSERT_EQ(set_as(&operator, fd, 4 * LIMIT), 0);
	EXPECT_EQ(configure_as(&owner, fd, 4 * LIMIT + 1, 0), -EPERM);
	EXPECT_EQ(configure_as(&owner, fd, 3 * LIMIT, 0), 0);
	EXPECT_EQ(expert_stat(fd).limit, 3 * LIMIT);
	close(fd);
}

TEST_F(rights, alloc_obeys_whatever_the_limit_is_now)
{
	int fd = open_as(&owner);
	struct window window;
	__u64 offset, other;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(window_map(&window, &small_window, fd, WINDOW), 0);
	ASSERT_EQ(set_as(&operator, fd, MIB), 0);
	EXPECT_EQ(set_as(&owner, fd, 0), -EPERM);
	EXPECT_EQ(region_alloc_flags(&window, EXPERTMEM_ALLOC_POPULATE, 64 * MIB, 0, &offset),
		  -EDQUOT);
	EXPECT_EQ(region_alloc(&window, MIB + 1, &offset), -EDQUOT);
	ASSERT_EQ(region_alloc(&window, MIB, &offset), 0);
	EXPECT_EQ(region_alloc(&window, 1, &other), -EDQUOT);
	ASSERT_EQ(set_as(&operator, fd, 2 * MIB), 0);
	EXPECT_EQ(region_realloc(&window, offset, 2 * MIB), 0);
	EXPECT_EQ(region_realloc(&window, offset, 2 * MIB + 1), -EDQUOT);
	/* the owner limits itself below what it has: it gets no more, and loses nothing */
	ASSERT_EQ(set_as(&owner, fd, PAGE), 0);
	EXPECT_EQ(expert_stat(fd).committed, 2 * MIB);
	ASSERT_EQ(region_realloc(&window, offset, MIB), 0);
	EXPECT_EQ(region_realloc(&window, offset, 2 * MIB), -EDQUOT);
	window_close(&window);
}

/* ---------------------------------------------------- the owner races with the operator */

/* A thread that is the owner; the others stay root. */
struct race {
	struct setting setting;
	pthread_barrier_t start;
	bool by_netlink;
	int become_err;
	int err;
};

static void *race_as_owner(void *arg)
{
	struct race *race = arg;

	/* of this thread only; glibc's call would change all */
	race->become_err = result(syscall(SYS_setresuid, OWNER_UID, OWNER_UID, OWNER_UID));
	if (race->by_netlink && nl_open(&race->setting.nl))
		race->become_err = -EIO;
	pthread_barrier_wait(&race->start);
	race->err = race->by_netlink ?
		    nl_set(&race->setting.nl, race->setting.id, race->setting.limit) :
		    configure(&race->setting);
	if (race->by_netlink)
		close(race->setting.nl.fd);
	return NULL;
}

TEST_F(rights, whoever_is_first_the_operators_limit_is_what_counts)
{
	unsigned long i, tries = rounds(2000), won = 0, lost = 0;
	struct race race;
	pthread_t thread;

	for (i = 0; i < tries; i++) {
		race = (struct race) { .by_netlink = i % 2 };
		race.setting.fd = open_by_uid(OWNER_UID);
		ASSERT_GE(race.setting.fd, 0);
		race.setting.id = expert_stat(race.setting.fd).id;
		race.setting.limit = LIMIT / 2;
		ASSERT_EQ(pthread_barrier_init(&race.start, NULL, 2), 0);
		ASSERT_EQ(pthread_create(&thread, NULL, race_as_owner, &race), 0);
		pthread_barrier_wait(&race.start);
		ASSERT_EQ(nl_set(&self->nl, race.setting.id, MIB), 0);
		ASSERT_EQ(pthread_join(thread, NULL), 0);
		pthread_barrier_destroy(&race.start);
		ASSERT_EQ(race.become_err, 0);
		ASSERT_TRUE(!race.err || race.err == -EPERM) TH_LOG("error %d", race.err);
		if (race.err)
			lost++;
		else
			won++;
		ASSERT_EQ(expert_stat(race.setting.fd).limit, MIB);
		close(race.setting.fd);
	}
	TH_LOG("the owner was first %lu times, the operator %lu times", won, lost);
}

TEST_HARNESS_MAIN
