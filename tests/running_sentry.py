"""Imports the backend into a Sentry of one of the layouts in `stand_ins`. Runs on CPython 3.6."""

import contextlib
import importlib
import os
import sys

LAYOUTS = ("old", "moved", "newest", "bare")

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stand_ins")
_PLAYED = ("sentry", "sentry_sdk", "click", "stand_in", "sentry_tablestore.nodestore")


@contextlib.contextmanager
def layout(*folders):
    """Give the module of the backend as it is in a process whose Sentry has this layout.

    :param folders: Names of folders of `stand_ins`, or paths, that stand on `sys.path`.
    """
    modules, path = dict(sys.modules), list(sys.path)
    _forget()
    sys.path[:0] = [os.path.join(_HERE, folder) for folder in folders + ("shared",)]
    importlib.invalidate_caches()
    try:
        yield importlib.import_module("sentry_tablestore.nodestore.backend")
    finally:
        sys.path[:] = path
        _forget()
        for name, module in modules.items():
            if _is_played(name):
                sys.modules[name] = module


def _forget():
    for name in [name for name in sys.modules if _is_played(name)]:
        del sys.modules[name]


def _is_played(name):
    return any(name == played or name.startswith(played + ".") for played in _PLAYED)
