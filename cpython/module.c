/*
 * The extension module sentry_tablestore._native: Python's objects on one side, the engine's C functions (engine.h)
 * on the other. python/sentry_tablestore/_native.pyi is its manual.
 *
 * The interpreter lock is released around every call of the engine. A call that takes long comes back after
 * each slice, so that a signal handler that raises ends it.
 */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

/* A handler that raises must end a call within 100 ms. */
#define SLICE_MS 50

/* Set in a child of the process that loaded this copy. Its Go runtime has no threads there: a call would hang. */
static int forked = 0;

static void mark_forked(void) { forked = 1; }

static int alive(void) {
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
static sigset_t shield;

static const int always_open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGURG};

static void make_shield(void) {
    sigfillset(&shield);
    for (size_t i = 0; i < sizeof always_open / sizeof *always_open; i++)
        sigdelset(&shield, always_open[i]);
}

/*
 * The threads of Go keep these open whatever their mask was, so their handlers must run on a stack of their own. To be called with
 * the interpreter lock, so that nobody sets a Python handler meanwhile.
 */
static const int open_in_go[] = {SIGPROF, SIGCHLD};

static void put_handlers_on_their_stack(void) {
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

/* Around all calls of the engine's functions; `mask` between them is the thread's own. */
#define BEGIN_SHIELDED                                                                                                                 \
    {                                                                                                                                  \
        sigset_t mask;                                                                                                                 \
        pthread_sigmask(SIG_SETMASK, &shield, &mask);
#define END_SHIELDED                                                                                                                   \
        pthread_sigmask(SIG_SETMASK, &mask, NULL);                                                                                     \
    }

/* The same, the interpreter lock released. */
#define BEGIN_ENGINE                                                                                                                   \
    put_handlers_on_their_stack();                                                                                                     \
    Py_BEGIN_ALLOW_THREADS BEGIN_SHIELDED
#define END_ENGINE                                                                                                                     \
    END_SHIELDED Py_END_ALLOW_THREADS

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

typedef PyObject *(*reader)(const ots_result *);

static PyObject *read_none(const ots_result *result) {
    (void)result;
    Py_RETURN_NONE;
}

static PyObject *read_count(const ots_result *result) { return PyLong_FromLongLong(result->count); }

static PyObject *read_value(const ots_result *result) {
    if (result->count == 0)
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(result->data, (Py_ssize_t)result->length);
}

static PyObject *read_values(const ots_result *result) {
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
        if (ppoll(&connection, 1, &rest, mask) < 0 && errno == EINTR)
            return;
        ots_wait(result->call, SLICE_MS, result);
    } while (result->status == OTS_PENDING && result->poll_events != 0 && milliseconds() < end);
}

/* Goes on with a call that began on this thread, before the interpreter lock is taken back. */
static void go_on(ots_result *result, const sigset_t *mask) {
    if (result->status == OTS_PENDING && result->poll_events != 0)
        await(result, mask);
}

