"""The running Sentry, which moves: everything that this package uses of it, and nothing else.

Its nodestore base class must be there. Spans and metrics are used where they are; whatever they
lack or refuse must never fail an operation, so it is quietly done without. docs/metrics.md names
the metrics and the attributes of spans.
"""

import contextlib
import threading
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

_BASE = "sentry.services.nodestore.base"

try:
    from sentry.services.nodestore.base import NodeStorage
except ModuleNotFoundError as _error:
    # Up to about 25.8 it has another place. A module that is missing further inside is another
    # fault.
    if not (_BASE + ".").startswith((_error.name or "") + "."):
        raise
    from sentry.nodestore.base import NodeStorage

__all__ = ["NodeStorage", "count", "measured", "report", "span"]

# What a tool that has moved or has other parameters raises. Not Exception: among those is what
# the deadline of a task raises out of anywhere.
_CHANGED = (ImportError, AttributeError, TypeError)

# Operations that Sentry's base class may have made a span for, by the name of ours.
_READ_OR_WRITE = {"get": "get", "get-multi": "get_multi", "put": "set"}

_SIZES = {"raw": "nodestore.tablestore.size.raw", "stored": "nodestore.tablestore.size.stored"}
_COUNTERS = {
    name: "nodestore.tablestore." + name
    for name in ("requests", "retries", "throttled", "missing", "split")
}
_ATTRIBUTES = (
    ("requests", "requests"),
    ("retries", "retries"),
    ("throttled", "throttled"),
    ("missing", "missing"),
    ("raw", "bytes.raw"),
    ("stored", "bytes.stored"),
)

_found: Dict[str, Any] = {}


class _Here(threading.local):
    """What is open in a thread.

    :ivar tag: Sets an attribute of the span that the calls of the engine belong to.
    :ivar record_stored: Takes the stored bytes of a value, where Sentry measures them.
    """

    tag: Optional[Callable[[str, Any], Any]] = None
    record_stored: Optional[Callable[[int], Any]] = None


_here = _Here()


@contextlib.contextmanager
def span(operation: str, **attributes: Any) -> Iterator[None]:
    """Show what happens inside as a span of the running Sentry's own tracing.

    :param operation: Such as `nodestore.tablestore.delete`; the span's name and op.
    """
    with contextlib.ExitStack() as stack:
        before = _here.tag
        with contextlib.suppress(*_CHANGED):
            started = stack.enter_context(_tool("span", _find_span)(operation))
            _here.tag = _setter(started)
            _tag(attributes)
        try:
            yield
        finally:
            _here.tag = before


class measured:
    """Measure what happens inside by the running Sentry's own measurements of storage, and show a
    read or write in its tracing.

    The block is given a function that takes the bytes before compression when they become known.

    :param operation: get, get-multi, put, delete or delete-multi, as Sentry's own backends call
        them.
    :param size: Bytes before compression, where known at the start.
    :param compression: Of the stored bytes.
    :param attributes: Of the span of a read or write: the one that Sentry's base class has made, or
        one of our own.
    """

    __slots__ = (
        "_attributes",
        "_before",
        "_compression",
        "_measure",
        "_operation",
        "_size",
        "_span",
    )

    def __init__(
        self,
        operation: str,
        size: Optional[int] = None,
        compression: Optional[str] = None,
        **attributes: Any,
    ) -> None:
        self._operation = operation
        self._size = size
        self._compression = compression
        self._attributes = attributes

    def __enter__(self) -> Callable[[int], None]:
        self._before = _here.tag, _here.record_stored
        self._span = self._measure = None
        record: Callable[[int], None] = _nothing
        try:
            if self._operation in _READ_OR_WRITE:
                self._show()
        except _CHANGED:
            pass  # without a span
        try:
            measure = _tool("measure", _find_measure)
            if measure is not None:
                self._measure = measure(self._operation, self._size)
                emitter = self._measure.__enter__()
                record = getattr(emitter, "record_uncompressed_size", _nothing)
                stored = getattr(emitter, "record_compressed_size", None)
                if stored is not None and self._compression:
                    _here.record_stored = lambda size: stored(size, self._compression)
        except _CHANGED:
            self._measure = None
        return record

    def __exit__(self, *raised: Any) -> None:
        _here.tag, _here.record_stored = self._before
        for opened in (self._measure, self._span):
            if opened is not None:
                try:
                    opened.__exit__(*raised)
                except _CHANGED:
                    pass  # it has changed: what happened inside counts

    def _show(self) -> None:
        current = _tool("base_span", _find_base_span)()
        if current is None:
            name = "nodestore.tablestore." + _READ_OR_WRITE[self._operation]
            started = _tool("span", _find_span)(name)
            current = started.__enter__()
            self._span = started
        # One that is not sampled is sent nowhere: attributes would be for nothing.
        if getattr(current, "sampled", True):
            _here.tag = _setter(current)
            if self._attributes:
                _tag(self._attributes)


