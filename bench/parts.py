"""The parts of the benchmark: which cells each has, who takes part, and what is expected."""

from typing import Callable, Iterator, List, NamedTuple, Sequence, Tuple

from results import Cell, Run, cpu, rate

PACKAGE, SDK, GO_SDK, HTTP = "package", "sdk", "go-sdk", "http"
TITLES = {PACKAGE: "this", SDK: "Python SDK", GO_SDK: "Go SDK", HTTP: "bare HTTP"}
PEERS = (GO_SDK, HTTP)
"""The contestants that are programs of their own, in Go."""

THREADS = (1, 8, 32)
CALLS = (("get", 1), ("set", 1), ("get_many", 100), ("delete_many", 200))


class Expectation(NamedTuple):
    """What is expected of a cell.

    :ivar limit: Of the ratio of this package's figure to the other's: the least for a rate, the
        most for CPU.
    """

    cell: Cell
    figure: Callable[[Run], float]
    to: str
    limit: float

    def title(self) -> str:
        """Say what is compared."""
        cell = self.cell
        what = "CPU of a call" if self.figure is cpu else "calls a second"
        threads = f"{cell.threads} thread{'s' * (cell.threads > 1)}"
        where = f", {cell.latency} ms of latency" if cell.latency else ""
        return f"{cell.title()}: {what}, this / {TITLES[self.to]}, {threads}{where}"

    def met(self, ratio: float) -> bool:
        """Whether this ratio is what is expected."""
        return ratio <= self.limit if self.figure is cpu else ratio >= self.limit


class Part(NamedTuple):
    """One part.

    :ivar pythons: Versions of CPython; those that are not here are told as not run.
    :ivar seconds: How long each contestant makes calls of one kind in one round.
    """

    about: str
    pythons: Sequence[str]
    sizes: Sequence[int]
    latencies: Sequence[int]
    calls: Sequence[Tuple[str, int, Sequence[int]]]  # operation, ids, numbers of threads
    contestants: Sequence[str]
    expectations: Sequence[Expectation] = ()
    seconds: float = 0.3

    def cells(self, python: str, size: int, latency: int) -> Iterator[Cell]:
        """Give the cells that share a service and its table."""
        for threads in sorted({n for _, _, all in self.calls for n in all}):
            for operation, many, all in self.calls:
                if threads in all:
                    yield Cell(operation, many, size, threads, latency, python)

    def nodes(self, size: int) -> int:
        """Give how many events the table has."""
        most = max((many for operation, many, _ in self.calls if operation == "get_many"))
        # Values of the largest size are few, or making them takes longer than all else.
        return max(most, 200 if size < 100_000 else 100)


def _calls(threads: Sequence[int]) -> List[Tuple[str, int, Sequence[int]]]:
    return [(operation, many, threads) for operation, many in CALLS]


PARTS = {
    "calls": Part(
        "Values of 10 KB on CPython 3.11.",
        ("3.11",),
        (10_000,),
        (0,),
        _calls(THREADS),
        (PACKAGE, SDK, GO_SDK, HTTP),
        (
            Expectation(Cell("get"), rate, SDK, 12),
            Expectation(Cell("set"), rate, SDK, 6),
            Expectation(Cell("get_many", 100), rate, SDK, 8),
            Expectation(Cell("get", threads=1), cpu, HTTP, 1.5),
        ),
    ),
    "sizes": Part(
        "Values of other sizes on CPython 3.11.",
        ("3.11",),
        (1_000, 50_000, 200_000),
        (0,),
        [("get", 1, (1, 8)), ("set", 1, (1, 8)), ("get_many", 100, (8,))],
        (PACKAGE, SDK, GO_SDK, HTTP),
    ),
    "interpreters": Part(
        "Values of 10 KB on other versions of CPython.",
        ("3.8", "3.12", "3.13"),
        (10_000,),
        (0,),
        _calls(THREADS),
        (PACKAGE, SDK),
    ),
    "latency": Part(
        "Values of 10 KB on CPython 3.11, each answer held back for some milliseconds. The Python "
        "SDK makes its batches one after the other, as the predecessor does.",
        ("3.11",),
        (10_000,),
        (2, 3, 10),
        (
            ("get_many", 10, (1,)),
            ("get_many", 100, (1,)),
            ("get_many", 1_000, (1,)),
            ("delete_many", 10_000, (1,)),
            ("get", 1, (32,)),
        ),
        (PACKAGE, SDK, GO_SDK),
        (
            Expectation(Cell("get", threads=32, latency=3), rate, SDK, 6),
            Expectation(Cell("delete_many", 10_000, threads=1, latency=10), rate, SDK, 8),
            Expectation(Cell("get_many", 1_000, threads=1, latency=10), rate, SDK, 5),
        ),
        seconds=0.5,
    ),
}