/* Waits for a call to end and gives its answer to Python. */
static PyObject *finish(ots_result *result, reader read) {
    PyObject *tuple;
    while (result->status == OTS_PENDING) {
        if (PyErr_CheckSignals() != 0) {
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

static ots_bytes lend(PyObject *bytes) {
    ots_bytes lent = {PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
    return lent;
}

/* Many strings or bytes on loan: references to bytes objects, and where their bytes are. */
typedef struct {
    Py_ssize_t n;
    PyObject **owned;
    ots_bytes *lent;
} loan;

static void loan_end(loan *l) {
    for (Py_ssize_t i = 0; l->owned != NULL && i < l->n; i++)
        Py_XDECREF(l->owned[i]);
    PyMem_Free(l->owned);
    PyMem_Free(l->lent);
}

/* Takes a list of str (as UTF-8) or of bytes. On failure the exception is set; end the loan in any case. */
static int loan_begin(loan *l, PyObject *list, int of_str) {
    memset(l, 0, sizeof *l);
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, of_str ? "a list of str is required" : "a list of bytes is required");
        return 0;
    }
    l->n = PyList_Size(list);
    l->owned = PyMem_Malloc((size_t)(l->n + 1) * sizeof *l->owned);
    l->lent = PyMem_Malloc((size_t)(l->n + 1) * sizeof *l->lent);
    if (l->owned == NULL || l->lent == NULL) {
        l->n = 0;
        PyErr_NoMemory();
        return 0;
    }
    memset(l->owned, 0, (size_t)(l->n + 1) * sizeof *l->owned);
    for (Py_ssize_t i = 0; i < l->n; i++) {
        PyObject *item = PyList_GetItem(list, i); /* borrowed */
        if (item == NULL)
            return 0;
        if (of_str) {
            if (!PyUnicode_Check(item)) {
                PyErr_SetString(PyExc_TypeError, "a list of str is required");
                return 0;
            }
            item = PyUnicode_AsUTF8String(item);
            if (item == NULL)
                return 0;
        } else {
            if (!PyBytes_Check(item)) {
                PyErr_SetString(PyExc_TypeError, "a list of bytes is required");
                return 0;
            }
            Py_INCREF(item);
        }
        l->owned[i] = item;
        l->lent[i] = lend(item);
    }
    return 1;
}

static ots_context context_of(unsigned long long store, int project_level, int client_level) {
    ots_context context = {store, project_level, client_level, SLICE_MS};
    return context;
}

static PyObject *native_open(PyObject *module, PyObject *args) {
    PyObject *options;
    ots_bytes lent;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "S:open", &options))
        return NULL;
    lent = lend(options);
    BEGIN_ENGINE
    ots_open(lent, &result);
    END_ENGINE
    return finish(&result, read_count);
}

static PyObject *native_close(PyObject *module, PyObject *args) {
    unsigned long long store;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "K:close", &store))
        return NULL;
    BEGIN_ENGINE
    ots_close(store);
    END_ENGINE
    Py_RETURN_NONE;
}

/* A call on one node. */
typedef void (*id_call)(ots_context *, ots_bytes, ots_result *);

static PyObject *on_id(PyObject *args, const char *format, id_call call, reader read) {
    unsigned long long store;
    int project_level, client_level;
    PyObject *id, *answered;
    ots_bytes lent_id;
    ots_context context;
    ots_result result;
    if (!alive() || !PyArg_ParseTuple(args, format, &store, &id, &project_level, &client_level))
        return NULL;
    id = PyUnicode_AsUTF8String(id);
    if (id == NULL)
        return NULL;
    context = context_of(store, project_level, client_level);
    lent_id = lend(id);
    BEGIN_ENGINE
    call(&context, lent_id, &result);
    go_on(&result, &mask);
    END_ENGINE
    answered = finish(&result, read);
    Py_DECREF(id);
    return answered;
}

static PyObject *native_get(PyObject *module, PyObject *args) {
    (void)module;
    return on_id(args, "KUii:get", ots_get, read_value);
}

static PyObject *native_delete(PyObject *module, PyObject *args) {
    (void)module;
    return on_id(args, "KUii:delete", ots_delete, read_none);
}

/* A call on many nodes. */
typedef void (*ids_call)(ots_context *, ots_bytes *, size_t, ots_result *);

static PyObject *on_ids(PyObject *args, const char *format, ids_call call, reader read) {
    unsigned long long store;
    int project_level, client_level;
    PyObject *list, *answered = NULL;
    loan ids;
    ots_context context;
    ots_result result;
    if (!alive() || !PyArg_ParseTuple(args, format, &store, &list, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, list, 1)) {
        context = context_of(store, project_level, client_level);
        BEGIN_ENGINE
        call(&context, ids.lent, (size_t)ids.n, &result);
        END_ENGINE
        answered = finish(&result, read);
    }
    loan_end(&ids);
    return answered;
}

