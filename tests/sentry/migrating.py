"""A migration under fire: killed, interrupted and resumed while a Sentry goes on working."""

import io
import itertools
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import environment
import installation
import memory
import nodestore_rows
import psycopg2
from installation import Installation
from sentry_tablestore.kvstore.imported import ImportedNode
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
from services import PostgreSQL, Redis
from tablestore_local import TablestoreLocal

# What `verify` counts nodes as.
COMPARED = (
    "same",
    "newer",
    "expired",
    "deleted",
    "repaired",
    "missing",
    "different",
    "unreadable",
    "pickle",
)
DJANGO = "sentry.nodestore.django.DjangoNodeStorage"
_COPIED_AT_ONCE = 2000
_NOT_READ = (nodestore_rows.EXPIRED, nodestore_rows.BROKEN, nodestore_rows.DELETED)


class Database:
    """The `nodestore_node` of an installation's database."""

    def __init__(self, postgresql: PostgreSQL, name: str) -> None:
        self._parameters = {"host": str(postgresql.folder), "user": "postgres", "dbname": name}

    def fill(self, count: int, now: int) -> None:
        """Write so many of `nodestore_rows`."""
        rows = nodestore_rows.rows(count, now)
        with self._cursor() as cursor:
            for _ in range(0, count, _COPIED_AT_ONCE):
                lines = io.StringIO()
                for row in itertools.islice(rows, _COPIED_AT_ONCE):
                    lines.write(f"{row.id}\t{row.data}\t{_moment(row.written)}\n")
                lines.seek(0)
                cursor.copy_expert("COPY nodestore_node (id, data, timestamp) FROM STDIN", lines)
            cursor.execute("ANALYZE nodestore_node")

    def count(self) -> int:
        """Count the rows."""
        return int(self._ask("SELECT count(*) FROM nodestore_node"))

    def counted(self, checkpoint: Path, ids: list[str]) -> int:
        """Tell how many of these ids lie behind the cursors of a checkpoint.

        Which are those of the rows that the runs so far have counted.
        """
        parts = json.loads(checkpoint.read_text())["parts"] if checkpoint.exists() else []
        counted = 0
        with self._cursor() as cursor:
            for after, upto, place, done in parts:
                limits, values = "true", [ids]
                for operator, id in ((">", after), ("<=", upto if done else place)):
                    if id is not None:
                        limits += f" AND id {operator} %s"
                        values.append(id)
                if done or place is not None:
                    cursor.execute(
                        f"SELECT count(*) FROM unnest(%s::varchar[]) AS a (id) WHERE {limits}",
                        values,
                    )
                    counted += cursor.fetchone()[0]
        return counted

    def delete(self, ids: list[str]) -> int:
        """Delete rows, and tell how many there were."""
        with self._cursor() as cursor:
            cursor.execute("DELETE FROM nodestore_node WHERE id = ANY(%s)", [ids])
            return int(cursor.rowcount)

    def _ask(self, statement: str) -> Any:
        with self._cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        connection = psycopg2.connect(**self._parameters)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


@dataclass
class Ended:
    """One run of `sentry-tablestore migrate`.

    :ivar status: Its exit status, negative when a signal ended it.
    :ivar seconds: That it took.
    :ivar alone: Most resident memory of its process, bytes.
    :ivar together: The same with the processes that it starts: one that reads Sentry's settings and
        then ends, and with --allow-pickle one that reads pickles.
    """

    status: int
    stdout: str
    stderr: str
    seconds: float
    alone: int
    together: int

    def counts(self) -> dict[str, int]:
        """Give the numbers of the report: read, moved and every reason."""
        found = re.search(r": ([\d,]+) rows read", self.stdout)
        assert found, self.stdout + self.stderr
        counts = {"read": _number(found.group(1))}
        for title, number, rest in re.findall(
            r"^  (moved|skipped|failed) +([\d,]+)  (.*)$", self.stdout, re.MULTILINE
        ):
            counts[title if title == "moved" else rest.split(":")[0]] = _number(number)
        return counts


