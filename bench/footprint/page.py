"""Writes what was measured as a page."""

from dataclasses import dataclass

import facts


@dataclass(frozen=True)
class Measured:
    """Medians.

    :ivar steps: Bytes of memory by step and kind: `rss`, `pss`, `dirty`.
    :ivar times: Milliseconds.
    """

    steps: dict[str, dict[str, float]]
    times: dict[str, float]


@dataclass(frozen=True)
class Sizes:
    """Bytes of the wheel.

    :ivar files: Of each file in it, as installed.
    """

    wheel: int
    files: dict[str, int]


_ABOUT = """# What the package costs a process

Memory of a process through its life, the time until its first call is done, and the wheel's size.
"""

_STEPS = {
    "python": "Python alone",
    "imported": "package imported, a store made",
    "loaded": "engine loaded",
    "first call": "first call",
    "1 thread": "2,000 sets and gets, 20 multi-gets",
    "8 threads": "the same by 8 threads, half as many each",
    "idle": "after {idle:g} s without a call",
    "child, before a call": "a forked child, before it calls",
    "child, first call": "a forked child, after its first call",
}
_TIMES = {
    "import": "import the package, make a store",
    "load": "load the engine",
    "first call": "first call: open a client, connect",
    "second call": "second call",
    "child's first call": "first call of a forked child: load a copy, open, connect",
}

_HOW = """
Nodes are events of 10 KB with `compression='zstd'`, on a `tablestore-local` in memory. RSS counts
pages of the library's file that processes share; PSS counts such a page in parts, of which each
process that maps it has one (a child and its parent: two); private dirty is what the process alone
has, and what no file can give back. Nothing is loaded before the first call.
"""


def page(gathered: dict[str, str], measured: dict[str, Measured], sizes: Sizes, idle: float) -> str:
    """Return the page as Markdown."""
    lines = [_ABOUT, *facts.lines(gathered), _HOW]
    for version, found in measured.items():
        lines += [f"## CPython {version}", "", "| MB | RSS | PSS | private dirty |"]
        lines.append("|---|--:|--:|--:|")
        for step, title in _STEPS.items():
            memory = found.steps[step]
            cells = (f"{memory[field] / 1e6:.1f}" for field in ("rss", "pss", "dirty"))
            lines.append(f"| {title.format(idle=idle)} | {' | '.join(cells)} |")
        lines += ["", "| | ms |", "|---|--:|"]
        lines += [f"| {title} | {found.times[time]:.2f} |" for time, title in _TIMES.items()]
        lines.append("")
    lines += ["## The wheel for x86_64", "", "| | MB |", "|---|--:|"]
    engine = sum(size for name, size in sizes.files.items() if name.endswith(".so"))
    server = sum(size for name, size in sizes.files.items() if name.endswith("tablestore-local"))
    whole = sum(sizes.files.values())
    for title, size in (
        ("wheel", sizes.wheel),
        ("installed", whole),
        ("of it the engine", engine),
        ("of it tablestore-local", server),
        ("of it Python and all else", whole - engine - server),
    ):
        lines.append(f"| {title} | {size / 1e6:.2f} |")
    return "\n".join(lines) + "\n"