static PyObject *native_get_many(PyObject *module, PyObject *args) {
    (void)module;
    return on_ids(args, "KOii:get_many", ots_get_many, read_values);
}

static PyObject *native_delete_many(PyObject *module, PyObject *args) {
    (void)module;
    return on_ids(args, "KOii:delete_many", ots_delete_many, read_none);
}

static PyObject *native_set(PyObject *module, PyObject *args) {
    unsigned long long store;
    long long ttl_ms;
    int project_level, client_level;
    PyObject *id, *value, *answered;
    ots_bytes lent_id, lent_value;
    ots_context context;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KUSLii:set", &store, &id, &value, &ttl_ms, &project_level, &client_level))
        return NULL;
    id = PyUnicode_AsUTF8String(id);
    if (id == NULL)
        return NULL;
    context = context_of(store, project_level, client_level);
    lent_id = lend(id);
    lent_value = lend(value);
    BEGIN_ENGINE
    ots_set(&context, lent_id, lent_value, ttl_ms, &result);
    go_on(&result, &mask);
    END_ENGINE
    answered = finish(&result, read_none);
    Py_DECREF(id);
    return answered;
}

static PyObject *native_set_many(PyObject *module, PyObject *args) {
    unsigned long long store;
    long long ttl_ms;
    int project_level, client_level;
    PyObject *id_list, *value_list, *answered = NULL;
    loan ids, values = {0, NULL, NULL};
    ots_context context;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KOOLii:set_many", &store, &id_list, &value_list, &ttl_ms, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, id_list, 1) && loan_begin(&values, value_list, 0)) {
        if (ids.n != values.n) {
            PyErr_SetString(PyExc_ValueError, "ids and values differ in number");
        } else {
            context = context_of(store, project_level, client_level);
            BEGIN_ENGINE
            ots_set_many(&context, ids.lent, values.lent, (size_t)ids.n, ttl_ms, &result);
            END_ENGINE
            answered = finish(&result, read_none);
        }
    }
    loan_end(&values);
    loan_end(&ids);
    return answered;
}

/* Takes a list of n int; ends with PyMem_Free. NULL means that an exception is set. */
static int64_t *numbers(PyObject *list, Py_ssize_t n) {
    int64_t *all;
    if (!PyList_Check(list) || PyList_Size(list) != n) {
        PyErr_SetString(PyExc_ValueError, "a list of as many int as ids is required");
        return NULL;
    }
    all = PyMem_Malloc((size_t)(n + 1) * sizeof *all);
    if (all == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyList_GetItem(list, i); /* borrowed */
        all[i] = item == NULL ? -1 : PyLong_AsLongLong(item);
        if (PyErr_Occurred() != NULL) {
            PyMem_Free(all);
            return NULL;
        }
    }
    return all;
}

static PyObject *native_import_many(PyObject *module, PyObject *args) {
    unsigned long long store;
    int encoding, only_missing, project_level, client_level;
    PyObject *id_list, *value_list, *written_list, *expires_list, *answered = NULL;
    loan ids, values = {0, NULL, NULL};
    int64_t *written = NULL, *expires = NULL;
    ots_context context;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KOOOOipii:import_many", &store, &id_list, &value_list, &written_list, &expires_list,
                                      &encoding, &only_missing, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, id_list, 1) && loan_begin(&values, value_list, 0) && (written = numbers(written_list, ids.n)) != NULL &&
        (expires = numbers(expires_list, ids.n)) != NULL) {
        if (ids.n != values.n) {
            PyErr_SetString(PyExc_ValueError, "ids and values differ in number");
        } else {
            context = context_of(store, project_level, client_level);
            BEGIN_ENGINE
            ots_import_many(&context, ids.lent, values.lent, written, expires, (size_t)ids.n, encoding, only_missing, &result);
            END_ENGINE
            answered = finish(&result, read_value);
        }
    }
    PyMem_Free(written);
    PyMem_Free(expires);
    loan_end(&values);
    loan_end(&ids);
    return answered;
}

