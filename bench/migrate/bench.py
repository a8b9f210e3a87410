"""Measures `migrate` beside COPY and a plain loop: `make bench-migrate`.

A PostgreSQL of its own has a `nodestore_node` with rows of realistic sizes; the target is
`tablestore-local --memory`. Round by round, each in a process of its own, one right after the
other, beginning with another one each time:

- carry-over: the target wants zlib, as the source has it;
- zstd: the target wants zstd, so that everything is compressed anew;
- COPY: `COPY nodestore_node TO STDOUT` into a file, by psycopg2, which is as fast as rows come out;
- loop: one id after the other, the old backend's `get` without Django (SELECT, base64, zlib) and
  the new one's `set` with zlib, for some of the rows.

Then `migrate` once more from a table six times as large, for its memory.

PostgreSQL, client and server share the machine's cores. Time is that of the rows alone, without the
start of the program. MB are of the column `data`.
"""

# ruff: noqa: E402 - what is shared with the tests lies in their folders

import argparse
import contextlib
import datetime
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
for _folder in ("bench", "tests", "tests/sentry", "python"):
    sys.path.insert(0, str(ROOT / _folder))

import debian
import facts
import memory
import nodestore_rows
import psycopg2
import services
from local_server import serving
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
from sentry_tablestore.testing import LocalServer

CONTESTANTS = ("carry-over", "zstd", "COPY", "loop")
MIGRATIONS = CONTESTANTS[:2]
LOOPED = 3000
TIMES_LARGER = 6
# What is expected.
OF_COPY, OF_LOOP, MOST_MEMORY = 0.5, 10, 200_000_000


class Run(NamedTuple):
    """What a contestant did.

    :ivar cpu: Seconds in its process.
    :ivar memory: Most resident memory of it and what it starts, bytes.
    """

    rows: int
    seconds: float
    cpu: float
    memory: int

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


class Source(NamedTuple):
    """The table to read.

    :ivar size: Bytes in its column `data`.
    """

    dsn: str
    rows: int
    size: int


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="of the table (50000)")
    parser.add_argument("--rounds", type=int, default=5, help="to take medians of (5)")
    parser.add_argument("--workers", type=int, default=4, help="of migrate (4, as by default)")
    parser.add_argument("--save", metavar="FILE", help="also write the page to FILE")
    arguments = parser.parse_args()
    command = " ".join(["make bench-migrate", *_arguments(arguments)])
    gathered = facts.timed(command, _versions())
    with services.postgresql() as postgresql, serving() as server, _folder() as scratch:
        postgresql.create_database("nodes")
        dsn = f"host={postgresql.folder} user=postgres dbname=nodes"
        small = fill(dsn, arguments.rows)
        runs: Dict[str, List[Run]] = {name: [] for name in CONTESTANTS}
        for number in range(arguments.rounds):
            for place in range(len(CONTESTANTS)):
                name = CONTESTANTS[(place + number) % len(CONTESTANTS)]
                run = measured(name, small, server, scratch, arguments.workers)
                runs[name].append(run)
                print(f"round {number + 1}: {name}: {_line(run, small)}", file=sys.stderr)
        large = enlarge(small)
        larger = {
            name: measured(name, large, server, scratch, arguments.workers) for name in MIGRATIONS
        }
    text = page(gathered, runs, larger, small, large, arguments)
    print(text)
    if arguments.save:
        Path(arguments.save).write_text(text + "\n")


def fill(dsn: str, count: int) -> Source:
    """Make the table."""
    now = int(time.time() * 1000)
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        normal = (n for n in itertools.count() if nodestore_rows.kind(n) == nodestore_rows.NORMAL)
        for n in itertools.islice(normal, count):
            row = nodestore_rows.row(n, now)
            data = row.data
            size += len(data)
            written = datetime.datetime.fromtimestamp(row.written / 1000).isoformat()
            yield f"{row.id}\t{data}\t{written}\n"

    with _cursor(dsn) as cursor:
        cursor.execute(
            "CREATE TABLE nodestore_node (id varchar(40) PRIMARY KEY, data text NOT NULL,"
            " timestamp timestamptz NOT NULL)"
        )
        cursor.execute("CREATE INDEX ON nodestore_node (timestamp)")
        cursor.copy_expert("COPY nodestore_node FROM STDIN", _Lines(lines()))
        cursor.execute("VACUUM ANALYZE nodestore_node")
    return Source(dsn, count, size)


def enlarge(small: Source) -> Source:
    """Add the same values under other ids."""
    with _cursor(small.dsn) as cursor:
        cursor.execute(
            "INSERT INTO nodestore_node SELECT md5(id || copy), data, timestamp"
            f" FROM nodestore_node, generate_series(1, {TIMES_LARGER - 1}) AS copy"
        )
        cursor.execute("VACUUM ANALYZE nodestore_node")
    return Source(small.dsn, small.rows * TIMES_LARGER, small.size * TIMES_LARGER)


@contextlib.contextmanager
def _cursor(dsn: str) -> Iterator[Any]:
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


