/*
 * What becomes of a call of the engine: waiting for it, and its answer as an object of Python's.
 */
#ifndef OTS_ANSWER_H
#define OTS_ANSWER_H

#include <Python.h>
#include <signal.h>

#include "engine.h"

/* A handler that raises must end a call within 100 ms. */
#define SLICE_MS 50

/* Makes the value of a call that succeeded; NULL means that an exception is set. */
typedef PyObject *(*reader)(const ots_result *);

PyObject *read_none(const ots_result *result);
PyObject *read_count(const ots_result *result);
PyObject *read_value(const ots_result *result);  /* bytes, or None where the count is 0 */
PyObject *read_values(const ots_result *result); /* a list of bytes and None */

/* Goes on with a call that began on this thread, before the interpreter lock is taken back. */
void call_go_on(ots_result *result, const sigset_t *mask);

/* Waits for a call to end and gives (status, value, logs, counts), or NULL with an exception set. */
PyObject *call_finish(ots_result *result, reader read);

#endif