static PyObject *native_discard_many(PyObject *module, PyObject *args) {
    unsigned long long store;
    int project_level, client_level;
    PyObject *id_list, *written_list, *answered = NULL;
    loan ids;
    int64_t *written = NULL;
    ots_context context;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KOOii:discard_many", &store, &id_list, &written_list, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, id_list, 1) && (written = numbers(written_list, ids.n)) != NULL) {
        context = context_of(store, project_level, client_level);
        BEGIN_ENGINE
        ots_discard_many(&context, ids.lent, written, (size_t)ids.n, &result);
        END_ENGINE
        answered = finish(&result, read_count);
    }
    PyMem_Free(written);
    loan_end(&ids);
    return answered;
}

static PyObject *native_scan(PyObject *module, PyObject *args) {
    unsigned long long store;
    int limit, values, project_level, client_level;
    PyObject *start, *end, *answered;
    ots_bytes lent_start, lent_end;
    ots_context context;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KUUipii:scan", &store, &start, &end, &limit, &values, &project_level, &client_level))
        return NULL;
    start = PyUnicode_AsUTF8String(start);
    if (start == NULL)
        return NULL;
    end = PyUnicode_AsUTF8String(end);
    if (end == NULL) {
        Py_DECREF(start);
        return NULL;
    }
    context = context_of(store, project_level, client_level);
    lent_start = lend(start);
    lent_end = lend(end);
    BEGIN_ENGINE
    ots_scan(&context, lent_start, lent_end, limit, values, &result);
    END_ENGINE
    answered = finish(&result, read_values);
    Py_DECREF(start);
    Py_DECREF(end);
    return answered;
}

static PyObject *native_scan_many(PyObject *module, PyObject *args) {
    unsigned long long store;
    int values, project_level, client_level;
    PyObject *id_list, *answered = NULL;
    loan ids;
    ots_context context;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KOpii:scan_many", &store, &id_list, &values, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, id_list, 1)) {
        context = context_of(store, project_level, client_level);
        BEGIN_ENGINE
        ots_scan_many(&context, ids.lent, (size_t)ids.n, values, &result);
        END_ENGINE
        answered = finish(&result, read_values);
    }
    loan_end(&ids);
    return answered;
}

static PyObject *native_set_credentials(PyObject *module, PyObject *args) {
    unsigned long long store;
    PyObject *id, *secret, *token;
    ots_result result;
    ots_bytes lent_id, lent_secret, lent_token;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KSSS:set_credentials", &store, &id, &secret, &token))
        return NULL;
    lent_id = lend(id);
    lent_secret = lend(secret);
    lent_token = lend(token);
    BEGIN_ENGINE
    ots_set_credentials(store, lent_id, lent_secret, lent_token, &result);
    END_ENGINE
    return finish(&result, read_none);
}

/* A call on the table. */
typedef void (*table_call)(ots_context *, ots_result *);

static PyObject *on_table(PyObject *args, const char *format, table_call call, reader read) {
    unsigned long long store;
    int project_level, client_level;
    ots_context context;
    ots_result result;
    if (!alive() || !PyArg_ParseTuple(args, format, &store, &project_level, &client_level))
        return NULL;
    context = context_of(store, project_level, client_level);
    BEGIN_ENGINE
    call(&context, &result);
    END_ENGINE
    return finish(&result, read);
}

static PyObject *native_bootstrap(PyObject *module, PyObject *args) {
    (void)module;
    return on_table(args, "Kii:bootstrap", ots_bootstrap, read_none);
}

static PyObject *native_destroy(PyObject *module, PyObject *args) {
    (void)module;
    return on_table(args, "Kii:destroy", ots_destroy, read_none);
}

