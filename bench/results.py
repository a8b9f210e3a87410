"""What was measured: runs of contestants in rounds, and figures of them."""

from dataclasses import dataclass
from statistics import median
from typing import Callable, Dict, List, NamedTuple


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
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.wall

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a call."""
        return 1e6 * self.cpu / self.calls


def rate(run: Run) -> float:
    """Give calls a second."""
    return run.rate


def cpu(run: Run) -> float:
    """Give microseconds of CPU a call."""
    return run.cpu_us


class Cell(NamedTuple):
    """What is measured beside each other.

    :ivar many: Ids of a call; 1 for those that take one.
    :ivar size: Bytes of a value.
    :ivar latency: Milliseconds that the service takes for each answer.
    :ivar python: Version of CPython.
    """

    operation: str
    many: int = 1
    size: int = 10_000
    threads: int = 8
    latency: int = 0
    python: str = "3.11"

    def title(self) -> str:
        """Name the operation."""
        name = self.operation.replace("_", " ")
        return f"{name} of {self.many:,}" if self.many > 1 else name


class Results:
    """The runs of all cells, one for each contestant and round."""

    def __init__(self) -> None:
        self._rounds: Dict[Cell, List[Dict[str, Run]]] = {}

    def add(self, cell: Cell, runs: Dict[str, Run]) -> None:
        """Note a round: a run of each contestant, made one right after the other."""
        self._rounds.setdefault(cell, []).append(runs)

    def cells(self) -> List[Cell]:
        """Give what was measured, in the order in which it was."""
        return list(self._rounds)

    def contestants(self, cell: Cell) -> List[str]:
        """Give who took part."""
        return list(self._rounds[cell][0])

    def median(self, cell: Cell, contestant: str, figure: Callable[[Run], float]) -> float:
        """Give a figure's median over the rounds."""
        return median(figure(runs[contestant]) for runs in self._rounds[cell])

    def ratio(self, cell: Cell, of: str, to: str, figure: Callable[[Run], float]) -> float:
        """Give the median of the rounds' ratios.

        What disturbs a round disturbs its contestants alike.
        """
        return median(figure(runs[of]) / figure(runs[to]) for runs in self._rounds[cell])
