"""What metrics and spans add to a call, in Python: microseconds beside an engine that does nothing.

Runs in an environment with Sentry 23.7.1, such as the one that its tests make::

    .cache/sentry-23.7.1/bin/python bench/signs.py

The best of five rounds of each. Sentry's SDK is on and samples nothing, its metrics are the dummy
ones unless said.
"""

# ruff: noqa: E402 - Sentry can be imported only when its settings are made

import atexit
import os
import shutil
import sys
import tempfile
import timeit
from typing import Any, Callable

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "python")
)

from django.conf import settings

settings.configure(
    CACHES={},
    SENTRY_METRICS_BACKEND="sentry.metrics.dummy.DummyMetricsBackend",
    SENTRY_METRICS_DISALLOW_BAD_TAGS=False,
    SENTRY_METRICS_OPTIONS={},
    SENTRY_METRICS_PREFIX="sentry.",
    SENTRY_METRICS_SAMPLE_RATE=1.0,
    SENTRY_METRICS_SKIP_ALL_INTERNAL=True,
    SENTRY_METRICS_SKIP_INTERNAL_PREFIXES=[],
    SENTRY_NODESTORE="",
    SENTRY_NODESTORE_OPTIONS={},
)

import sentry_sdk
from sentry.metrics.dummy import DummyMetricsBackend
from sentry.utils import metrics
from sentry_tablestore import engine, loader
from sentry_tablestore.metrics import Observers
from sentry_tablestore.metrics_textfile import Textfile
from sentry_tablestore.nodestore.sentry import measured, report
from sentry_tablestore.secret import Secret

ROUNDS, CALLS = 5, 20000
COUNTS = (1, 0, 0, 100, 200, 9900, 2600, 0, 0)


class Process:
    """A process whose engine answers at once."""

    handles = {"{}": 1}  # noqa: RUF012 - never changed

    class native:
        @staticmethod
        def get(*arguments: Any) -> Any:
            return 0, b"value", None, COUNTS


class Silent(DummyMetricsBackend):
    """Does nothing either, but is not known for that."""


def client(*observers: Any) -> engine.Client:
    """Make a client whose calls these are told of."""
    return engine.Client(Secret("{}"), "tablestore-client", None, Observers(*observers), 10)


def show(what: str, function: Callable[[], Any]) -> None:
    """Print the microseconds of a call of this function."""
    best = min(timeit.repeat(function, number=CALLS, repeat=ROUNDS)) / CALLS
    print(f"{best * 1e6:6.1f} µs  {what}")


def main() -> None:
    """Print all."""
    sentry_sdk.init(traces_sample_rate=0.0, transport=lambda event: None)
    loader.process = lambda: Process  # type: ignore[assignment,return-value]
    bare, told = client(), client(report)

    def plain() -> None:
        with sentry_sdk.start_span(op="nodestore.get"):
            bare.call("get", "id")

    def observed() -> None:
        with sentry_sdk.start_span(op="nodestore.get"), measured("get", compression="zstd"):
            told.call("get", "id")

    show("a call that nobody is told of", lambda: bare.call("get", "id"))
    show("with Sentry's dummy metrics", lambda: told.call("get", "id"))
    show("in the span of Sentry's base class, nobody told", plain)
    show("the same with metrics and attributes", observed)
    called = client(lambda operation, seconds, counts, error: None)
    show("a callable that does nothing", lambda: called.call("get", "id"))
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)  # after the last turn of the textfile
    textfile = client(Textfile(os.path.join(folder, "bench.prom")))
    show("the textfile", lambda: textfile.call("get", "id"))
    metrics.backend.inner = Silent()
    show("with other metrics of Sentry, which do nothing", lambda: told.call("get", "id"))


if __name__ == "__main__":
    main()
