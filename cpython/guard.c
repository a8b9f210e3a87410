#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include "guard.h"

#include <pthread.h>

static int forked = 0;

static void mark_forked(void) { forked = 1; }

int guard_is_forked(void) { return forked; }

int guard_is_alive(void) {
    if (forked)
        PyErr_SetString(PyExc_RuntimeError,
                        "this copy of the engine belongs to the parent process; sentry_tablestore.loader loads one for this process");
    return !forked;
}

/*
 * Signals stay away from a thread while it is in the engine. There it runs on a stack of Go of a few KB, and the handlers of CPython
 * before 3.10, of uWSGI and of others are set without SA_ONSTACK: they would run on that stack and beyond its end. A signal that
 * comes meanwhile goes to another thread or waits, for a slice at most. The faults of the thread itself stay open, and SIGURG, by
 * which Go interrupts its own.
 */
sigset_t guard_shield;

static const int always_open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGURG};

static void make_shield(void) {
    sigfillset(&guard_shield);
    for (size_t i = 0; i < sizeof always_open / sizeof *always_open; i++)
        sigdelset(&guard_shield, always_open[i]);
}

/*
 * The threads of Go keep these open whatever their mask was, so their handlers must run on a stack of their own.
 */
static const int open_in_go[] = {SIGPROF, SIGCHLD};

void guard_put_handlers_on_their_stack(void) {
    for (size_t i = 0; i < sizeof open_in_go / sizeof *open_in_go; i++) {
        struct sigaction action;
        if (sigaction(open_in_go[i], NULL, &action) != 0 || action.sa_flags & SA_ONSTACK)
            continue;
        if (!(action.sa_flags & SA_SIGINFO) && (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN))
            continue;
        action.sa_flags |= SA_ONSTACK;
        sigaction(open_in_go[i], &action, NULL);
    }
}

int guard_init(void) {
    static int watching = 0;
    make_shield();
    if (!watching && pthread_atfork(NULL, NULL, mark_forked) != 0) {
        PyErr_NoMemory();
        return 0;
    }
    watching = 1;
    return 1;
}