@dataclass
class Migrate:
    """`sentry-tablestore migrate` in an installation, with one checkpoint."""

    sentry: Installation
    checkpoint: Path
    runs: list[Ended] = field(default_factory=list)

    def run(
        self,
        *arguments: str,
        ended_by: signal.Signals | None = None,
        at: int = 0,
        after: float = 0,
        meanwhile: AbstractContextManager[Any] | None = None,
    ) -> Ended:
        """Run it to its end, or until a signal ends it.

        :param at: Rows that its checkpoint must count before the signal.
        :param after: Seconds from then on.
        :param meanwhile: Entered when its checkpoint is there or goes on, left when it has ended.
        """
        command = [str(environment.HOME / "bin" / "sentry-tablestore"), "migrate"]
        command += ["--checkpoint", str(self.checkpoint), *arguments]
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            env={
                **os.environ,
                "SENTRY_CONF": str(self.sentry.folder),
                "PYTHONPATH": str(environment.HERE),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watched = memory.Watched(process)
        with ExitStack() as running:
            if meanwhile is not None:
                self._wait_until_it_moves(process)
                running.enter_context(meanwhile)
            if ended_by is not None:
                self._wait_for_rows(process, at)
                time.sleep(after)
                begun = time.monotonic()
                if process.poll() is None:
                    process.send_signal(ended_by)
            stdout, stderr = process.communicate(timeout=550)
            seconds = time.monotonic() - begun
        watched.join()
        memories = watched.alone, watched.together
        self.runs.append(Ended(process.returncode, stdout, stderr, seconds, *memories))
        return self.runs[-1]

    def _wait_until_it_moves(self, process: "subprocess.Popen[str]") -> None:
        before = self._saved()
        while process.poll() is None and self._saved() == before:
            time.sleep(0.01)

    def _wait_for_rows(self, process: "subprocess.Popen[str]", count: int) -> None:
        while process.poll() is None and rows_counted(self.checkpoint) < count:
            time.sleep(0.01)

    def _saved(self) -> Any:
        try:
            return self.checkpoint.stat().st_mtime_ns
        except FileNotFoundError:
            return None


@dataclass
class Switched:
    """A Sentry whose nodestore is Tablestore, with its old one behind it.

    :ivar rows: That the old nodestore has: the first so many of `nodestore_rows`.
    :ivar now: Of these rows, ms since 1970.
    :ivar folder: For files of a test.
    """

    sentry: Installation
    database: Database
    store: TablestoreKVStorage
    rows: int
    now: int
    folder: Path


@contextmanager
def switched(
    name: str,
    rows: int,
    folder: Path,
    postgresql: PostgreSQL,
    redis: Redis,
    tablestore: TablestoreLocal,
) -> Iterator[Switched]:
    """Make a Sentry that has just been switched, with rows in both nodestores."""
    now = int(time.time() * 1000)
    nodestore = tablestore.nodestore(
        name,
        read_through={"backend": DJANGO, "options": {}, "copy": False},
        default_ttl=timedelta(days=nodestore_rows.LIFE_DAYS),
        automatic_expiry=True,
        compression="zlib",
    )
    options = dict(nodestore.options)
    del options["read_through"]
    parameters = {
        "instance": options.pop("instance"),
        "table_name": options.pop("table"),
        "default_ttl": options.pop("default_ttl"),
        "compression": options.pop("compression"),
        "automatic_expiry": options.pop("automatic_expiry"),
    }
    with installation.database(postgresql, name) as database_name:
        database = Database(postgresql, database_name)
        database.fill(rows, now)
        home = folder / "sentry"
        # None of the databases of Redis that conftest.py counts up to.
        sentry = Installation(home, database_name, nodestore, postgresql, redis, 15)
        sentry.run("upgrade", "--noinput", "--with-nodestore")
        store = TablestoreKVStorage(client_options=options, **parameters)
        fill_target(store, rows, now)
        yield Switched(sentry, database, store, rows, now, folder)
        store.close()


def fill_target(store: TablestoreKVStorage, count: int, now: int) -> None:
    """Put into the target what it has of the rows before the migration."""
    nodes = []
    for row in nodestore_rows.rows(count, now):
        payload = b'{"in target":1,"node":"%s"}' % row.id.encode()
        if row.kind == nodestore_rows.SAME:
            nodes.append(ImportedNode(row.id, row.payload, row.written))
        elif row.kind == nodestore_rows.NEWER:
            nodes.append(ImportedNode(row.id, payload, row.written + 1))
        elif row.kind == nodestore_rows.OLDER:
            nodes.append(ImportedNode(row.id, payload, row.written - 1))
    for at in range(0, len(nodes), 1000):
        assert set(store.import_many(nodes[at : at + 1000])) == {"written"}


def write_readable(path: Path, count: int, now: int) -> None:
    """Write the ids that Sentry must be able to read at every moment."""
    with path.open("w") as file:
        for row in nodestore_rows.rows(count, now):
            if row.kind not in _NOT_READ:
                file.write(json.dumps([row.id, row.id]) + "\n")


def ids(count: int, now: int, kind: str) -> list[str]:
    """Give the ids of the rows of one kind."""
    return [row.id for row in nodestore_rows.rows(count, now) if row.kind == kind]


def differences(
    store: TablestoreKVStorage, count: int, now: int, own: set[str], pickles: bool
) -> list[str]:
    """Compare every node in the table with what must be there; say what is wrong.

    :param own: Ids that Sentry wrote into the table itself.
    :param pickles: Whether pickles were converted.
    """
    wanted = {row.id: n for n, row in enumerate(nodestore_rows.rows(count, now))}
    wrong: list[str] = []
    start: str | None = ""
    while start is not None:
        nodes, start = store.scan(start, 500, values=True)
        for node in nodes:
            if node.id in own:
                continue
            if node.id not in wanted:
                wrong.append(f"{node.id} is in the table and in no source")
                continue
            row = nodestore_rows.row(wanted.pop(node.id), now)
            problem = _problem(row, node, pickles)
            if problem:
                wrong.append(f"{row.kind} {node.id}: {problem}")
    absent = {nodestore_rows.EXPIRED, nodestore_rows.BROKEN, nodestore_rows.DELETED}
    if not pickles:
        absent.add(nodestore_rows.PICKLE)
    missing = Counter(nodestore_rows.row(n, now).kind for n in wanted.values())
    wrong += [f"{missing[kind]} {kind} are missing" for kind in missing if kind not in absent]
    return wrong


def _problem(row: nodestore_rows.Row, node: Any, pickles: bool) -> str:
    kinds = nodestore_rows
    if row.kind in (kinds.EXPIRED, kinds.BROKEN, kinds.DELETED):
        return "must not be there"
    if row.kind == kinds.NEWER:
        return (
            "" if b'"in target"' in node.value and node.written == row.written + 1 else "replaced"
        )
    if node.written != row.written:
        return f"written {node.written}, not {row.written}"
    if row.kind == kinds.PICKLE:
        if not pickles:
            return "must not be there"
        # The pool's events are JSON with sorted keys, and so is what Sentry makes of a pickle,
        # with the key that was put last in its place.
        value = json.loads(node.value)
        compact = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
        same = compact == node.value and value == json.loads(_unpickled(row))
        return "" if same else "another value"
    return "" if node.value == row.payload else "another payload"


def _unpickled(row: nodestore_rows.Row) -> bytes:
    import pickle

    return json.dumps(pickle.loads(row.payload)).encode()


def rows_counted(checkpoint: Path) -> int:
    """Give the rows that a checkpoint counts; 0 where there is none."""
    if not checkpoint.exists():
        return 0
    counts = json.loads(checkpoint.read_text())["counts"]
    return int(counts["moved"] + sum(counts["skipped"].values()) + sum(counts["failed"].values()))


def _moment(milliseconds: int) -> str:
    # With microseconds, as PostgreSQL has them: the target keeps whole milliseconds.
    seconds, rest = divmod(milliseconds, 1000)
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{base}.{rest:03}987+00"


def _number(text: str) -> int:
    return int(text.replace(",", ""))
