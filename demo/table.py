"""The demo's table of what was stored."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stored:
    """One event that was stored and read back.

    :ivar stored_bytes: What it takes in Tablestore.
    :ivar same: Whether what was read is what was saved.
    """

    event: str
    node_id: str
    raw_bytes: int
    stored_bytes: int
    set_ms: float
    get_ms: float
    same: bool


def lines(events: Sequence[Stored], stored: str = "stored bytes") -> list[str]:
    """Lay the events out, with a line of sums below.

    :param stored: Title of the column `stored_bytes`.
    """
    titles = ("event", "node id", "raw bytes", stored, "set ms", "get ms", "read back")
    body = [
        (
            event.event,
            event.node_id,
            f"{event.raw_bytes:,}",
            f"{event.stored_bytes:,}",
            f"{event.set_ms:.1f}",
            f"{event.get_ms:.1f}",
            "the same" if event.same else "DIFFERENT",
        )
        for event in events
    ]
    total = (
        f"{len(events)} events",
        "",
        f"{sum(event.raw_bytes for event in events):,}",
        f"{sum(event.stored_bytes for event in events):,}",
        f"{sum(event.set_ms for event in events):.1f}",
        f"{sum(event.get_ms for event in events):.1f}",
        f"{sum(event.same for event in events)} the same",
    )
    widths = [max(map(len, column)) for column in zip(titles, *body, total, strict=True)]
    rule = tuple("─" * width for width in widths)
    return [_line(row, widths) for row in (titles, rule, *body, rule, total)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Align one row: names to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if position in (0, 1, 6) else cell.rjust(width)
        for position, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  " + "  ".join(cells).rstrip()
