#define PY_SSIZE_T_CLEAN
#include "loan.h"

#include <string.h>

ots_bytes lend(PyObject *bytes) {
    ots_bytes lent = {PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
    return lent;
}

void loan_end(loan *l) {
    for (Py_ssize_t i = 0; l->owned != NULL && i < l->n; i++)
        Py_XDECREF(l->owned[i]);
    PyMem_Free(l->owned);
    PyMem_Free(l->lent);
}

int loan_begin(loan *l, PyObject *list, int of_str) {
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

int64_t *numbers(PyObject *list, Py_ssize_t n) {
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
