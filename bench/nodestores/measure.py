"""Takes a nodestore of a real Sentry through its life: filled, read, half of it deleted."""

import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from console import Console
from disk import Disk, Reclaimed, Space
from installation import Installation

# Nodes that one call to the console writes: it has to end before the console's deadline.
_SETS_AT_ONCE = 10_000
# What Sentry's deletions give one call of `delete_multi` at most.
_DELETED_AT_ONCE = 10_000
# In how many parts at least each step is done, the stores in turn.
_PARTS = 4

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is to be done.

    :ivar nodes: How many are written, a tenth of them by one client alone.
    :ivar clients: How many processes make the rest of them, and read, at the same time.
    :ivar seconds: How long reads of each kind go on.
    :ivar read_at_once: Nodes of a multi-get.
    """

    nodes: int = 100_000
    clients: int = 8
    seconds: float = 10
    read_at_once: int = 100


@dataclass(frozen=True)
class Figures:
    """What was measured.

    :ivar rates: Calls a second, by operation and number of clients; of "delete", nodes a second.
    :ivar bounds: What they are with a nodestore that keeps nothing; none of "delete".
    :ivar json: Microseconds to encode and to decode a node, which are in the rates.
    """

    rates: dict[tuple[str, int], float]
    bounds: dict[tuple[str, int], float]
    json: dict[str, float]
    before: Space
    after: list[Reclaimed]


@dataclass(frozen=True)
class Store:
    """A Sentry whose nodestore is measured, with an empty table, and where that lies."""

    name: str
    sentry: Installation
    disk: Disk


def measure(stores: Sequence[Store], events: Path, plan: Plan, say: Say) -> list[Figures]:
    """Measure nodestores: each step with one and then with the other, in small parts.

    So what else the machine does disturbs all of them alike.

    :param events: File with the events that nodes are made from, a line each.
    :param say: Told of each step.
    :raises console.InsideError: when a call failed, or read what it should not.
    """
    with contextlib.ExitStack() as running:
        say("starting Sentry")
        runs = [_Run(store, running.enter_context(store.sentry.console())) for store in stores]
        for run in runs:
            run.prepare(events)
        alone = plan.nodes // 10
        for clients, first, last in ((1, 0, alone), (plan.clients, alone, plan.nodes)):
            part = max(1, min(_SETS_AT_ONCE, (last - first) // _PARTS))
            for at in range(first, last, part):
                for run in runs:
                    say(f"{run.name}: sets from {at:,}, {clients} at once")
                    run.count("set", clients, "sets", first=at, last=min(at + part, last))
                # Last, so that it stands between no two that are compared.
                runs[-1].count(
                    "set", clients, "sets", stored=False, first=at, last=min(at + part, last)
                )
        for run in runs:
            run.before = run.disk.settled()
        read = {"last": plan.nodes, "seconds": plan.seconds / _PARTS}
        for _ in range(_PARTS):
            for operation, task, arguments in (
                ("get", "gets", read),
                ("get_multi", "multi_gets", {**read, "at_once": plan.read_at_once}),
            ):
                for clients in (1, plan.clients):
                    for run in runs:
                        say(f"{run.name}: {operation}, {clients} at once")
                        run.count(operation, clients, task, **arguments)
                    runs[-1].count(operation, clients, task, stored=False, **arguments)
        half = plan.nodes // 2
        for run in runs:
            # The oldest, as retention does.
            for at in range(0, half, _DELETED_AT_ONCE):
                say(f"{run.name}: deletes from {at:,}")
                run.count("delete", 1, "deletes", first=at, last=min(at + _DELETED_AT_ONCE, half))
            run.after = run.disk.reclaim(run.before)
            run.check(plan.nodes)
        say("done")
        return [run.figures() for run in runs]


class _Done:
    """What clients did of one operation."""

    def __init__(self) -> None:
        self.calls = self.seconds = 0.0

    def add(self, done: dict[str, float]) -> None:
        """Add another part."""
        self.calls += done["calls"]
        self.seconds += done["seconds"]


class _Run:
    """A nodestore on its way through the steps."""

    before: Space
    after: list[Reclaimed]

    def __init__(self, store: Store, inside: Console) -> None:
        self.name = store.name
        self.disk = store.disk
        self._inside = inside
        self._done: dict[tuple[str, int], _Done] = {}
        self._bounds: dict[tuple[str, int], _Done] = {}

    def prepare(self, events: Path) -> None:
        """Load the events and make the table."""
        self._inside.call("load.prepare", events=str(events))
        self._inside.call("nodes.bootstrap")

    def count(
        self, operation: str, clients: int, task: str, stored: bool = True, **arguments: float
    ) -> None:
        """Let clients do a task, and add what they did to the operation's figures.

        :param stored: False with a nodestore that keeps nothing, which counts for the bounds.
        """
        done = self._inside.call(
            "load.together", task=task, clients=clients, stored=stored, **arguments
        )
        kind = self._done if stored else self._bounds
        kind.setdefault((operation, clients), _Done()).add(done)

    def check(self, nodes: int) -> None:
        """Make sure that the older half is gone, and that the other one is not."""
        chance, some = random.Random(nodes), min(1000, nodes // 2)
        for numbers, wanted in ((range(nodes // 2), some), (range(nodes // 2, nodes), 0)):
            missing = self._inside.call("load.missing", numbers=chance.sample(numbers, some))
            if missing != wanted:
                raise LookupError(
                    f"{self.name}: {missing} of {some} nodes are missing, not {wanted}"
                )

    def figures(self) -> Figures:
        """Sum up."""
        rates, bounds = (
            {key: done.calls / done.seconds for key, done in kind.items()}
            for kind in (self._done, self._bounds)
        )
        json = self._inside.call("load.json_microseconds")
        return Figures(rates, bounds, json, self.before, self.after)
