"""A real Sentry 23.7.1 that stores its events in Tablestore, on this machine, from an empty folder.

    make demo        (or, with a wheel in dist/: python demo/demo.py)

Starts `tablestore-local`, PostgreSQL and Redis on loopback, lets `sentry upgrade --with-nodestore`
create the table, saves some of Sentry's own sample events and reads them back. The first run makes
the environment and takes minutes; the next ones take half a minute. Where Sentry cannot be had,
the package is shown alone.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# The demo's Sentry is the one of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "sentry"))

import alone
import environment
import installation
import services
import table
import tablestore_local

SAMPLES = (
    "python",
    "javascript",
    "java",
    "php",
    "ruby",
    "aspnetcore",
    "elixir",
    "cocoa",
    "android",
    "native",
    "react-native",
    "transaction",
)


def main() -> int:
    """Show Sentry with the nodestore, or the package alone; return the exit status."""
    try:
        wheel = environment.wheel()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print("sentry-tablestore: Sentry's events in Tablestore\n", flush=True)
    try:
        with _step("environment of Sentry 23.7.1 (minutes, the first time)"):
            environment.prepare()
    except environment.UnavailableError as error:
        print(f"\nWithout Sentry: {error}", flush=True)
        return alone.show(wheel, environment.CACHE / "demo")
    with _step(f"the package: {wheel.name}"):
        environment.install(wheel)
    return _with_sentry()


def _with_sentry() -> int:
    """Run the demo in a real Sentry."""
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        with _step("PostgreSQL and Redis"):
            redis = running.enter_context(services.redis())
            migrated = installation.migrated_postgresql(folder / "migration", redis)
            postgresql = running.enter_context(migrated)
            database = running.enter_context(installation.database(postgresql, "sentry"))
        with _step("tablestore-local"):
            server = running.enter_context(tablestore_local.serving())
        nodestore = server.nodestore("nodestore", compression="zstd")
        sentry = installation.Installation(
            folder / "sentry", database, nodestore, postgresql, redis
        )
        with _step("sentry upgrade --noinput --with-nodestore"):
            sentry.run("upgrade", "--noinput", "--with-nodestore")
        with _step("Sentry"):
            inside = running.enter_context(sentry.console())
        print(f"\nNodestore: {nodestore.backend}")
        print(f"           table nodestore at {server.end_point}, compression zstd")
        first = inside.call("measured.first_operation")
        print(f"First operation, which starts the engine: {first:.0f} ms\n")
        stored = [
            table.Stored(**inside.call("measured.save_and_read", sample=sample))
            for sample in SAMPLES
        ]
        return _tell(stored)


def _tell(stored: list[table.Stored]) -> int:
    """Print the table and what to make of it; return the exit status."""
    print("\n".join(table.lines(stored)))
    if not all(event.same for event in stored):
        print("\nSome events were not read back as they were saved.")
        return 1
    print(
        "\nRaw: the JSON that Sentry handed over. Stored: the row's data, read by Aliyun's SDK.\n"
        "Times are those of the nodestore's own calls within EventManager.save and nodestore.get."
    )
    return 0


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    started = time.monotonic()
    print(f"  {what} ", end="", flush=True)
    yield
    print(f"… {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
