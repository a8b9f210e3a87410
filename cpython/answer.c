#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include "answer.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "guard.h"

/* A tuple of the call's counts. */
static PyObject *counts_of(const ots_result *result) {
    PyObject *tuple = PyTuple_New(OTS_COUNTS);
    for (Py_ssize_t i = 0; tuple != NULL && i < OTS_COUNTS; i++) {
        PyObject *n = PyLong_FromLongLong(result->counts[i]);
        if (n == NULL || PyTuple_SetItem(tuple, i, n) != 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* (status, value, logs, counts); value is stolen, NULL means that an exception is set. */
static PyObject *answer(const ots_result *result, PyObject *value) {
    PyObject *tuple = NULL, *status = NULL, *logs = NULL, *counts = NULL;
    if (value == NULL)
        return NULL;
    status = PyLong_FromLong(result->status);
    counts = counts_of(result);
    if (result->logs != NULL) {
        logs = PyBytes_FromStringAndSize(result->logs, (Py_ssize_t)result->logs_length);
    } else {
        logs = Py_None;
        Py_INCREF(logs);
    }
    if (status != NULL && logs != NULL && counts != NULL)
        tuple = PyTuple_Pack(4, status, value, logs, counts);
    Py_XDECREF(status);
    Py_XDECREF(logs);
    Py_XDECREF(counts);
    Py_DECREF(value);
    return tuple;
}

PyObject *read_none(const ots_result *result) {
    (void)result;
    Py_RETURN_NONE;
}

PyObject *read_count(const ots_result *result) { return PyLong_FromLongLong(result->count); }

PyObject *read_value(const ots_result *result) {
    if (result->count == 0)
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(result->data, (Py_ssize_t)result->length);
}

PyObject *read_values(const ots_result *result) {
    const ots_bytes *values = (const ots_bytes *)(const void *)result->data;
    PyObject *list = PyList_New((Py_ssize_t)result->count);
    if (list == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < (Py_ssize_t)result->count; i++) {
        PyObject *item;
        if (values[i].length == OTS_ABSENT) {
            item = Py_None;
            Py_INCREF(item);
        } else {
            item = PyBytes_FromStringAndSize(values[i].data, (Py_ssize_t)values[i].length);
        }
        if (item == NULL || PyList_SetItem(list, i, item) != 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static int64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for a pending call: until it is over, for about a slice, or until a signal comes that this mask lets through. */
static void await(ots_result *result, const sigset_t *mask) {
    int64_t end;
    if (result->poll_events == 0) {
        ots_wait(result->call, SLICE_MS, result);
        return;
    }
    end = milliseconds() + SLICE_MS;
    do {
        struct pollfd connection = {result->poll_fd, (short)result->poll_events, 0};
        int64_t left = end - milliseconds();
        if (left > result->poll_ms)
            left = result->poll_ms;
        struct timespec rest = {0, 0};
        if (left > 0)
            rest.tv_nsec = (long)left * 1000000; /* less than a second: SLICE_MS */
        if (ppoll(&connection, 1, &rest, mask) < 0 && errno == EINTR) {
            /* Under a storm of signals this is the only look at what came, and at the time. */
            ots_wait(result->call, 0, result);
            return;
        }
        ots_wait(result->call, SLICE_MS, result);
    } while (result->status == OTS_PENDING && result->poll_events != 0 && milliseconds() < end);
}

void call_go_on(ots_result *result, const sigset_t *mask) {
    if (result->status == OTS_PENDING && result->poll_events != 0)
        await(result, mask);
}

PyObject *call_finish(ots_result *result, reader read) {
    PyObject *tuple;
    while (result->status == OTS_PENDING) {
        int raised = PyErr_CheckSignals() != 0;
        if (guard_is_forked()) {
            /* The handler came back in a child: the call, its connection and the engine are the parent's. */
            if (!raised)
                PyErr_SetString(PyExc_RuntimeError,
                                "a signal handler has forked this process during the call, which is the parent's: call again");
            return NULL;
        }
        if (raised) {
            BEGIN_SHIELDED
            ots_abandon(result->call);
            END_SHIELDED
            return NULL;
        }
        BEGIN_ENGINE
        await(result, &mask);
        END_ENGINE
    }
    if (result->status == OTS_ERROR)
        tuple = answer(result, PyBytes_FromStringAndSize(result->data, (Py_ssize_t)result->length));
    else
        tuple = answer(result, read(result));
    if (result->call != 0) {
        BEGIN_SHIELDED
        ots_release(result->call);
        END_SHIELDED
    }
    return tuple;
}
