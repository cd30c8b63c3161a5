// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Start an engine as a process that is no child of the host: its parent is a process that ends at
 * once, as of daemon(3). So wait() of the host never returns an engine, and no engine becomes a
 * zombie of the host.
 *
 * Both processes share the memory of the host until the engine is executed, as after vfork(2). A
 * fork() would copy the page tables of the host, and run its handlers of pthread_atfork(). The
 * process in between ends without a signal, so the host gets no SIGCHLD, and wait() does not find
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "raw.h"

#define STACK		(64UL << 10)	/* bytes of the stack of each process */
#define FIRST_FREE_FD	(ENGINE_CONTROL_FD + 1)

struct start {
	const char *program;
	char *const *arguments;
	int input;
	int control;
	char *stack;		/* end of the stack of the engine's process */
	int error;		/* errno of a failure */
};

/*
 * The memory that the two processes use until the engine is executed. @start is at the lowest
 * addresses of the first stack, which the calls on that stack do not reach.
 */
union room {
	struct start start;
	char stacks[2][STACK];
};

/* The program must not inherit handlers and ignored signals of the host. */
static void reset_signals(void)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };
	sigset_t none;
	int number;

	for (number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Give the engine its descriptors, and close those of the host. Standard output and error become
 * /dev/null, because an engine reports errors in its state. Standard input becomes @input, or
 * /dev/null, too. If there is no /dev/null, they become a descriptor that can be neither read nor
 * written.
 */
static bool set_descriptors(const struct start *start)
{
	/* The socket or the input may have one of the numbers that are assigned here. */
	int control = fcntl(start->control, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	int input = start->input < 0 ? -1 : fcntl(start->input, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing < 0)
		nothing = open("/", O_PATH | O_CLOEXEC);
	if (control < 0 || nothing < 0 ||
	    dup2(input < 0 ? nothing : input, STDIN_FILENO) < 0 ||
	    dup2(nothing, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0 ||
	    dup2(control, ENGINE_CONTROL_FD) < 0)
		return false;
	em_raw(SYS_close_range, FIRST_FREE_FD, ~0U, 0);
	return true;
}

/* The process of the engine. Its session is new, so that Ctrl-C at the terminal does not end it. */
static int engine_process(void *arg)
{
	struct start *start = arg;

	setsid();
	if (set_descriptors(start)) {
		reset_signals();
		execv(start->program, start->arguments);
	}
	start->error = errno;
	_exit(127);
}

static int process_between(void *arg)
{
	struct start *start = arg;

	if (clone(engine_process, start->stack, CLONE_VM | CLONE_VFORK | SIGCHLD, start) < 0)
		start->error = errno;
	_exit(0);
}

int em_spawn(const char *program, char *const arguments[], int input, int control)
{
	int saved = errno, error, status = 0;
	struct start *start;
	union room *room;
	sigset_t all, old;
	pid_t pid;

	room = mmap(NULL, sizeof(*room), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (room == MAP_FAILED)
		return EXPERTMEM_E_NOMEM;
	start = &room->start;
	*start = (struct start){
		.program = program, .arguments = arguments, .input = input, .control = control,
		.stack = room->stacks[1],
	};
	/* No handler of the host may run in a process that shares its memory. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = clone(process_between, room + 1, CLONE_VM | CLONE_VFORK, start);
	if (pid < 0)
		start->error = errno;
	else
		waitpid(pid, &status, __WCLONE);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	error = start->error;
	/* If somebody has killed the process in between, that of the engine may still use the room. */
	if (!WIFSIGNALED(status))
		munmap(room, sizeof(*room));
	errno = saved;
	if (!error)
		return EXPERTMEM_OK;
	return error == EAGAIN || error == ENOMEM ? EXPERTMEM_E_NOMEM : EXPERTMEM_E_NO_ENGINE;
}
