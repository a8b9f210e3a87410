"""What was measured, as tables, and beside what the project promises."""

from dataclasses import dataclass
from statistics import median
from typing import Callable, Dict, List, Sequence, Tuple

OPERATIONS = ("get", "set", "get_many", "delete_many")
# What the tables call them.
TITLES = {
    "get": "get",
    "set": "set",
    "get_many": "get many of 100",
    "delete_many": "delete many of 200",
}


@dataclass(frozen=True)
class Run:
    """Calls of one contestant in one round.

    :ivar wall: Seconds from the first call's begin to the last one's end.
    :ivar cpu: Seconds of CPU in the contestant's process.
    """

    calls: int
    wall: float
    cpu: float

    @property
    def time_us(self) -> float:
        """Microseconds from one call to the next."""
        return 1e6 * self.wall / self.calls

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a call."""
        return 1e6 * self.cpu / self.calls

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.wall


Cell = Tuple[str, int, int]  # operation, size in bytes, threads


class Results:
    """The runs of all cells, one for each contestant and round."""

    def __init__(self) -> None:
        self._rounds: Dict[Cell, List[Dict[str, Run]]] = {}

    def add(self, cell: Cell, runs: Dict[str, Run]) -> None:
        """Note a round: a run of each contestant, made one right after the other."""
        self._rounds.setdefault(cell, []).append(runs)

    def median(self, cell: Cell, contestant: str, figure: Callable[[Run], float]) -> float:
        """Give a figure's median over the rounds."""
        return median(figure(runs[contestant]) for runs in self._rounds[cell])

    def ratio(self, cell: Cell, of: str, to: str, figure: Callable[[Run], float]) -> float:
        """Give the median of the rounds' ratios.

        What disturbs a round disturbs its contestants alike.
        """
        return median(figure(runs[of]) / figure(runs[to]) for runs in self._rounds[cell])

    def sizes(self) -> List[int]:
        """Return the sizes measured."""
        return sorted({size for _, size, _ in self._rounds})

    def table(self, threads: int) -> List[List[str]]:
        """Return the rows of a table, its head first."""
        if threads == 1:
            head = ["µs a call"] + ["package", "SDK", "HTTP"] + ["CPU: package", "SDK", "HTTP"]
            head += ["CPU SDK / package"]
        else:
            head = ["calls a second"] + ["package", "SDK", "HTTP"]
            head += ["CPU µs: package", "SDK", "HTTP", "calls package / SDK"]
        rows = [[f"{threads} thread{'s' * (threads > 1)}", "", *head[1:]]]
        rows[0][1] = head[0]
        for operation in OPERATIONS:
            for size in self.sizes():
                rows.append(self._row((operation, size, threads)))
        return rows

    def _row(self, cell: Cell) -> List[str]:
        operation, size, threads = cell
        speed = Run.time_us.fget if threads == 1 else Run.rate.fget
        cpu = Run.cpu_us.fget
        row = [TITLES[operation], f"{size // 1000} KB"]
        for figure in (speed, cpu):
            row += [
                f"{self.median(cell, name, figure):,.0f}" for name in ("package", "sdk", "http")
            ]
        if threads == 1:
            row.append(f"{self.ratio(cell, 'sdk', 'package', cpu):.2f}")
        else:
            row.append(f"{self.ratio(cell, 'package', 'sdk', speed):.2f}")
        return row

    def expectations(self) -> List[List[str]]:
        """Return what is expected at 10 KB and what was measured, as the rows of a table."""
        cpu, rate = Run.cpu_us.fget, Run.rate.fget
        rows = [["at 10 KB, zstd", "expected", "measured", ""]]
        for title, cell, figure, limit in (
            ("CPU a get, package / SDK, 1 thread", ("get", 10_000, 1), cpu, 1 / 2),
            ("CPU a set, package / SDK, 1 thread", ("set", 10_000, 1), cpu, 2 / 3),
            ("gets a second, package / SDK, 8 threads", ("get", 10_000, 8), rate, 4),
            ("sets a second, package / SDK, 8 threads", ("set", 10_000, 8), rate, 2.5),
            ("get many of 100, package / SDK, 8 threads", ("get_many", 10_000, 8), rate, 5),
        ):
            if cell not in self._rounds:
                continue
            ratio = self.ratio(cell, "package", "sdk", figure)
            met = ratio <= limit if figure is cpu else ratio >= limit
            bound = f"at {'most' if figure is cpu else 'least'} {limit:.2f}"
            rows.append([title, bound, f"{ratio:.2f}", "met" if met else "NOT MET"])
        return rows


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Write a table as Markdown that reads well as it is."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    left = 2 if rows[0][1] != "expected" else 1
    lines = [_line(row, widths, left) for row in rows]
    marks = [
        "-" * width if at < left else "-" * (width - 1) + ":" for at, width in enumerate(widths)
    ]
    return "\n".join([lines[0], _line(marks, widths, left), *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = (
        text.ljust(width) if at < left else text.rjust(width)
        for at, (text, width) in enumerate(zip(row, widths))
    )
    return "| " + " | ".join(cells) + " |"
