"""A checkpoint in two tables beside the source, for machines whose files do not last."""

import contextlib
import json
import time
import uuid
import zlib
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .checkpoint import CheckpointError, Keeper
from .sources.database import Connect
from .tally import Failure

STATES = "sentry_tablestore_migration"
JOURNAL = "sentry_tablestore_migration_failed"

_TABLES = (
    f"CREATE TABLE IF NOT EXISTS {STATES} (name text PRIMARY KEY, writer text NOT NULL,"
    " state text, saved timestamptz NOT NULL DEFAULT now())",
    f"CREATE TABLE IF NOT EXISTS {JOURNAL} (name text NOT NULL, place bigint NOT NULL,"
    " id text NOT NULL, reason text NOT NULL, detail text NOT NULL, PRIMARY KEY (name, place))",
)
_LOCK_WAIT = 5.0
_ATTEMPTS = 8
_READ_AT_ONCE = 1000


class TableKeeper(Keeper):
    """Rows of two tables in the source's database, which are made there when they are missing.

    An advisory lock keeps a second migration off, as long as the connection lives. Behind a
    PgBouncer such a lock may be worth nothing: therefore a writer also leaves its mark in the row,
    and fails to save when another one has written its own there.

    :param connect: Opens a psycopg2 connection: see `sources.database.connector`.
    :param name: Of this migration.
    """

    def __init__(self, connect: Connect, name: str) -> None:
        self._connect = connect
        self._name = name
        self._writer = uuid.uuid4().hex
        self._connection: Any = None
        self._length = 0

    def describe(self) -> str:
        return f"the checkpoint '{self._name}' in table {STATES}"

    def lock(self) -> None:
        with self._failing():
            self._open()
            with self._connection, self._connection.cursor() as cursor:
                for statement in _TABLES:
                    cursor.execute(statement)
                cursor.execute(
                    f"INSERT INTO {STATES} (name, writer) VALUES (%s, %s)"
                    " ON CONFLICT (name) DO UPDATE SET writer = excluded.writer",
                    [self._name, self._writer],
                )

    def load(self) -> Optional[Dict[str, Any]]:
        with self._failing(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(f"SELECT state FROM {STATES} WHERE name = %s", [self._name])
            row = cursor.fetchone()
        if row is None or row[0] is None:
            return None
        state = json.loads(row[0])
        self._length = state["journal"]
        return state

    def save(self, state: Dict[str, Any], failures: List[Failure]) -> None:
        # A database that restarts takes a while; what is saved is still in the state.
        for attempt in range(_ATTEMPTS):
            try:
                return self._save_once(state, failures)
            except CheckpointError:
                if attempt == _ATTEMPTS - 1 or not self._connection.closed:
                    raise
                time.sleep(0.1 * 2**attempt)
                with contextlib.suppress(CheckpointError), self._failing():
                    self._open()

    def failures(self, start: int, end: int) -> Iterator[Tuple[int, Failure]]:
        place = start
        while place < end:
            with self._failing(), self._connection, self._connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT place, id, reason, detail FROM {JOURNAL}"
                    " WHERE name = %s AND place > %s AND place <= %s ORDER BY place LIMIT %s",
                    [self._name, place, end, _READ_AT_ONCE],
                )
                rows = cursor.fetchall()
            if not rows:
                return
            for place, *failure in rows:
                yield place, Failure(*failure)

    def forget(self) -> None:
        with self._failing(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(f"UPDATE {STATES} SET state = NULL WHERE name = %s", [self._name])
            cursor.execute(f"DELETE FROM {JOURNAL} WHERE name = %s", [self._name])
        self._length = 0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _save_once(self, state: Dict[str, Any], failures: List[Failure]) -> None:
        length = self._length + len(failures)
        state["journal"] = length
        with self._failing(), self._connection, self._connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {STATES} SET state = %s, saved = now() WHERE name = %s AND writer = %s",
                [json.dumps(state), self._name, self._writer],
            )
            if cursor.rowcount != 1:
                raise CheckpointError(f"another migration took over {self.describe()}")
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

    def _open(self) -> None:
        self._connection = self._connect()
        self._connection.autocommit = False
        key = zlib.crc32(f"{STATES} {self._name}".encode())
        end = time.monotonic() + _LOCK_WAIT
        while True:
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
                if cursor.fetchone()[0]:
                    return
            # The server may not know yet that the holder was killed.
            if time.monotonic() > end:
                self._connection.close()
                raise CheckpointError(
                    f"another migration is running with {self.describe()}: one at a time"
                )
            time.sleep(0.1)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        import psycopg2

        try:
            yield
        except psycopg2.Error as error:
            said = " ".join(str(error).split())
            raise CheckpointError(f"{self.describe()} fails: {said}") from error


def _storable(text: str) -> str:
    """Leave out what no text of PostgreSQL can hold."""
    return text.replace("\0", "")
