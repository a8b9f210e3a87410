// Package cpython is the Python side of the engine, in C: the extension module sentry_tablestore._native. It has every
// Python C-API call of the project and is built for the limited API of CPython 3.6, so that one
// build serves 3.6 to 3.14. The include path of Python.h comes from the builder, in CGO_CFLAGS.
package cpython

// #cgo CFLAGS: -DPy_LIMITED_API=0x03060000 -Wall -Wextra -fvisibility=hidden
// #cgo LDFLAGS: -Wl,--unresolved-symbols=ignore-all
import "C"
