"""Takes a nodestore of a real Sentry through its life: filled, read, half of it deleted."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from console import Console
from disk import Disk, Reclaimed, Space
from installation import Installation

# Nodes that one call to the console writes: it has to end before the console's deadline.
_SETS_AT_ONCE = 10_000
# What Sentry's deletions give one call of `delete_multi` at most.
_DELETED_AT_ONCE = 10_000

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

    :ivar rates: Calls a second, by operation and number of clients.
    :ivar deleted: Nodes deleted a second, by one client.
    :ivar json: Microseconds to encode and to decode a node, which are in the rates.
    """

    rates: dict[tuple[str, int], float]
    deleted: float
    json: dict[str, float]
    before: Space
    after: list[Reclaimed]


def measure(sentry: Installation, disk: Disk, events: Path, plan: Plan, say: Say) -> Figures:
    """Measure the nodestore of this Sentry, whose table is empty.

    :param events: File with the events that nodes are made from, a line each.
    :param say: Told of each step.
    :raises console.InsideError: when a call failed, or read what it should not.
    """
    say("starting Sentry")
    with sentry.console() as inside:
        inside.call("load.prepare", events=str(events))
        inside.call("nodes.bootstrap")
        rates = {}
        alone = plan.nodes // 10
        for clients, first, last in ((1, 0, alone), (plan.clients, alone, plan.nodes)):
            say(f"sets, {clients} at once")
            rates["set", clients] = _fill(inside, clients, first, last)
        before = disk.settled()
        read = {"nodes": plan.nodes, "seconds": plan.seconds}
        for operation, task, arguments in (
            ("get", "gets", read),
            ("get_multi", "multi_gets", {**read, "at_once": plan.read_at_once}),
        ):
            for clients in (1, plan.clients):
                say(f"{operation}, {clients} at once")
                done = inside.call("load.together", task=task, clients=clients, **arguments)
                rates[operation, clients] = done["calls"] / done["seconds"]
        say("deletes")
        deleted = _delete(inside, plan.nodes // 2)
        say("space")
        after = disk.reclaim(before)
        _check(inside, plan.nodes)
        say("done")
        return Figures(rates, deleted, inside.call("load.json_microseconds"), before, after)


def _fill(inside: Console, clients: int, first: int, last: int) -> float:
    """Write nodes; return how many a second."""
    seconds = 0.0
    for at in range(first, last, _SETS_AT_ONCE):
        part = {"first": at, "last": min(at + _SETS_AT_ONCE, last)}
        done = inside.call("load.together", task="sets", clients=clients, **part)
        seconds += done["seconds"]
    return (last - first) / seconds


def _delete(inside: Console, count: int) -> float:
    """Delete the oldest nodes, as retention does; return how many a second."""
    seconds = 0.0
    for at in range(0, count, _DELETED_AT_ONCE):
        part = {"first": at, "last": min(at + _DELETED_AT_ONCE, count)}
        done = inside.call("load.together", task="deletes", clients=1, **part)
        seconds += done["seconds"]
    return count / seconds


def _check(inside: Console, nodes: int) -> None:
    """Make sure that the deleted half is gone, and that the other one is not."""
    chance, some = random.Random(nodes), min(1000, nodes // 2)
    for numbers, wanted in ((range(nodes // 2), some), (range(nodes // 2, nodes), 0)):
        missing = inside.call("load.missing", numbers=chance.sample(numbers, some))
        if missing != wanted:
            raise LookupError(f"{missing} of {some} nodes are missing, not {wanted}")
