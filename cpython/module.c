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
#include <sys/syscall.h>
#include <unistd.h>

#include "answer.h"
#include "engine.h"
#include "guard.h"
#include "loan.h"

static ots_context context_of(unsigned long long store, int project_level, int client_level) {
    ots_context context = {store, project_level, client_level, SLICE_MS};
    return context;
}

static PyObject *native_open(PyObject *module, PyObject *args) {
    PyObject *options;
    ots_bytes lent;
    ots_result result;
    (void)module;
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "S:open", &options))
        return NULL;
    lent = lend(options);
    BEGIN_ENGINE
    ots_open(lent, &result);
    END_ENGINE
    return call_finish(&result, read_count);
}

static PyObject *native_close(PyObject *module, PyObject *args) {
    unsigned long long store;
    (void)module;
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "K:close", &store))
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, format, &store, &id, &project_level, &client_level))
        return NULL;
    id = PyUnicode_AsUTF8String(id);
    if (id == NULL)
        return NULL;
    context = context_of(store, project_level, client_level);
    lent_id = lend(id);
    BEGIN_ENGINE
    call(&context, lent_id, &result);
    call_go_on(&result, &mask);
    END_ENGINE
    answered = call_finish(&result, read);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, format, &store, &list, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, list, 1)) {
        context = context_of(store, project_level, client_level);
        BEGIN_ENGINE
        call(&context, ids.lent, (size_t)ids.n, &result);
        END_ENGINE
        answered = call_finish(&result, read);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KUSLii:set", &store, &id, &value, &ttl_ms, &project_level, &client_level))
        return NULL;
    id = PyUnicode_AsUTF8String(id);
    if (id == NULL)
        return NULL;
    context = context_of(store, project_level, client_level);
    lent_id = lend(id);
    lent_value = lend(value);
    BEGIN_ENGINE
    ots_set(&context, lent_id, lent_value, ttl_ms, &result);
    call_go_on(&result, &mask);
    END_ENGINE
    answered = call_finish(&result, read_none);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KOOLii:set_many", &store, &id_list, &value_list, &ttl_ms, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, id_list, 1) && loan_begin(&values, value_list, 0)) {
        if (ids.n != values.n) {
            PyErr_SetString(PyExc_ValueError, "ids and values differ in number");
        } else {
            context = context_of(store, project_level, client_level);
            BEGIN_ENGINE
            ots_set_many(&context, ids.lent, values.lent, (size_t)ids.n, ttl_ms, &result);
            END_ENGINE
            answered = call_finish(&result, read_none);
        }
    }
    loan_end(&values);
    loan_end(&ids);
    return answered;
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KOOOOipii:import_many", &store, &id_list, &value_list, &written_list, &expires_list,
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
            answered = call_finish(&result, read_value);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KOOii:discard_many", &store, &id_list, &written_list, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, id_list, 1) && (written = numbers(written_list, ids.n)) != NULL) {
        context = context_of(store, project_level, client_level);
        BEGIN_ENGINE
        ots_discard_many(&context, ids.lent, written, (size_t)ids.n, &result);
        END_ENGINE
        answered = call_finish(&result, read_count);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KUUipii:scan", &store, &start, &end, &limit, &values, &project_level, &client_level))
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
    answered = call_finish(&result, read_values);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KOpii:scan_many", &store, &id_list, &values, &project_level, &client_level))
        return NULL;
    if (loan_begin(&ids, id_list, 1)) {
        context = context_of(store, project_level, client_level);
        BEGIN_ENGINE
        ots_scan_many(&context, ids.lent, (size_t)ids.n, values, &result);
        END_ENGINE
        answered = call_finish(&result, read_values);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KSSS:set_credentials", &store, &id, &secret, &token))
        return NULL;
    lent_id = lend(id);
    lent_secret = lend(secret);
    lent_token = lend(token);
    BEGIN_ENGINE
    ots_set_credentials(store, lent_id, lent_secret, lent_token, &result);
    END_ENGINE
    return call_finish(&result, read_none);
}

/* A call on the table. */
typedef void (*table_call)(ots_context *, ots_result *);

static PyObject *on_table(PyObject *args, const char *format, table_call call, reader read) {
    unsigned long long store;
    int project_level, client_level;
    ots_context context;
    ots_result result;
    if (!guard_is_alive() || !PyArg_ParseTuple(args, format, &store, &project_level, &client_level))
        return NULL;
    context = context_of(store, project_level, client_level);
    BEGIN_ENGINE
    call(&context, &result);
    END_ENGINE
    return call_finish(&result, read);
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
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "KLii:cleanup", &store, &cutoff_ms, &project_level, &client_level))
        return NULL;
    context = context_of(store, project_level, client_level);
    BEGIN_ENGINE
    ots_cleanup(&context, cutoff_ms, &result);
    END_ENGINE
    return call_finish(&result, read_count);
}

static PyObject *native_limit_heap(PyObject *module, PyObject *args) {
    long long bytes;
    (void)module;
    if (!guard_is_alive() || !PyArg_ParseTuple(args, "L:limit_heap", &bytes))
        return NULL;
    BEGIN_SHIELDED
    ots_limit_heap(bytes);
    END_SHIELDED
    Py_RETURN_NONE;
}

static PyObject *native_outstanding(PyObject *module, PyObject *args) {
    int64_t n;
    (void)module;
    (void)args;
    if (!guard_is_alive())
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
    if (!guard_is_alive())
        return NULL;
    BEGIN_SHIELDED
    version = ots_version();
    END_SHIELDED
    return PyUnicode_FromString(version);
}

static PyObject *native_is_forked(PyObject *module, PyObject *args) {
    (void)module;
    (void)args;
    return PyBool_FromLong(guard_is_forked());
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
    {"limit_heap", native_limit_heap, METH_VARARGS, NULL},
    {"outstanding", native_outstanding, METH_NOARGS, NULL},
    {"version", native_version, METH_NOARGS, NULL},
    {"memfd", native_memfd, METH_NOARGS, NULL},
    {"is_forked", native_is_forked, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int exec_module(PyObject *module) {
    (void)module;
    return guard_init() ? 0 : -1;
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
