/*
 * Around the engine: a child process that must not call it, and the signals of a thread that does.
 */
#ifndef OTS_GUARD_H
#define OTS_GUARD_H

#include <Python.h>
#include <signal.h>

/* To be called before any call of the engine. On failure the exception is set. */
int guard_init(void);

/* Whether this is a child of the process that loaded this copy. Its Go runtime has no threads there: a call would hang. */
int guard_is_forked(void);

/* Whether this process may call the engine; 0 with an exception set if not. */
int guard_is_alive(void);

/* What a thread blocks while it is in the engine. */
extern sigset_t guard_shield;

/* To be called with the interpreter lock, so that nobody sets a Python handler meanwhile. */
void guard_put_handlers_on_their_stack(void);

/* Around all calls of the engine's functions; `mask` between them is the thread's own. */
#define BEGIN_SHIELDED                                                                                                                 \
    {                                                                                                                                  \
        sigset_t mask;                                                                                                                 \
        pthread_sigmask(SIG_SETMASK, &guard_shield, &mask);
#define END_SHIELDED                                                                                                                   \
        pthread_sigmask(SIG_SETMASK, &mask, NULL);                                                                                     \
    }

/* The same, the interpreter lock released. */
#define BEGIN_ENGINE                                                                                                                   \
    guard_put_handlers_on_their_stack();                                                                                               \
    Py_BEGIN_ALLOW_THREADS BEGIN_SHIELDED
#define END_ENGINE                                                                                                                     \
    END_SHIELDED Py_END_ALLOW_THREADS

#endif
