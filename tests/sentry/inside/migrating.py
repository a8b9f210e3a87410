"""A reader that runs all the time that a migration does, and must never miss an event."""

import json
import os
import random
import threading
import time
from typing import Any, Dict, List

from sentry import nodestore
from sentry.nodestore.base import NodeStorage

from inside import events

_over = threading.Event()
_seen: Dict[str, Any] = {"reads": 0, "reads of new": 0, "misses": 0, "wrong": []}
_new: List[List[str]] = []


def start_reading(wanted: str, seed: int) -> None:
    """Read nodes at random, one and many at once, in a thread, until `stop_reading`.

    :param wanted: A file of JSON lines [id, the id that its node names].
    """
    with open(wanted) as file:
        nodes = [json.loads(line) for line in file]
    reader = threading.Thread(target=_read, args=(nodes, random.Random(seed)), name="reader")
    reader.daemon = True
    reader.start()


def also_read(event_ids: List[str]) -> None:
    """Read the nodes of events from now on, too, that have been saved."""
    _new.extend([events.node_id(event_id), event_id] for event_id in event_ids)


def stop_reading() -> Dict[str, Any]:
    """Return how many nodes were read, and those that were missing or not what they should be."""
    _over.set()
    for thread in threading.enumerate():
        if thread.name == "reader":
            thread.join()
    return _seen


def _read(nodes: List[List[str]], chance: random.Random) -> None:
    while not _over.is_set():
        some = chance.sample(nodes, 20)
        new = chance.sample(_new, min(2, len(_new)))
        found = {}
        try:
            found[some[0][0]] = nodestore.get(some[0][0])
            found.update(nodestore.get_multi([id for id, _ in some[1:] + new]))
        except Exception as error:  # noqa: BLE001 - an error of a read is as bad as a miss
            found["error"] = repr(error)
        for id, named in some + new:
            value = found.get(id)
            if not value or value.get("node", value.get("event_id")) != named:
                _seen["misses"] += 1
                if len(_seen["wrong"]) < 20:
                    _seen["wrong"].append([id, str(value)[:200], found.get("error"), time.time()])
        _seen["reads"] += len(some)
        _seen["reads of new"] += len(new)
        time.sleep(0.01)


class Files(NodeStorage):
    """Nodes in files, as in a Sentry for development; a missing one is an OSError there."""

    def __init__(self, path: str) -> None:
        self.path = path

    def _get_bytes(self, id: str) -> bytes:
        with open(os.path.join(self.path, id), "rb") as file:
            return file.read()

    def _set_bytes(self, id: str, data: bytes, ttl: Any = None) -> None:
        with open(os.path.join(self.path, id), "wb") as file:
            file.write(data)


def write_files(folder: str, node_ids: List[str]) -> None:
    """Write nodes into files."""
    for node_id in node_ids:
        Files(folder).set(node_id, {"file": node_id})
