"""Rows of a `nodestore_node` as a Sentry of some years has it, and what must become of each."""

import base64
import hashlib
import json
import math
import pickle
import sys
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bench"))

import events

DAY = 86_400_000
LIFE_DAYS = 90

# Raw sizes in bytes at these shares of all events; between them, sizes grow evenly in their
# logarithm. Mean 9.9 KB.
_SIZES = ((0.0, 1500), (0.5, 5700), (0.9, 13500), (0.99, 65000), (1.0, 320000))
_POOL = 400

NORMAL, PICKLE, EXPIRED, BROKEN, DELETED = "normal", "pickle", "expired", "broken", "deleted"
NEWER, SAME, OLDER = "newer", "same", "older"


class Row(NamedTuple):
    """One row.

    :ivar kind: What is special about it; NEWER, SAME and OLDER say what the target has already.
    :ivar written: ms since 1970.
    """

    id: str
    kind: str
    payload: bytes
    written: int

    @property
    def data(self) -> str:
        """What the column `data` holds."""
        if self.kind == BROKEN:
            return "this is not the base64 of a zlib stream"
        return base64.b64encode(zlib.compress(self.payload)).decode()


def kind(n: int) -> str:
    """Tell what is special about the row with this number."""
    if n % 50 == 7:
        return PICKLE
    if n % 100 == 13:
        return EXPIRED
    if n % 200 == 17:
        return BROKEN
    if n % 60 == 11:
        return DELETED
    return {3: NEWER, 43: SAME, 83: OLDER}.get(n % 120, NORMAL)


def row(n: int, now: int) -> Row:
    """Make the row with this number; the same arguments give the same row.

    :param now: ms since 1970.
    """
    id = hashlib.md5(f"row {n}".encode()).hexdigest()
    if n % 40 == 5:
        id = "i-o:" + id
    what = kind(n)
    payload = _event(n * 7919 % _POOL)[:-1] + b',"node":"%s"}' % id.encode()
    if what == PICKLE:
        value: Any = json.loads(payload)
        payload = pickle.dumps(value, n // 50 % 3)
    days = LIFE_DAYS + 1 + n % 100 if what == EXPIRED else n * 37 % (LIFE_DAYS - 10) + 1
    return Row(id, what, payload, now - days * DAY + n % 997)


def rows(count: int, now: int) -> Iterator[Row]:
    """Make so many rows."""
    return (row(n, now) for n in range(count))


@lru_cache(maxsize=None)
def _event(n: int) -> bytes:
    """Make one of the events that rows are made of."""
    share = (n + 0.5) / _POOL
    for (low, small), (high, large) in zip(_SIZES, _SIZES[1:], strict=False):
        if share <= high:
            size = small * math.exp((share - low) / (high - low) * math.log(large / small))
            return events.make_event(int(size), n)
    raise AssertionError("shares are below 1")
