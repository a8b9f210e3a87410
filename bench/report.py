"""Results as Markdown: the tables, and their places in docs/results/bench.md and in the README."""

import re
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

from client_environment import ROOT
from parts import PACKAGE, SDK, TITLES, Part
from results import Cell, Results, cpu, rate

FILE = ROOT / "docs" / "results" / "bench.md"
README = ROOT / "README.md"

_HEAD = """# Benchmarks

Each part was written by the command at its head. What is compared, and how:
[bench/README.md](../../bench/README.md).
"""
# In the README, around a copy of the table with this caption of this part.
_COPY = re.compile(r"(<!-- bench (\w+): (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

Table = List[List[str]]


def tables(results: Results) -> Iterator[Tuple[str, Table]]:
    """Give the tables of a part, each with its caption."""
    groups: List[str] = []
    for cell in results.cells():
        if _caption(cell) not in groups:
            groups.append(_caption(cell))
    for caption in groups:
        yield caption, _table(results, [c for c in results.cells() if _caption(c) == caption])


def _caption(cell: Cell) -> str:
    words = [f"CPython {cell.python}", f"{cell.size // 1000} KB"]
    if cell.latency:
        return ", ".join([*words, f"{cell.latency} ms of latency"])
    return ", ".join([*words, f"{cell.threads} thread{'s' * (cell.threads > 1)}"])


def _table(results: Results, cells: Sequence[Cell]) -> Table:
    names = results.contestants(cells[0])
    titles = [TITLES[name] for name in names]
    head = ["", *(f"calls a second: {titles[0]}", *titles[1:])]
    head += [f"CPU µs a call: {titles[0]}", *titles[1:], "calls a second, this / Python SDK"]
    rows = [head]
    for cell in cells:
        row = [cell.title()]
        if cell.latency and cell.threads > 1:
            row = [f"{row[0]}, {cell.threads} threads"]
        row += [_number(results.median(cell, name, rate)) for name in names]
        row += [f"{results.median(cell, name, cpu):,.0f}" for name in names]
        row.append(f"{results.ratio(cell, PACKAGE, SDK, rate):.1f}")
        rows.append(row)
    return rows


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"


def expectations(part: Part, results: Results) -> Table:
    """Give what is expected and what was measured; empty where nothing is expected."""
    rows = []
    for expected in part.expectations:
        if expected.cell not in results.cells():
            continue
        ratio = results.ratio(expected.cell, PACKAGE, expected.to, expected.figure)
        bound = f"at {'most' if expected.figure is cpu else 'least'} {expected.limit:g}"
        met = "met" if expected.met(ratio) else "not met"
        rows.append([expected.title(), bound, f"{ratio:.2f}", met])
    return [["", "expected", "measured", ""], *rows] if rows else []


def bounds(part: Part, results: Results) -> List[str]:
    """Say how many calls a second latency leaves, where that is less than what is expected."""
    lines = []
    for expected in part.expectations:
        cell = expected.cell
        if cell not in results.cells() or not cell.latency or cell.many > 1:
            continue
        most = 1000 * cell.threads / cell.latency
        ratio = most / results.median(cell, expected.to, rate)
        if ratio < expected.limit:
            lines.append(
                f"{cell.threads} threads that wait {cell.latency} ms for each answer make at most "
                f"{most:,.0f} calls a second, whatever makes them: {ratio:.1f} times those of the "
                f"{TITLES[expected.to]} on this machine, "
                f"{results.median(cell, PACKAGE, rate) / most:.0%} of which were measured."
            )
    return lines


def aligned(rows: Table) -> str:
    """Write a table as Markdown that reads well as it is."""
    widths = [max(3, *map(len, column)) for column in zip(*rows)]
    marks = ["-" * width if at == 0 else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    return "\n".join(_line(row, widths) for row in (rows[0], marks, *rows[1:]))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return "| " + " | ".join(cells) + " |"


def text(part: Part, described: Sequence[str], results: Results) -> str:
    """Write the section of a part, without its title."""
    blocks = [part.about, "\n".join(described)]
    for caption, table in tables(results):
        blocks += [f"**{caption}**", aligned(table)]
    table = expectations(part, results)
    if table:
        blocks += ["**What is expected**", aligned(table), *bounds(part, results)]
    return "\n\n".join(blocks) + "\n"


def save(name: str, section: str) -> None:
    """Put the section of a part in the place of the one before, and copies into the README."""
    before = FILE.read_text() if FILE.exists() else _HEAD
    sections = re.split(r"^(?=## )", before, flags=re.MULTILINE)
    found = {part.split("\n", 1)[0][3:]: part for part in sections[1:]}
    found[name] = f"## {name}\n\n{section}\n"
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text((_HEAD + "\n" + "".join(found.values())).rstrip() + "\n")
    README.write_text(copied(README.read_text(), FILE))


def copied(page: str, source: Path) -> str:
    """Give the page with its copies of tables as they are in the source now."""
    sections = source.read_text()

    def copy(place: "re.Match[str]") -> str:
        found = re.search(
            r"^## {}\n.*?^\*\*{}\*\*\n\n(.*?\n)(?:\n|\Z)".format(
                *map(re.escape, place.group(2, 3))
            ),
            sections,
            re.DOTALL | re.MULTILINE,
        )
        if not found:
            return place.group(0)  # not measured yet
        return place.group(1) + found.group(1) + place.group(4)

    return _COPY.sub(copy, page)
