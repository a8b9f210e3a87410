"""What it takes to store and to read an event, measured around the nodestore's own calls."""

import json
import time
from typing import Any, Dict, List
from unittest import mock

from sentry import nodestore

from inside import events, nodes, rows


def first_operation() -> float:
    """Read a node that is not there, which starts the engine; return the milliseconds it took."""
    started = time.perf_counter()
    nodes.get("0" * 32)
    return 1000 * (time.perf_counter() - started)


def save_and_read(sample: str) -> Dict[str, Any]:
    """Save one of Sentry's sample events and read it back; return what it took."""
    with _Watched("_set_bytes") as sets:
        saved = events.save(sample)
    with _Watched("_get_bytes") as gets:
        read = nodes.get(saved["node_id"])
    return {
        "event": sample,
        "node_id": saved["node_id"],
        "raw_bytes": len(saved["json"]),
        "stored_bytes": rows.stored_bytes(saved["node_id"]),
        "set_ms": sets.milliseconds[-1],
        "get_ms": gets.milliseconds[-1],
        "same": read == json.loads(saved["json"]),
    }


class _Watched:
    """Times the calls of one method of the nodestore, for as long as the context lasts."""

    def __init__(self, method: str) -> None:
        self.milliseconds: List[float] = []
        storage = type(getattr(nodestore.backend, method).__self__)
        original = getattr(storage, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = original(*args, **kwargs)
            self.milliseconds.append(1000 * (time.perf_counter() - started))
            return result

        self._patch = mock.patch.object(storage, method, timed)

    def __enter__(self) -> "_Watched":
        self._patch.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._patch.stop()