def report(operation: str, seconds: float, counts: Mapping[str, int], error: Optional[str]) -> None:
    """Tell the running Sentry of a call of the store: see `sentry_tablestore.metrics`."""
    here = _here
    try:
        _tool("report", _find_report)(operation, seconds, counts, error)
    except _CHANGED:
        pass  # without metrics
    try:
        if here.record_stored is not None and counts.get("stored"):
            here.record_stored(counts["stored"])
        if here.tag is not None:
            for name, attribute in _ATTRIBUTES:
                amount = counts.get(name)
                if amount:
                    here.tag(attribute, amount)
    except _CHANGED:
        pass  # without the stored size, or without attributes


def _tag(attributes: Mapping[str, Any]) -> None:
    if _here.tag is not None:
        for name, value in attributes.items():
            _here.tag(name, value)


def _setter(started: Any) -> Any:
    """Give what sets an attribute: spans of today have attributes, the older ones tags."""
    return getattr(started, "set_attribute", None) or started.set_tag


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
    try:
        return _found[name]
    except KeyError:
        return _found.setdefault(name, find())


def _find_span() -> Any:
    with contextlib.suppress(*_CHANGED):
        from sentry_sdk import traces

        start = traces.start_span
        if _is_streaming():
            return lambda operation: start(name=operation, attributes={"sentry.op": operation})
    with contextlib.suppress(*_CHANGED):
        import sentry_sdk

        start = sentry_sdk.start_span
        return lambda operation: start(op=operation)
    return lambda operation: contextlib.ExitStack()


def _is_streaming() -> bool:
    """Whether spans are of today's kind: in the other mode the SDK logs a warning for each."""
    with contextlib.suppress(*_CHANGED):
        from sentry_sdk import get_client
        from sentry_sdk.tracing_utils import has_span_streaming_enabled

        return bool(has_span_streaming_enabled(get_client().options))
    # An SDK that cannot be asked has only the one of the two that is there.
    return True


def _find_base_span() -> Any:
    """Give what gives the span that Sentry's base class has made for this read or write, or None.

    It makes none of today's kind, and none around `get_bytes` and `set_bytes`.
    """
    with contextlib.suppress(*_CHANGED):
        current_span = _find_current_span()

        def of_base() -> Any:
            current = current_span()
            if current is None:
                return None
            op = getattr(current, "op", None) or ""
            function = getattr(current, "description", None) or ""
            # `set_subkeys` was "nodestore" at first, and is a traced function since.
            made = op.startswith("nodestore") or function.endswith("NodeStorage.set_subkeys")
            return current if made else None

        return of_base
    return lambda: None


def _find_current_span() -> Callable[[], Any]:
    import sentry_sdk

    with contextlib.suppress(AttributeError):
        return sentry_sdk.get_current_span  # type: ignore[no-any-return]
    hub = sentry_sdk.Hub  # SDKs of up to 2022
    return lambda: hub.current.scope.span


def _find_measure() -> Any:
    with contextlib.suppress(*_CHANGED):
        from sentry.objectstore.metrics import measure_storage_operation

        return lambda operation, size: measure_storage_operation(operation, "nodestore", size)
    return None


def _find_count() -> Any:
    with contextlib.suppress(*_CHANGED):
        from sentry.utils.metrics import incr

        return incr
    return lambda name, amount, tags: None


def _find_report() -> Any:
    with contextlib.suppress(*_CHANGED):
        from sentry.utils import metrics

        timing, incr = metrics.timing, metrics.incr
        distribution = getattr(metrics, "distribution", None)

        def size_of(key: str, amount: int, tags: Mapping[str, str]) -> None:
            if distribution is not None:
                distribution(key, amount, tags=tags, unit="byte")
            else:
                # What Sentry itself did with sizes before it had the other one.
                timing(key, amount, tags=tags)

        def tell(
            operation: str, seconds: float, counts: Mapping[str, int], error: Optional[str]
        ) -> None:
            if _discards(metrics):
                return
            tags = {"operation": operation}
            timing("nodestore.tablestore.duration", seconds, tags=tags)
            if error is not None:
                incr("nodestore.tablestore.failed", tags={"operation": operation, "error": error})
            for name, amount in counts.items():
                if not amount:
                    continue
                if name in _COUNTERS:
                    incr(_COUNTERS[name], amount=amount, tags=tags)
                elif name in _SIZES:
                    size_of(_SIZES[name], amount, tags)

        return tell
    return lambda operation, seconds, counts, error: None


def _discards(metrics: Any) -> bool:
    """Whether Sentry is set to have no metrics, as it is until told otherwise."""
    backend = getattr(metrics, "backend", None)
    return type(getattr(backend, "inner", backend)).__name__ == "DummyMetricsBackend"