static PyObject *native_describe(PyObject *module, PyObject *args) {
    (void)module;
    return on_table(args, "Kii:describe", ots_describe, read_value);
}

static PyObject *native_cleanup(PyObject *module, PyObject *args) {
    unsigned long long store;
    long long cutoff_ms;
    int project_level, client_level;
    ots_context context;
    ots_result result;
    (void)module;
    if (!alive() || !PyArg_ParseTuple(args, "KLii:cleanup", &store, &cutoff_ms, &project_level, &client_level))
        return NULL;
    context = context_of(store, project_level, client_level);
    BEGIN_ENGINE
    ots_cleanup(&context, cutoff_ms, &result);
    END_ENGINE
    return finish(&result, read_count);
}

static PyObject *native_outstanding(PyObject *module, PyObject *args) {
    int64_t n;
    (void)module;
    (void)args;
    if (!alive())
        return NULL;
    BEGIN_SHIELDED
    n = ots_outstanding();
    END_SHIELDED
    return PyLong_FromLongLong(n);
}

/* Has no Go in it: a forked child calls this in its parent's copy. CPython before 3.8 has no os.memfd_create. */
static PyObject *native_memfd(PyObject *module, PyObject *args) {
    (void)module;
    (void)args;
#ifdef SYS_memfd_create
    long fd = syscall(SYS_memfd_create, "sentry_tablestore._native", 1U /* MFD_CLOEXEC */);
#else
    long fd = -1;
    errno = ENOSYS;
#endif
    if (fd < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromLong(fd);
}

static PyObject *native_version(PyObject *module, PyObject *args) {
    const char *version;
    (void)module;
    (void)args;
    if (!alive())
        return NULL;
    BEGIN_SHIELDED
    version = ots_version();
    END_SHIELDED
    return PyUnicode_FromString(version);
}

static PyObject *native_is_forked(PyObject *module, PyObject *args) {
    (void)module;
    (void)args;
    return PyBool_FromLong(forked);
}

static PyMethodDef methods[] = {
    {"open", native_open, METH_VARARGS, NULL},
    {"close", native_close, METH_VARARGS, NULL},
    {"get", native_get, METH_VARARGS, NULL},
    {"get_many", native_get_many, METH_VARARGS, NULL},
    {"set", native_set, METH_VARARGS, NULL},
    {"set_many", native_set_many, METH_VARARGS, NULL},
    {"delete", native_delete, METH_VARARGS, NULL},
    {"delete_many", native_delete_many, METH_VARARGS, NULL},
    {"import_many", native_import_many, METH_VARARGS, NULL},
    {"discard_many", native_discard_many, METH_VARARGS, NULL},
    {"scan", native_scan, METH_VARARGS, NULL},
    {"scan_many", native_scan_many, METH_VARARGS, NULL},
    {"describe", native_describe, METH_VARARGS, NULL},
    {"set_credentials", native_set_credentials, METH_VARARGS, NULL},
    {"bootstrap", native_bootstrap, METH_VARARGS, NULL},
    {"destroy", native_destroy, METH_VARARGS, NULL},
    {"cleanup", native_cleanup, METH_VARARGS, NULL},
    {"outstanding", native_outstanding, METH_NOARGS, NULL},
    {"version", native_version, METH_NOARGS, NULL},
    {"memfd", native_memfd, METH_NOARGS, NULL},
    {"is_forked", native_is_forked, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int exec_module(PyObject *module) {
    static int watching = 0;
    (void)module;
    make_shield();
    if (!watching && pthread_atfork(NULL, NULL, mark_forked) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    watching = 1;
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)exec_module},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_native",
    "The engine of sentry_tablestore. Use sentry_tablestore.loader, which gives each process its own copy.",
    0,
    methods,
    slots,
    NULL,
    NULL,
    NULL,
};

__attribute__((visibility("default"))) PyObject *PyInit__native(void) { return PyModuleDef_Init(&definition); }
