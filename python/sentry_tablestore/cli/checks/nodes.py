"""Each operation that Sentry needs, tried on nodes of its own, which are removed in any case."""

import os
import time
import uuid
from datetime import timedelta
from typing import Any, Callable, Dict, List, Set, Tuple

from ...errors import (
    TablestoreError,
    TablestorePermissionError,
    TablestoreTimeoutError,
    TablestoreUnavailableError,
)
from ...kvstore.tablestore import TablestoreKVStorage
from .report import FAILED, OK, SKIPPED, Report, told
from .table import allow

# No id of Sentry's begins so.
PREFIX = "sentry-tablestore-check-"

# Hides a node that could not be removed, and has `sentry cleanup` delete it.
_LIFETIME = timedelta(minutes=10)

_LARGE = 5 << 20  # bytes; over the service's 2 MiB of one attribute column


class _WrongAnswer(Exception):
    """An operation succeeded, and with something else than what was written."""


class _Trial:
    """The check nodes of one run.

    :ivar there: Value of each node that was written, by its id.
    :ivar sent: Ids of the nodes that may be there, written or not.
    """

    def __init__(self, store: TablestoreKVStorage) -> None:
        self.store = store
        name = PREFIX + uuid.uuid4().hex
        self.single = name + "-1"
        self.pair = [name + "-2", name + "-3"]
        self.large = name + "-4"
        self.value = b'{"written_by":"sentry-tablestore check"}'
        self.there: Dict[str, bytes] = {}
        self.sent: Set[str] = set()
        self._readable = False

    def put(self) -> None:
        self.sent.add(self.single)
        self.store.set(self.single, self.value, _LIFETIME)
        self.there[self.single] = self.value

    def get(self) -> None:
        found = self.store.get(self.single)
        self._readable = True
        if self.single in self.there:
            _expect(self.value, found)

    def put_many(self) -> None:
        self.sent.update(self.pair)
        self.store.set_many(dict.fromkeys(self.pair, self.value), _LIFETIME)
        self.there.update(dict.fromkeys(self.pair, self.value))

    def get_many(self) -> None:
        found = dict(self.store.get_many(self.pair))
        for id in self.pair:
            if id in self.there:
                _expect(self.value, found.get(id))

    def scan(self) -> None:
        nodes, _ = self.store.scan(start=self.single, limit=len(self.sent) or 1)
        listed = [node.id for node in nodes]
        for id in self.there:
            _expect(id, id if id in listed else None)

    def put_large(self) -> None:
        # Nothing that compression could make fit into one column.
        value = os.urandom(_LARGE)
        self.sent.add(self.large)
        self.store.set(self.large, value, _LIFETIME)
        self.there[self.large] = value
        if self._readable:
            _expect(value, self.store.get(self.large))

    def delete(self) -> None:
        self.store.delete(self.single)
        self.there.pop(self.single, None)
        if self._readable and self.store.get(self.single) is not None:
            raise _WrongAnswer("the deleted node is still there")
        self.sent.discard(self.single)


def check(report: Report, store: TablestoreKVStorage, large: bool) -> None:
    """Write, read and delete nodes.

    :param large: Also one that is split over columns.
    """
    trial = _Trial(store)
    try:
        _try_all(report, store, trial, large)
    finally:
        _remove(report, trial)


def names(large: bool) -> List[str]:
    """Give the names of these checks: the service's operations."""
    more = ["UpdateRow"] if large else []
    return ["PutRow", "GetRow", "BatchWriteRow", "BatchGetRow", "GetRange"] + more + ["DeleteRow"]


def _try_all(report: Report, store: TablestoreKVStorage, trial: _Trial, large: bool) -> None:
    trials: Dict[str, Tuple[Callable[[], None], str]] = {
        "PutRow": (trial.put, "wrote a node"),
        "GetRow": (trial.get, "read it back"),
        "BatchWriteRow": (trial.put_many, "wrote two nodes at once"),
        "BatchGetRow": (trial.get_many, "read them back"),
        "GetRange": (trial.scan, "listed them"),
        "UpdateRow": (trial.put_large, f"wrote {_LARGE >> 20} MiB in parts and read it back"),
        "DeleteRow": (trial.delete, "deleted a node"),
    }
    failures = report.count(FAILED)
    left = names(large)
    while left:
        operation = left.pop(0)
        attempt, done = trials[operation]
        start = time.monotonic()
        try:
            attempt()
        except TablestorePermissionError as error:
            trial.sent.intersection_update(trial.there)  # refused: nothing was written
            report.add(operation, FAILED, told(error), allow(operation, store))
        except TablestoreError as error:
            report.add(operation, FAILED, told(error), error.advice)
            if isinstance(error, (TablestoreUnavailableError, TablestoreTimeoutError)):
                report.skip(left, "the service failed a moment ago")
                return
        except _WrongAnswer as error:
            report.add(
                operation,
                FAILED,
                str(error),
                "Look for another program that writes to this table, and report it otherwise.",
            )
        else:
            took = (time.monotonic() - start) * 1000
            # After a failure there may have been no node to read or delete.
            whole = report.count(FAILED) == failures
            report.add(operation, OK, done if whole else "allowed", milliseconds=took)


def _remove(report: Report, trial: _Trial) -> None:
    """Remove what is left, by whichever operation is allowed."""
    if not trial.sent:
        return
    error: Any = None
    try:
        trial.store.delete_many(sorted(trial.sent))
        trial.sent.clear()
    except TablestorePermissionError:
        for id in sorted(trial.sent):
            try:
                trial.store.delete(id)
                trial.sent.discard(id)
            except TablestoreError as refused:
                error = refused
    except TablestoreError as refused:
        error = refused
    if trial.sent:
        report.add(
            "removal",
            FAILED,
            "these check nodes may be left, hidden in 10 minutes: {}: {}".format(
                ", ".join(sorted(trial.sent)), told(error)
            ),
            "Run `sentry-tablestore delete` with these ids when it can.",
        )


def _expect(wanted: Any, found: Any) -> None:
    if wanted != found:
        raise _WrongAnswer(f"gave {_short(found)} where {_short(wanted)} had been written")


def _short(value: Any) -> str:
    text = "nothing" if value is None or value == [] else repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def say_what_is_not_tried(report: Report) -> None:
    """Name the operations that cannot be tried without changing the table."""
    report.add(
        "bootstrap",
        SKIPPED,
        "CreateTable and UpdateTable are not tried, they would change the table; nothing else "
        "needs them",
    )
