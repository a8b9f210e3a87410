"""A limit of rows or bytes a second for all workers together."""

import re
import threading
import time
from typing import Callable, NamedTuple

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?b|rows|)\Z", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}


class Rate(NamedTuple):
    """So many rows or bytes a second.

    :ivar unit: "rows" or "bytes".
    """

    amount: float
    unit: str


def parse_rate(text: str) -> Rate:
    """Read a rate such as `500`, `500rows` or `2.5MB` (millions of bytes).

    :raises ValueError: for anything else.
    """
    found = _RATE.match(text.strip())
    if not found or not float(found.group(1)):
        raise ValueError(
            f"a rate is rows a second such as 500, or bytes a second such as 2.5MB, not {text!r}"
        )
    unit = found.group(2).lower()
    if unit in ("", "rows"):
        return Rate(float(found.group(1)), "rows")
    return Rate(float(found.group(1)) * _UNITS[unit], "bytes")


class Limiter:
    """Lets through so much a second: whoever takes more than is there waits until it is made up.

    :param rate: None lets everything through.
    :param wait: Waits so many seconds, or less when the migration is to stop.
    """

    def __init__(
        self,
        rate: "Rate | None",
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._wait = wait
        self._clock = clock
        self._free_at = clock()
        self._lock = threading.Lock()

    def take(self, rows: int, size: int) -> None:
        """Wait until so many rows with so many bytes may pass."""
        if self._rate is None:
            return
        amount = rows if self._rate.unit == "rows" else size
        with self._lock:
            now = self._clock()
            begin = max(now, self._free_at)
            self._free_at = begin + amount / self._rate.amount
        if begin > now:
            self._wait(begin - now)