class _Lines:
    """A file of lines that are made when they are read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def read(self, size: int = -1) -> str:
        """Give the next line, nothing at the end."""
        return next(self._lines, "")


def measured(name: str, of: Source, server: LocalServer, scratch: Path, workers: int) -> Run:
    """Run a contestant into a table of its own."""
    store = TablestoreKVStorage("sentry", "bench", server.client_options())
    store.bootstrap(automatic_expiry=False)
    told = {
        "contestant": name,
        "dsn": of.dsn,
        "source": "nodestore_node",
        "options": server.client_options(),
        "table": store.table_name,
        "folder": str(scratch),
        "rows": min(LOOPED, of.rows) if name == "loop" else of.rows,
        "workers": workers,
    }
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("contestant.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
    )
    watched = memory.Watched(process)
    said, _ = process.communicate(json.dumps(told))
    watched.join()
    store.destroy()
    store.close()
    if process.returncode:
        sys.exit(f"bench-migrate: {name} ended with status {process.returncode}")
    return Run(memory=watched.together, **json.loads(said))


def page(
    gathered: Dict[str, str],
    runs: Dict[str, List[Run]],
    larger: Dict[str, Run],
    small: Source,
    large: Source,
    arguments: Any,
) -> str:
    """Write the page of results."""
    mean = small.size / small.rows
    lines = [
        "# How fast `migrate` is",
        "",
        "Out of a real PostgreSQL (without synced writes), into `tablestore-local --memory`, which "
        "share the cores with the client. `COPY` writes the whole table into a file. The loop gets "
        f"and sets one node after the other, {min(LOOPED, small.rows):,} of them; its figures are "
        "for each row, so nothing was scaled but by that.",
        "",
        *facts.lines(gathered),
        f"- table: {small.rows:,} rows, {small.size / 1e6:,.0f} MB of base64 in the column `data`, "
        f"{mean:,.0f} bytes a row",
        f"- `migrate`: {arguments.workers} workers",
        f"- figures: medians of {arguments.rounds} rounds, ratios those of the rounds' ratios "
        "(least to most), memory the most of all (the process with all that it starts)",
        "",
        "| | rows/s | MB/s | client CPU a row | of COPY's rows/s | times the loop's rows/s | "
        "memory |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in CONTESTANTS:
        rate = statistics.median(run.rate for run in runs[name])
        cpu = statistics.median(run.cpu / run.rows for run in runs[name])
        most = max(run.memory for run in runs[name])
        lines.append(
            f"| {name} | {rate:,.0f} | {rate * mean / 1e6:,.1f} | {cpu * 1e6:,.0f} µs | "
            f"{_range(_ratios(runs, name, 'COPY'), 2)} | {_range(_ratios(runs, name, 'loop'), 1)} "
            f"| {most / 1e6:,.0f} MB |"
        )
    lines += [
        "",
        f"From a table of {large.rows:,} rows, {large.size / 1e6:,.0f} MB:",
        "",
        "| | rows/s | memory |",
        "|---|--:|--:|",
        *(
            f"| {name} | {run.rate:,.0f} | {run.memory / 1e6:,.0f} MB |"
            for name, run in larger.items()
        ),
        "",
        "| expected | measured | |",
        "|---|--:|---|",
    ]
    of_copy = statistics.median(_ratios(runs, "carry-over", "COPY"))
    of_loop = statistics.median(_ratios(runs, "carry-over", "loop"))
    most = max(run.memory for name in MIGRATIONS for run in [*runs[name], larger[name]])
    for expected, found, met in (
        (f"carry-over: at least {OF_COPY} of COPY", f"{of_copy:.2f}", of_copy >= OF_COPY),
        (f"carry-over: at least {OF_LOOP} times the loop", f"{of_loop:.1f}", of_loop >= OF_LOOP),
        (
            f"memory: below {MOST_MEMORY / 1e6:.0f} MB, whatever the table's size",
            f"{most / 1e6:,.0f} MB",
            most < MOST_MEMORY,
        ),
    ):
        lines.append(f"| {expected} | {found} | {'met' if met else 'NOT MET'} |")
    return "\n".join(lines)


def _ratios(runs: Dict[str, List[Run]], name: str, other: str) -> List[float]:
    """Give each round's ratio: what disturbs a round disturbs its contestants alike."""
    return [one.rate / two.rate for one, two in zip(runs[name], runs[other])]


def _range(ratios: List[float], digits: int) -> str:
    least, middle, most = min(ratios), statistics.median(ratios), max(ratios)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def _line(run: Run, of: Source) -> str:
    return (
        f"{run.rate:,.0f} rows/s, {run.rate * of.size / of.rows / 1e6:,.0f} MB/s, "
        f"{run.cpu / run.rows * 1e6:,.0f} µs of client CPU a row, {run.memory / 1e6:,.0f} MB"
    )


def _arguments(arguments: Any) -> List[str]:
    given = [
        f"--{name} {getattr(arguments, name)}"
        for name, usual in (("rows", 50_000), ("rounds", 5), ("workers", 4))
        if getattr(arguments, name) != usual
    ]
    return [f"ARGS='{' '.join(given)}'"] if given else []


def _versions() -> List[str]:
    said = subprocess.check_output([str(debian.program("postgres")), "--version"], text=True)
    return [
        f"CPython {platform.python_version()}",
        f"psycopg2 {psycopg2.__version__.split()[0]}",
        f"PostgreSQL {said.split()[2]}",
        facts.go_version(),
    ]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder for the copied file and for checkpoints."""
    with tempfile.TemporaryDirectory(prefix="bench-migrate-") as path:
        yield Path(path)


if __name__ == "__main__":
    main()
