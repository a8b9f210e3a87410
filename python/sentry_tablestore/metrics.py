"""Who is told of each call of a store: the option `metrics`, and others that observe a store.

A callback is called after each call as `callback(operation, seconds, counts, error)`:

- `operation`: the store's method, such as `get` or `set_many`;
- `seconds`: how long it took, with all its attempts;
- `counts`: a mapping of the names in `COUNTS` to ints; empty for a call that did not reach the
  engine;
- `error`: the name of the exception's class, None for a call that succeeded.

It runs in the calling thread. What it raises fails nothing.
"""

import importlib
import re
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple

from .attention import attention
from .errors import TablestoreOptionsError

COUNTS = (
    "requests",
    "retries",
    "throttled",
    "sent",
    "received",
    "raw",
    "stored",
    "missing",
    "split",
)
"""What the engine counts in a call: requests to the service, those that were repetitions, answers
that asked to slow down, bytes of request and response bodies, bytes of values before and after
compression, ids that a read did not find, values that were split over columns."""

TEXTFILE = "textfile:"

Callback = Callable[[str, float, Mapping[str, int], Optional[str]], None]

_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z")


class Observers:
    """The callbacks of one store."""

    __slots__ = ("_callbacks",)

    def __init__(self, *callbacks: Optional[Callback]) -> None:
        self._callbacks: Tuple[Callback, ...] = tuple(c for c in callbacks if c is not None)

    def add(self, callback: Callback) -> None:
        """Tell this one too from now on."""
        self._callbacks += (callback,)

    def remove(self, callback: Optional[Callback]) -> None:
        """Tell this one no more."""
        self._callbacks = tuple(c for c in self._callbacks if c is not callback)

    def tell(
        self, operation: str, seconds: float, counts: Sequence[int], error: Optional[str]
    ) -> None:
        """Tell each of a call.

        :param counts: In the order of `COUNTS`.
        """
        if self._callbacks:
            self.report(operation, seconds, dict(zip(COUNTS, counts)), error)

    def report(
        self, operation: str, seconds: float, counts: Mapping[str, int], error: Optional[str]
    ) -> None:
        """Tell each of something that the engine does not count."""
        for callback in self._callbacks:
            try:
                callback(operation, seconds, counts, error)
            except Exception as failure:  # noqa: BLE001 - the call itself has succeeded
                name = getattr(callback, "__qualname__", type(callback).__qualname__)
                attention.warn(
                    "metrics " + name,
                    f"metrics: {name} raised {type(failure).__name__}: {failure}; the operation "
                    "itself is not concerned",
                )


def callback_of(given: Any) -> Optional[Callback]:
    """Make sense of the option `metrics`, importing what it names.

    :raises TablestoreOptionsError: naming what is wrong.
    """
    if given is None:
        return None
    if callable(given):
        return given
    if isinstance(given, str) and given.startswith(TEXTFILE):
        # Here: only those who ask for it import what it needs.
        from .metrics_textfile import textfile_of

        return textfile_of(given[len(TEXTFILE) :])
    if not isinstance(given, str) or not _PATH.match(given):
        raise TablestoreOptionsError(
            "metrics must be a callable, the dotted path of one, or 'textfile:' and the absolute "
            f"path of a file that ends with .prom, not {given!r}"
        )
    module, name = given.rsplit(".", 1)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise TablestoreOptionsError(
            f"metrics '{given}' cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        raise TablestoreOptionsError(f"metrics '{given}' is no callable")
    return found
