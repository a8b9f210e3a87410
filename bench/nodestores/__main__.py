"""Measures Sentry's Django nodestore and this one beside each other: `make bench-nodestores`.

A real Sentry 23.7.1 drives both, on one machine: its own nodestore on PostgreSQL, and this package
on `tablestore-local`. Every write of both is on the disk when it returns. The one runs after the
other; the server that is not measured has nothing to do. What the figures mean is said on the page
that is written, see page.py.
"""

# ruff: noqa: E402 - modules are imported from the folders that are named first
import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
# The Sentry is the one of the tests.
sys.path[:0] = [str(BENCH.parent / "tests" / "sentry"), str(BENCH)]

import disk
import environment
import events
import facts
import installation
import page
import services
import tablestore_local
from measure import Figures, Plan, Say, measure

# Different events of a run; each node gets its own id in one of them.
EVENTS = 4000


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="bench/nodestores", description=__doc__.split("\n")[0])
    parser.add_argument("--nodes", type=int, default=100_000, help="to write (100,000)")
    parser.add_argument("--clients", type=int, default=8, help="processes at once (8)")
    parser.add_argument("--seconds", type=float, default=10, help="of each kind of read (10)")
    parser.add_argument("--save", type=Path, help="file to write the page to, beside showing it")
    arguments = parser.parse_args()
    plan = Plan(arguments.nodes, arguments.clients, arguments.seconds)
    try:
        environment.prepare()
        environment.install(environment.wheel())
    except (environment.UnavailableError, FileNotFoundError) as error:
        sys.exit(f"bench/nodestores: {error}")
    gathered = facts.facts(
        " ".join(["python", "bench/nodestores", *sys.argv[1:]]), versions=[], **{"the disk": ""}
    )
    with prepared(EVENTS) as (folder, file), services.redis() as redis:
        postgresql, known = _postgresql(folder, file, plan, redis)
        local, settings = _local(folder, file, plan, redis)
    gathered["versions"] = ", ".join(["Sentry 23.7.1", "CPython 3.8", known[0], facts.go_version()])
    gathered["the disk"] = f"4 KB are on it after {disk.sync_microseconds():,.0f} µs (fdatasync)"
    text = page.page(gathered, plan, postgresql, local, known[1], settings)
    print(text)
    if arguments.save:
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        arguments.save.write_text(text)


@contextlib.contextmanager
def prepared(count: int) -> Iterator[tuple[Path, Path]]:
    """Make a folder, and in it a file with events in no order of size."""
    with tempfile.TemporaryDirectory(prefix="nodestores-") as name:
        made = events.make_mix(count)
        random.Random(count).shuffle(made)
        file = Path(name, "events")
        file.write_bytes(b"".join(event + b"\n" for event in made))
        yield Path(name), file


def _postgresql(
    folder: Path, file: Path, plan: Plan, redis: services.Redis
) -> tuple[Figures, tuple[str, str]]:
    """Measure Sentry's own; return the figures, and the server's version and settings."""
    migrated = installation.migrated_postgresql(folder / "migration", redis, durable=True)
    with migrated as server, installation.database(server, "sentry") as database:
        made = installation.Installation(
            folder / "django", database, installation.Nodestore(), server, redis
        )
        space = disk.PostgreSQLDisk(server, database)
        figures = measure(made, space, file, plan, _say("PostgreSQL"))
        return figures, (space.version(), space.settings())


def _local(folder: Path, file: Path, plan: Plan, redis: services.Redis) -> tuple[Figures, str]:
    """Measure this package; return the figures and the settings."""
    migrated = installation.migrated_postgresql(folder / "migration", redis)
    with contextlib.ExitStack() as running:
        server = running.enter_context(migrated)
        database = running.enter_context(installation.database(server, "sentry"))
        local = running.enter_context(tablestore_local.serving())
        nodestore = local.nodestore("nodestore", compression="zstd")
        made = installation.Installation(
            folder / "tablestore", database, nodestore, server, redis, log_requests=False
        )
        figures = measure(made, disk.LocalDisk(local, 180), file, plan, _say("tablestore-local"))
        return figures, "its defaults: each acknowledged write synced, in groups"


def _say(store: str) -> Say:
    """Tell the one who waits how far it is."""
    began = time.monotonic()

    def say(step: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {store}: {step}", file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    main()
