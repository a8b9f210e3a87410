"""A checkpoint in three tables beside the source, for machines whose files do not last."""

import contextlib
import functools
import json
import threading
import time
import uuid
import zlib
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .checkpoint import CheckpointError, Keeper
from .sources.database import Connect
from .tally import Failure

STATES = "sentry_tablestore_migration"
JOURNAL = "sentry_tablestore_migration_failed"
SENT = "sentry_tablestore_migration_sent"

_TABLES = (
    f"CREATE TABLE IF NOT EXISTS {STATES} (name text PRIMARY KEY, writer text NOT NULL,"
    " state text, saved timestamptz NOT NULL DEFAULT now())",
    f"CREATE TABLE IF NOT EXISTS {JOURNAL} (name text NOT NULL, place bigint NOT NULL,"
    " id text NOT NULL, reason text NOT NULL, detail text NOT NULL, PRIMARY KEY (name, place))",
    f"CREATE TABLE IF NOT EXISTS {SENT} (name text NOT NULL, worker integer NOT NULL,"
    " rows text NOT NULL, PRIMARY KEY (name, worker))",
)
# Seconds in which a migration that runs saves something. One that was killed may leave its lock: at
# a server that does not know yet, or behind a PgBouncer, where it belongs to the pooled connection.
_WATCHED = 30.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_READ_AT_ONCE = 1000


