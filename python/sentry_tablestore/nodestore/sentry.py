"""The running Sentry, which moves: everything that this package uses of it, and nothing else.

Its nodestore base class must be there. Spans and metrics are used where they are; whatever they
lack or refuse must never fail an operation, so it is quietly done without.
"""

import contextlib
import time
from typing import Any, Callable, Dict, Iterator, Optional

_BASE = "sentry.services.nodestore.base"

try:
    from sentry.services.nodestore.base import NodeStorage
except ModuleNotFoundError as _error:
    # Up to about 25.8 it has another place. A module that is missing further inside is another
    # fault.
    if not (_BASE + ".").startswith((_error.name or "") + "."):
        raise
    from sentry.nodestore.base import NodeStorage

__all__ = ["NodeStorage", "count", "measured", "span"]

# What a tool that has moved or has other parameters raises. Not Exception: among those is what
# the deadline of a task raises out of anywhere.
_CHANGED = (ImportError, AttributeError, TypeError)

_found: Dict[str, Any] = {}


@contextlib.contextmanager
def span(operation: str, **attributes: Any) -> Iterator[None]:
    """Show what happens inside as a span of the running Sentry's own tracing.

    :param operation: Such as `nodestore.tablestore.delete`; the span's name and op.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(*_CHANGED):
            started = stack.enter_context(_tool("span", _find_span)(operation))
            tag = getattr(started, "set_attribute", None) or started.set_tag
            for name, value in attributes.items():
                tag(name, value)
        yield


@contextlib.contextmanager
def measured(operation: str, size: Optional[int] = None) -> Iterator[Callable[[int], None]]:
    """Measure what happens inside by the running Sentry's own metrics.

    :param operation: get, get-multi, put, delete or delete-multi, as Sentry's own backends call
        them.
    :param size: Bytes before compression, where known at the start.
    :returns: a function that takes them when they become known.
    """
    with contextlib.ExitStack() as stack:
        record: Callable[[int], None] = _nothing
        with contextlib.suppress(*_CHANGED):
            emitter = stack.enter_context(_tool("measure", _find_measure)(operation, size))
            record = getattr(emitter, "record_uncompressed_size", _nothing)
        yield record


def count(name: str, amount: int, **tags: str) -> None:
    """Count by the running Sentry's own metrics.

    :param name: Such as `nodestore.tablestore.read_through`.
    """
    with contextlib.suppress(*_CHANGED):
        _tool("count", _find_count)(name, amount=amount, tags=tags)


def _nothing(size: int) -> None:
    """Record nothing: this Sentry does not measure sizes."""


def _tool(name: str, find: Callable[[], Any]) -> Any:
    """Look a tool up at its first use: Sentry's metrics need its settings, which come later."""
    if name not in _found:
        _found[name] = find()
    return _found[name]


def _find_span() -> Any:
    with contextlib.suppress(*_CHANGED):
        from sentry_sdk import traces

        start = traces.start_span
        return lambda operation: start(name=operation, attributes={"sentry.op": operation})
    with contextlib.suppress(*_CHANGED):
        import sentry_sdk

        start = sentry_sdk.start_span
        return lambda operation: start(op=operation)
    return lambda operation: contextlib.ExitStack()


def _find_measure() -> Any:
    with contextlib.suppress(*_CHANGED):
        from sentry.objectstore.metrics import measure_storage_operation

        return lambda operation, size: measure_storage_operation(operation, "nodestore", size)
    with contextlib.suppress(*_CHANGED):
        from sentry.utils.metrics import incr, timing

        return lambda operation, size: _timed(operation, timing, incr)
    return lambda operation, size: contextlib.ExitStack()


def _find_count() -> Any:
    with contextlib.suppress(*_CHANGED):
        from sentry.utils.metrics import incr

        return incr
    return lambda name, amount, tags: None


@contextlib.contextmanager
def _timed(operation: str, timing: Any, incr: Any) -> Iterator[None]:
    """Measure as Sentry did before it had a tool for it: seconds, and failures by their class."""
    start = time.monotonic()
    failure = ""
    try:
        yield
    except Exception as error:
        failure = type(error).__name__
        raise
    finally:
        elapsed = time.monotonic() - start
        with contextlib.suppress(*_CHANGED):
            timing("nodestore.tablestore.duration", elapsed, tags={"operation": operation})
            if failure:
                incr("nodestore.tablestore.failed", tags={"operation": operation, "error": failure})
