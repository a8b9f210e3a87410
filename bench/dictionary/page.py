"""Writes what was measured as a page."""

from dataclasses import dataclass

import facts

# A row with a node in it, as the service counts its size: the primary key `id` of 32 digits, the
# column `flags`, and what comes to the value of `data`: its name and its timestamp.
_ROW = len("id") + 32 + len("flags") + 8 + 8 + len("data") + 8
_UNIT = 4096


@dataclass(frozen=True)
class Result:
    """A file of events, compressed in one way.

    :ivar events: Name of the file.
    :ivar dictionary: "" for none.
    :ivar sizes: Bytes of each event.
    :ivar compress: µs of CPU an event, and so `decompress`.
    """

    library: str
    events: str
    level: str
    dictionary: str
    sizes: list[int]
    compress: float
    decompress: float


_ABOUT = """# What a zstd dictionary would save

A dictionary holds what events have in common, so that none has to say it again. Nothing in the
product uses one: this is what it would save, in stored bytes and in write capacity units (CU: 4 KB
of a row, rounded up).
"""

_HOW = """
## What to make of it

- {training:,} generated events (`bench/events.py`) trained the dictionaries; {measured:,} others of
  the same kind were compressed. They share a vocabulary of some hundred words and 400 stack frames
  of a framework, and a dictionary can hold all of that. A real project's events repeat its own
  code, so a dictionary of its own nodes may save more; a self-hosted Sentry with many projects,
  platforms and releases, or a dictionary that is a year old, will save less. The second table is
  the other extreme: Sentry's own sample events of many platforms, for which nobody trained.
- A CU cannot be saved where an event takes one already. Storage can.
- What it would cost: each row then needs its dictionary for ever. A lost one is the loss of all
  of its rows, other programs (Python's `zstandard`, version 1.0.0b2 of this package) could not
  read them without it, and dictionaries have to be trained, kept and handed to every process.
- Times are CPU of one thread, without Python's call into the module for klauspost, and with it for
  libzstd.
"""


def page(
    gathered: dict[str, str], training: int, raw: dict[str, list[int]], results: list[Result]
) -> str:
    """Return the page as Markdown."""
    lines = [_ABOUT, *facts.lines(gathered)]
    for what, sizes in raw.items():
        mean = sum(sizes) / len(sizes)
        title = "Generated events" if what == "measured" else "Sentry's sample events"
        lines += [
            "",
            f"## {title}",
            "",
            f"{len(sizes):,} events of {mean:,.0f} bytes in the mean; without compression "
            f"{_units(sizes):.2f} write CU an event.",
            "",
            "| level | dictionary | bytes an event | saved | write CU | saved | compress, µs "
            "| decompress, µs |",
            "|---|---|--:|--:|--:|--:|--:|--:|",
        ]
        some = [result for result in results if result.events == what]
        for result in some:
            without = next(
                other
                for other in some
                if (other.library, other.level, other.dictionary)
                == (result.library, result.level, "")
            )
            lines.append(_row(result, without))
    how = _HOW.format(training=training, measured=len(raw["measured"]))
    return "\n".join(lines) + "\n" + how


def _row(result: Result, without: Result) -> str:
    size, units = sum(result.sizes) / len(result.sizes), _units(result.sizes)
    saved = ["", ""]
    if result.dictionary:
        saved = [
            f"{1 - sum(result.sizes) / sum(without.sizes):.0%}",
            f"{1 - units / _units(without.sizes):.1%}",
        ]
    cells = [
        f"{result.library} {result.level}",
        result.dictionary or "none",
        f"{size:,.0f}",
        saved[0],
        f"{units:.3f}",
        saved[1],
        f"{result.compress:,.0f}",
        f"{result.decompress:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _units(sizes: list[int]) -> float:
    """Write capacity units an event."""
    return sum(-(-(size + _ROW) // _UNIT) for size in sizes) / len(sizes)
