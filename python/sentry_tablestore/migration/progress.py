"""What is shown while a migration runs: a bar on a terminal, else a line every few seconds."""

import os
import time
from typing import Any, Callable

from .run import Status

_LINE_EVERY = 5.0
_BAR_EVERY = 0.2
_BAR = 24
_SMALLEST_BAR = 4


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
        rate = self._rate(status)
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

    @staticmethod
    def _rate(status: Status) -> float:
        return (status.tally.rows - status.before) / status.seconds if status.seconds > 0 else 0.0

    def _left(self, done: float, status: Status, rate: float) -> str:
        if done >= 1.0:
            return "0s"
        if self._total > 0 and rate > 0:
            return duration(max(1.0, (self._total - status.tally.rows) / rate))
        return ""

    def _draw(self, status: Status) -> None:
        width = _columns(self._stream) - 1
        self._stream.write("\r\x1b[K" + self.bar(status, width)[:width])
        self._drawn = True

    def bar(self, status: Status, width: int) -> str:
        """Say what matters in so many columns, with a bar in what is left of them."""
        tally = status.tally
        done = self.fraction(status)
        rows = short(tally.rows) + (f"/{short(self._total)}" if self._total > 0 else "") + " rows"
        failed = f"{short(tally.failures)} failed"
        if status.trouble:
            # Nothing moves meanwhile: neither speed nor time left would say anything.
            room = max(0, width - len(f"100% , {rows}, {failed}"))
            trouble = status.trouble
            if len(trouble) > room:
                trouble = trouble[: room - 1] + "…"
            return f"{done:4.0%} {trouble}, {rows}, {failed}"
        rate = self._rate(status)
        left = self._left(done, status, rate).replace(" ", "")
        parts = [rows, f"{short(tally.bytes)}B", f"{short(rate)}/s"]
        parts += [f"{left} left"] if left else []
        text = f"{done:4.0%} " + ", ".join([*parts, failed])
        size = min(_BAR, width - len(text) - len("[] "))
        if size < _SMALLEST_BAR:
            return text
        filled = int(done * size)
        return "[" + "#" * filled + "." * (size - filled) + "] " + text


def _columns(stream: Any) -> int:
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        columns = 0
    return columns or 80  # a terminal in a container may have no size yet


def short(number: float) -> str:
    """Write a number in three digits: `950`, `12.3k`, `100M`."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}T"


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
