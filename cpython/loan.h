/*
 * Python's objects as the engine takes them.
 */
#ifndef OTS_LOAN_H
#define OTS_LOAN_H

#include <Python.h>

#include "engine.h"

/* The bytes of a bytes object, for as long as there is a reference to it. */
ots_bytes lend(PyObject *bytes);

/* Many strings or bytes on loan: references to bytes objects, and where their bytes are. */
typedef struct {
    Py_ssize_t n;
    PyObject **owned;
    ots_bytes *lent;
} loan;

/* Takes a list of str (as UTF-8) or of bytes. On failure the exception is set; end the loan in any case. */
int loan_begin(loan *l, PyObject *list, int of_str);
void loan_end(loan *l);

/* Takes a list of n int; ends with PyMem_Free. NULL means that an exception is set. */
int64_t *numbers(PyObject *list, Py_ssize_t n);

#endif