class TableKeeper(Keeper):
    """Rows of three tables in the source's database, which are made there when they are missing.

    An advisory lock keeps a second migration off, as long as the connection lives. It may be lost
    while its migration runs, and stay when that is gone. Therefore a writer also leaves its mark in
    the row, and when another one has written its own there it fails before it sends or saves
    anything more: that alone is what makes it safe to take over.

    :param connect: Opens a psycopg2 connection: see `sources.database.connector`.
    :param name: Of this migration.
    """

    def __init__(self, connect: Connect, name: str) -> None:
        self._connect = connect
        self._name = name
        self._writer = uuid.uuid4().hex
        self._connection: Any = None
        # Workers keep what they send while another one saves.
        self._lock = threading.RLock()
        self._length = 0
        self._patience = 0.0
        self._stop = threading.Event()

    def describe(self) -> str:
        return f"the checkpoint '{self._name}' in table {STATES}"

    def endure(self, patience: float, stop: threading.Event) -> None:
        self._patience, self._stop = patience, stop

    def lock(self) -> str:
        self._open()
        with self._transaction() as cursor:
            for statement in _TABLES:
                cursor.execute(statement)
        warning = self._watch()
        with self._transaction() as cursor:
            cursor.execute(
                f"INSERT INTO {STATES} (name, writer) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET writer = excluded.writer",
                [self._name, self._writer],
            )
        return warning

    def load(self) -> Optional[Dict[str, Any]]:
        with self._transaction() as cursor:
            cursor.execute(f"SELECT state FROM {STATES} WHERE name = %s", [self._name])
            row = cursor.fetchone()
        if row is None or row[0] is None:
            return None
        state = json.loads(row[0])
        self._length = state["journal"]
        return state

    def save(self, state: Dict[str, Any], failures: List[Failure]) -> None:
        self._lastingly(lambda: self._save(state, failures))

    def failures(self, start: int, end: int) -> Iterator[Tuple[int, Failure]]:
        place = start
        while place < end:
            rows = self._lastingly(functools.partial(self._failures, place, end))
            if not rows:
                return
            for place, *failure in rows:
                yield place, Failure(*failure)

    def forget(self) -> None:
        with self._transaction() as cursor:
            cursor.execute(f"UPDATE {STATES} SET state = NULL WHERE name = %s", [self._name])
            cursor.execute(f"DELETE FROM {JOURNAL} WHERE name = %s", [self._name])
        self._length = 0

    def send(self, worker: int, text: str) -> None:
        self._lastingly(lambda: self._send(worker, text))

    def sent(self) -> List[str]:
        with self._transaction() as cursor:
            cursor.execute(f"SELECT rows FROM {SENT} WHERE name = %s", [self._name])
            return [text for (text,) in cursor.fetchall()]

    def forget_sent(self) -> None:
        self._lastingly(self._forget_sent)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _failures(self, after: int, end: int) -> List[Any]:
        with self._transaction() as cursor:
            cursor.execute(
                f"SELECT place, id, reason, detail FROM {JOURNAL}"
                " WHERE name = %s AND place > %s AND place <= %s ORDER BY place LIMIT %s",
                [self._name, after, end, _READ_AT_ONCE],
            )
            return list(cursor.fetchall())

    def _save(self, state: Dict[str, Any], failures: List[Failure]) -> None:
        length = self._length + len(failures)
        state["journal"] = length
        with self._transaction() as cursor:
            cursor.execute(
                f"UPDATE {STATES} SET state = %s, saved = now() WHERE name = %s AND writer = %s",
                [json.dumps(state), self._name, self._writer],
            )
            self._check_writer(cursor)
            # Places beyond the state's are of a saving whose answer was lost.
            cursor.execute(
                f"DELETE FROM {JOURNAL} WHERE name = %s AND place > %s", [self._name, self._length]
            )
            for place, failure in enumerate(failures, self._length + 1):
                cursor.execute(
                    f"INSERT INTO {JOURNAL} VALUES (%s, %s, %s, %s, %s)",
                    [self._name, place, *(_storable(part) for part in failure)],
                )
        self._length = length

    def _send(self, worker: int, text: str) -> None:
        with self._transaction() as cursor:
            # It need not outlive the server, so nothing waits for a disk.
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(
                f"INSERT INTO {SENT} SELECT name, %s, %s FROM {STATES}"
                " WHERE name = %s AND writer = %s"
                " ON CONFLICT (name, worker) DO UPDATE SET rows = excluded.rows",
                [worker, text, self._name, self._writer],
            )
            self._check_writer(cursor)

    def _forget_sent(self) -> None:
        with self._transaction() as cursor:
            cursor.execute(f"DELETE FROM {SENT} WHERE name = %s", [self._name])

    def _check_writer(self, cursor: Any) -> None:
        if cursor.rowcount != 1:
            raise CheckpointError(f"another migration took over {self.describe()}")

    def _lastingly(self, work: Callable[[], Any]) -> Any:
        """Do something again after the connection was lost: a database that restarts takes a
        while, and what is to be saved is still at hand.
        """
        end = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        with self._lock:
            while True:
                try:
                    if self._connection.closed:
                        self._open()
                    result = work()
                    self.trouble = ""
                    return result
                except CheckpointError as error:
                    if not _is_temporary(error) or time.monotonic() > end or self._stop.is_set():
                        raise
                    self.trouble = str(error)
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._connection.close()

    def _open(self) -> None:
        with self._failing():
            self._connection = self._connect()
        self._connection.autocommit = False
        self._is_locked()

    def _is_locked(self) -> bool:
        """Whether this connection has the lock, now if not before."""
        key = zlib.crc32(f"{STATES} {self._name}".encode())
        with self._transaction() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
            return bool(cursor.fetchone()[0])

    def _watch(self) -> str:
        """Wait for the lock, or until it is clear that nobody works under it; tell the latter."""
        at_first = self._saved()
        end = time.monotonic() + _WATCHED
        while not self._is_locked():
            if self._saved() != at_first:
                raise CheckpointError(
                    f"another migration is running with {self.describe()}: one at a time"
                )
            if time.monotonic() > end:
                return (
                    f"Somebody holds the lock of {self.describe()} and has saved nothing for "
                    f"{_WATCHED:.0f} seconds: taking over. If that is another migration after all, "
                    "it ends by itself."
                )
            time.sleep(0.1)
        return ""

    def _saved(self) -> Any:
        with self._transaction() as cursor:
            cursor.execute(f"SELECT saved FROM {STATES} WHERE name = %s", [self._name])
            return cursor.fetchone()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._lock, self._failing(), self._connection, self._connection.cursor() as cursor:
            yield cursor

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        import psycopg2

        try:
            yield
        except psycopg2.Error as error:
            said = " ".join(str(error).split())
            raise CheckpointError(f"{self.describe()} fails: {said}") from error


def _is_temporary(error: CheckpointError) -> bool:
    """Whether the database may be back later."""
    import psycopg2

    return isinstance(error.__cause__, (psycopg2.OperationalError, psycopg2.InterfaceError))


def _storable(text: str) -> str:
    """Leave out what no text of PostgreSQL can hold."""
    return text.replace("\0", "")
