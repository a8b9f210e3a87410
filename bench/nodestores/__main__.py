"""Measures Sentry's Django nodestore and this one beside each other: `make bench-nodestores`.

A real Sentry 23.7.1 drives both, on one machine: its own nodestore on PostgreSQL, and this package
on `tablestore-local`. Every write of both is on the disk when it returns. They are measured in
turns; the one that is not measured has nothing to do. What the figures mean is said on the page
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
from measure import Plan, Store, measure

# Different events of a run; each node gets its own id in one of them.
EVENTS = 4000
LOCAL_SETTINGS = "its defaults, each acknowledged write synced, in groups"
BEGAN = time.monotonic()


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
    gathered = facts.timed(facts.typed(), versions=[], **{"the disk": ""})
    with prepared(EVENTS) as (folder, file), contextlib.ExitStack() as running:
        stores = [_postgresql(folder, running), _local(folder, running)]
        figures = measure(stores, file, plan, _say)
        known = stores[0].disk.version(), stores[0].disk.settings()
    gathered["versions"] = ", ".join(["Sentry 23.7.1", "CPython 3.8", known[0], facts.go_version()])
    gathered["the disk"] = f"4 KB are on it after {disk.sync_microseconds():,.0f} µs (fdatasync)"
    text = page.page(gathered, plan, *figures, known[1], LOCAL_SETTINGS)
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


def _postgresql(folder: Path, running: contextlib.ExitStack) -> Store:
    """Start a Sentry with its own nodestore, on a PostgreSQL whose commits wait for the disk."""
    redis = running.enter_context(services.redis())
    migrated = installation.migrated_postgresql(folder / "migration", redis, durable=True)
    server = running.enter_context(migrated)
    database = running.enter_context(installation.database(server, "sentry"))
    sentry = installation.Installation(
        folder / "django", database, installation.Nodestore(), server, redis
    )
    return Store("PostgreSQL", sentry, disk.PostgreSQLDisk(server, database))


def _local(folder: Path, running: contextlib.ExitStack) -> Store:
    """Start a Sentry with this package; the PostgreSQL that it needs besides has nothing to do."""
    redis = running.enter_context(services.redis())
    migrated = installation.migrated_postgresql(folder / "migration", redis)
    server = running.enter_context(migrated)
    database = running.enter_context(installation.database(server, "sentry"))
    local = running.enter_context(tablestore_local.serving())
    # The time is for a machine that does other things as well.
    nodestore = local.nodestore("nodestore", compression="zstd", timeout=60)
    sentry = installation.Installation(
        folder / "tablestore", database, nodestore, server, redis, log_requests=False
    )
    return Store("tablestore-local", sentry, disk.LocalDisk(local, 180))


def _say(step: str) -> None:
    """Tell the one who waits how far it is."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {step}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
