"""Processes that call Sentry's nodestore, each one call after the other as fast as it can.

They are forked from a Sentry that has started, as a worker's are. Nodes have numbers; their ids are
spread as Sentry's are. Times are those of CLOCK_MONOTONIC, which is one for all processes.
"""

import hashlib
import json
import multiprocessing
import random
import time
import traceback
from typing import Any, Dict, List

from django.db import connections
from sentry import nodestore

_events: List[Dict[str, Any]] = []


def node_id(number: int) -> str:
    """Return a node's id, of the form that Sentry gives an event's."""
    return hashlib.md5(b"1:%d" % number).hexdigest()


def prepare(events: str) -> None:
    """Load the events that nodes are made from, a line each."""
    with open(events) as file:
        _events[:] = map(json.loads, file)


def together(task: str, clients: int, **arguments: Any) -> Dict[str, float]:
    """Let processes do one of _TASKS at the same time.

    :returns: What they did in all: `calls`, and the `seconds` from the first one's begin to the
        last one's end.
    """
    connections.close_all()  # they are no good to two processes
    fork = multiprocessing.get_context("fork")
    ready, answers = fork.Barrier(clients), fork.SimpleQueue()
    processes = [
        fork.Process(target=_client, args=(task, which, clients, arguments, ready, answers))
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
    task: str, which: int, clients: int, arguments: Dict[str, Any], ready: Any, answers: Any
) -> None:
    """Be one of the processes: connect, wait for the others, begin."""
    try:
        nodestore.get("0" * 32)
        ready.wait(60)
        begin = time.monotonic()
        calls = _TASKS[task](which, clients, **arguments)
        answers.put({"begin": begin, "end": time.monotonic(), "calls": calls})
    except Exception:  # noqa: BLE001  the parent raises it
        ready.abort()
        answers.put({"error": traceback.format_exc()})


def _sets(which: int, clients: int, first: int, last: int) -> int:
    """Write nodes in turn with the others, so that the order of numbers is that of time."""
    numbers = range(first + which, last, clients)
    for number in numbers:
        id = node_id(number)
        event = _events[number % len(_events)]
        event["event_id"] = id
        nodestore.set(id, event)
    return len(numbers)


def _gets(which: int, clients: int, nodes: int, seconds: float) -> int:
    """Read nodes at random, of those with numbers below `nodes`."""
    chance, end, calls = random.Random(which), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        id = node_id(chance.randrange(nodes))
        _must_be(nodestore.get(id), id)
        calls += 1
    return calls


def _multi_gets(which: int, clients: int, nodes: int, at_once: int, seconds: float) -> int:
    """Read `at_once` nodes a call, at random."""
    chance, end, calls = random.Random(which), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        ids = [node_id(number) for number in chance.sample(range(nodes), at_once)]
        found = nodestore.get_multi(ids)
        for id in ids:
            _must_be(found.get(id), id)
        calls += 1
    return calls


def _deletes(which: int, clients: int, first: int, last: int) -> int:
    """Delete nodes in one call; return their number."""
    nodestore.delete_multi([node_id(number) for number in range(first, last)])
    return last - first


_TASKS = {"sets": _sets, "gets": _gets, "multi_gets": _multi_gets, "deletes": _deletes}


def missing(numbers: List[int]) -> int:
    """Count the nodes among these that are not there."""
    found = nodestore.get_multi([node_id(number) for number in numbers])
    return sum(not found.get(node_id(number)) for number in numbers)


def json_microseconds() -> Dict[str, float]:
    """Measure what encoding and decoding a node takes, which no nodestore can save."""
    encode, decode = nodestore.backend._encode, nodestore.backend._decode
    begin = time.monotonic()
    texts = [encode({None: event}) for event in _events]
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
