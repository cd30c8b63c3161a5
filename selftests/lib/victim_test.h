/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process of the user "owner" that has a window. The test is root, and has the descriptor of
 * the expert, too.
 */
#ifndef VICTIM_TEST_H
#define VICTIM_TEST_H

#include <sys/socket.h>

#include "harness.h"
#include "users_test.h"

#define WINDOW_SIZE	GIB

/* The byte of which the region of the victim is full. */
#define BYTE		0x5a

/* The first so many bytes of the region are what tests write to. */
#define TRIED		256

FIXTURE(victim) {
	struct window w;	/* its address is one of the victim's */
	__u64 offset;		/* of a region in it */
	__u64 size;		/* of the region */
	pid_t pid;
	int pidfd;
	int line;		/* to the victim */
};

FIXTURE_VARIANT(victim) {
	struct window kind;
};

FIXTURE_VARIANT_ADD(victim, small) {
	.kind = SMALL_WINDOW,
};

FIXTURE_VARIANT_ADD(victim, huge) {
	.kind = HUGE_WINDOW,
};

/* Does the region begin with TRIED times @byte, and is the rest of it what it was? */
static inline bool victim_has(const FIXTURE_DATA(victim) *self, unsigned char byte)
{
	const unsigned char *addr = at(&self->w, self->offset);

	return !read_touch(addr) && !read_touch(addr + self->size - 1) &&
	       all_bytes(addr, TRIED, byte) && all_bytes(addr + TRIED, self->size - TRIED, BYTE) &&
	       read_touch(addr - 1) == SIGSEGV && read_touch(addr + self->size) == SIGSEGV;
}

/* The victim: tell the test where the window is, and then, for each byte, if the region has it. */
static inline void be_victim(FIXTURE_DATA(victim) *self, const struct window *kind)
{
	unsigned char byte;
	bool has;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (become(&owner) || window_map(&self->w, kind, self->w.fd, WINDOW_SIZE))
		_exit(1);
	self->size = 4 * kind->granule;
	if (region_alloc(&self->w, self->size, &self->offset))
		_exit(2);
	memset(at(&self->w, self->offset), BYTE, self->size);
	if (write(self->line, self, sizeof(*self)) != sizeof(*self))
		_exit(3);
	while (read(self->line, &byte, 1) == 1) {
		has = victim_has(self, byte);
		if (write(self->line, &has, sizeof(has)) != sizeof(has))
			break;
	}
	_exit(0);
}

FIXTURE_SETUP(victim)
{
	FIXTURE_DATA(victim) told;
	int line[2];

	NEED_USERS();
	self->w.fd = expert_open();
	ASSERT_LE(0, self->w.fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		close(line[0]);
		self->line = line[1];
		be_victim(self, &variant->kind);
	}
	close(line[1]);
	ASSERT_EQ(sizeof(told), read(line[0], &told, sizeof(told)));
	self->w = told.w;
	self->offset = told.offset;
	self->size = told.size;
	self->line = line[0];
	self->pidfd = result(syscall(SYS_pidfd_open, self->pid, 0));
	ASSERT_LE(0, self->pidfd);
}

FIXTURE_TEARDOWN(victim)
{
	close(self->line);
	EXPECT_EQ(0, child_status(self->pid));
	close(self->pidfd);
	close(self->w.fd);
}

/* ask() - does the victim's region begin with TRIED times @byte, and has not changed otherwise? */
static inline bool ask(const FIXTURE_DATA(victim) *self, unsigned char byte)
{
	bool has = false;

	return write(self->line, &byte, 1) == 1 && read(self->line, &has, 1) == 1 && has;
}

/* is_unharmed() - is all as the victim has made it, for itself and for the kernel? */
static inline bool is_unharmed(const FIXTURE_DATA(victim) *self)
{
	struct expertmem_stat stat = expert_stat(self->w.fd);

	return stat.state == EXPERTMEM_STATE_RUNNING && stat.committed == self->size &&
	       stat.resident == self->size && stat.regions == 1 && !stat.pinned &&
	       ask(self, BYTE);
}

#endif /* VICTIM_TEST_H */
