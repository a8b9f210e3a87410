"""Processes that call Sentry's nodestore, each one call after the other as fast as it can.

They are forked from a Sentry that has started, as a worker's are. Nodes have numbers; their ids are
spread as Sentry's are. Times are those of CLOCK_MONOTONIC, which is one for all processes.

What a client needs for its calls it makes itself before it begins: to read objects of the parent is
to copy their pages, and for the garbage collector to look at them takes longer than a call, neither
of which a Sentry has that gets its events one by one.
"""

import gc
import hashlib
import json
import multiprocessing
import random
import time
import traceback
from typing import Any, Callable, Dict, List

from django.db import connections
from sentry import nodestore
from sentry.nodestore.base import NodeStorage
from sentry.utils.services import LazyServiceWrapper

_lines: List[str] = []


class KeepsNothing(NodeStorage):
    """A nodestore without a store: what is left is what Sentry itself does in each call."""

    def __init__(self) -> None:
        self._events = [line.rstrip().encode("utf-8")[:-1] for line in _lines]

    def _get_bytes(self, id: str) -> bytes:
        event = self._events[int(id[:8], 16) % len(self._events)]
        return b'%s,"event_id":"%s"}' % (event, id.encode("ascii"))

    def _set_bytes(self, id: str, data: bytes, ttl: Any = None) -> None:
        pass


def node_id(number: int) -> str:
    """Return a node's id, of the form that Sentry gives an event's."""
    return hashlib.md5(b"1:%d" % number).hexdigest()


def prepare(events: str) -> None:
    """Load the events that nodes are made from, a line each."""
    with open(events) as file:
        _lines[:] = file


def together(task: str, clients: int, stored: bool = True, **arguments: Any) -> Dict[str, float]:
    """Let processes do one of _TASKS at the same time.

    :param stored: False calls KeepsNothing in place of Sentry's nodestore.
    :returns: What they did in all: `calls`, and the `seconds` from the first one's begin to the
        last one's end.
    """
    connections.close_all()  # they are no good to two processes
    fork = multiprocessing.get_context("fork")
    ready, answers = fork.Barrier(clients), fork.SimpleQueue()
    processes = [
        fork.Process(target=_client, args=(task, which, clients, stored, arguments, ready, answers))
        for which in range(clients)
    ]
    for process in processes:
        process.start()
    spans = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    for span in spans:
        if "error" in span:
            raise RuntimeError(span["error"])
    took = max(span["end"] for span in spans) - min(span["begin"] for span in spans)
    return {"calls": sum(span["calls"] for span in spans), "seconds": took}


def _client(
    task: str,
    which: int,
    clients: int,
    stored: bool,
    arguments: Dict[str, Any],
    ready: Any,
    answers: Any,
) -> None:
    """Be one of the processes: connect, wait for the others, begin."""
    try:
        nodes = nodestore.backend if stored else _keeps_nothing()
        nodes.get("0" * 32)
        begin_task = _TASKS[task](nodes, which, clients, **arguments)
        gc.collect()
        gc.freeze()
        ready.wait(60)
        begin = time.monotonic()
        calls = begin_task()
        answers.put({"begin": begin, "end": time.monotonic(), "calls": calls})
    except Exception:  # noqa: BLE001  the parent raises it
        ready.abort()
        answers.put({"error": traceback.format_exc()})


def _keeps_nothing() -> Any:
    """Make what Sentry's settings would make of a nodestore of this class."""
    path = __name__ + "." + KeepsNothing.__name__
    return LazyServiceWrapper(NodeStorage, path, {}, metrics_path="nodestore")


def _sets(nodes: Any, which: int, clients: int, first: int, last: int) -> Callable[[], int]:
    """Write nodes in turn with the others, so that the order of numbers is that of time."""
    events = [
        (node_id(number), json.loads(_lines[number % len(_lines)]))
        for number in range(first + which, last, clients)
    ]

    def begin() -> int:
        for id, event in events:
            event["event_id"] = id
            nodes.set(id, event)
        return len(events)

    return begin


def _gets(nodes: Any, which: int, clients: int, last: int, seconds: float) -> Callable[[], int]:
    """Read nodes at random, of those with numbers below `last`."""
    chance = random.Random(which)

    def begin() -> int:
        end, calls = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            id = node_id(chance.randrange(last))
            _must_be(nodes.get(id), id)
            calls += 1
        return calls

    return begin


def _multi_gets(
    nodes: Any, which: int, clients: int, last: int, at_once: int, seconds: float
) -> Callable[[], int]:
    """Read `at_once` nodes a call, at random."""
    chance = random.Random(which)

    def begin() -> int:
        end, calls = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            ids = [node_id(number) for number in chance.sample(range(last), at_once)]
            found = nodes.get_multi(ids)
            for id in ids:
                _must_be(found.get(id), id)
            calls += 1
        return calls

    return begin


def _deletes(nodes: Any, which: int, clients: int, first: int, last: int) -> Callable[[], int]:
    """Delete nodes in one call; return their number."""
    ids = [node_id(number) for number in range(first, last)]

    def begin() -> int:
        nodes.delete_multi(ids)
        return len(ids)

    return begin


_TASKS = {"sets": _sets, "gets": _gets, "multi_gets": _multi_gets, "deletes": _deletes}


def missing(numbers: List[int]) -> int:
    """Count the nodes among these that are not there."""
    found = nodestore.get_multi([node_id(number) for number in numbers])
    return sum(not found.get(node_id(number)) for number in numbers)


def json_microseconds() -> Dict[str, float]:
    """Measure what encoding and decoding a node takes, which no nodestore can save."""
    encode, decode = nodestore.backend._encode, nodestore.backend._decode
    events = [json.loads(line) for line in _lines]
    begin = time.monotonic()
    texts = [encode({None: event}) for event in events]
    encoded = time.monotonic()
    for text in texts:
        decode(text, None)
    decoded = time.monotonic()
    return {
        "encode": 1e6 * (encoded - begin) / len(texts),
        "decode": 1e6 * (decoded - encoded) / len(texts),
    }


def _must_be(node: Any, id: str) -> None:
    if not node or node["event_id"] != id:
        raise LookupError("node %s is %.100r" % (id, node))
