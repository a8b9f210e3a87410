"""What is shown while a migration runs: a bar on a terminal, else a line every few seconds."""

import os
import time
from typing import Any, Callable

from .run import Status

_LINE_EVERY = 5.0
_BAR_EVERY = 0.2
_BAR = 24


class Progress:
    """Shows a migration's status on a stream.

    :param stream: Standard error, usually.
    :param total: Estimate of the source's rows; -1 unknown.
    """

    def __init__(
        self, stream: Any, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._total = total
        self._clock = clock
        self._terminal = bool(getattr(stream, "isatty", lambda: False)())
        self._next = clock() + (0 if self._terminal else _LINE_EVERY)
        self._drawn = False

    def __call__(self, status: Status) -> None:
        """Show the status when it is time to."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (_BAR_EVERY if self._terminal else _LINE_EVERY)
        if self._terminal:
            self._draw(status)
        else:
            self._stream.write(f"migrate: {self.line(status)}\n")
        self._stream.flush()

    def finish(self) -> None:
        """Leave the bar's line."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def line(self, status: Status) -> str:
        """Say everything in one line."""
        tally = status.tally
        rows = tally.rows
        fresh = rows - status.before
        rate = fresh / status.seconds if status.seconds > 0 else 0.0
        done = self.fraction(status)
        parts = [f"{rows:,} rows" + (f" of about {self._total:,}" if self._total > 0 else "")]
        parts.append(f"{megabytes(tally.bytes)} moved")
        parts.append(f"{rate:,.0f} rows/s")
        left = self._left(done, status, rate)
        parts.append(f"{left} left" if left else "time left unknown")
        parts.append(f"{tally.failures:,} failed")
        if status.trouble:
            parts.append(status.trouble)
        return ", ".join(parts)

    def fraction(self, status: Status) -> float:
        """How much is done, 0 to 1: by rows, or by parts where their number is unknown."""
        done, parts = status.parts
        if parts and done == parts:
            return 1.0
        if self._total > 0:
            # An estimate may be too low: never all before all is done.
            return min(0.99, status.tally.rows / self._total)
        return done / parts if parts else 0.0

    def _left(self, done: float, status: Status, rate: float) -> str:
        if done >= 1.0:
            return "0s"
        if self._total > 0 and rate > 0:
            return duration(max(1.0, (self._total - status.tally.rows) / rate))
        return ""

    def _draw(self, status: Status) -> None:
        done = self.fraction(status)
        filled = int(done * _BAR)
        bar = "#" * filled + "." * (_BAR - filled)
        text = f"[{bar}] {done:4.0%} {self.line(status)}"
        width = _columns(self._stream)
        self._stream.write("\r\x1b[K" + text[: width - 1])
        self._drawn = True


def _columns(stream: Any) -> int:
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        columns = 0
    return columns or 80  # a terminal in a container may have no size yet


def megabytes(size: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.2f} TB"


def duration(seconds: float) -> str:
    """Write a time for people: `3d 4h`, `2h 5m`, `1m 3s`, `7s`."""
    left = int(seconds)
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= length or (unit == "s" and not parts):
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts[:2])
