"""What a nodestore takes on disk, and how each gives back what deleted nodes took."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import services
import tablestore_local


@dataclass(frozen=True)
class Space:
    """Bytes on disk.

    :ivar data: Of the nodes, with indexes.
    :ivar log: Of the log of writes, which is used again and again: PostgreSQL's is not in `data`.
    """

    data: int
    log: int


@dataclass(frozen=True)
class Reclaimed:
    """What became of the space of deleted nodes.

    :ivar how: What gave it back.
    :ivar seconds: What that took, from the end of the last delete on where nobody asked for it.
    """

    how: str
    seconds: float
    space: Space


class PostgreSQLDisk:
    """The table `nodestore_node` of a database, with TOAST and indexes."""

    def __init__(self, postgresql: services.PostgreSQL, database: str) -> None:
        self._postgresql = postgresql
        self._database = database

    def settled(self) -> Space:
        """Measure when all that was written is in its files."""
        self._execute("CHECKPOINT")
        data = int(self._execute("SELECT pg_total_relation_size('nodestore_node')"))
        log = int(self._execute("SELECT sum(size) FROM pg_ls_waldir()"))
        return Space(data, log)

    def reclaim(self, before: Space) -> list[Reclaimed]:
        """Let PostgreSQL do what it does by itself, then what only a person does."""
        return [
            Reclaimed(command, self._timed(f"{command} nodestore_node"), self.settled())
            for command in ("VACUUM", "VACUUM FULL")
        ]

    def settings(self) -> str:
        """Tell the settings that decide, as the server has them."""
        names = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "autovacuum")
        shown = [f"{name}={self._execute(f'SHOW {name}')}" for name in names]
        return ", ".join(shown)

    def version(self) -> str:
        """Tell the server's version."""
        return f"PostgreSQL {self._execute('SHOW server_version').split()[0]}"

    def _timed(self, statement: str) -> float:
        begin = time.monotonic()
        self._execute(statement)
        return time.monotonic() - begin

    def _execute(self, statement: str) -> str:
        return self._postgresql.execute(self._database, statement)


class LocalDisk:
    """The data of a `tablestore-local`, as it tells itself in its metrics.

    Not in it is the ballast, a file that reserves room for a full disk: 64 MB whatever there is.

    :param patience: Seconds to wait for space to come back.
    :param rest: Seconds without a change after which no more is expected: the server waits between
        two compactions, four times as long as the first one took.
    """

    def __init__(
        self, server: tablestore_local.TablestoreLocal, patience: float, rest: float = 20
    ) -> None:
        self._server = server
        self._patience = patience
        self._rest = rest

    def settled(self) -> Space:
        """Measure when nothing has changed for three seconds."""
        return self._unchanged(lambda space: True, 3)[1]

    def reclaim(self, before: Space) -> list[Reclaimed]:
        """Wait until a quarter of the data at least is gone and nothing more goes."""
        begin = time.monotonic()
        changed, space = self._unchanged(lambda space: space.data < 0.75 * before.data, self._rest)
        return [Reclaimed("by itself", changed - begin, space)]

    def _unchanged(self, enough: Callable[[Space], bool], rest: float) -> tuple[float, Space]:
        """Wait for so many seconds without a change while `enough` holds, if it ever does.

        :returns: When it changed last, and the space.
        """
        begin = changed = time.monotonic()
        last = self._now()
        while True:
            time.sleep(0.1)
            now, space = time.monotonic(), self._now()
            if space != last:
                changed, last = now, space
            if now - changed >= rest and (enough(space) or now - begin >= self._patience):
                return changed, space

    def _now(self) -> Space:
        metrics = self._server.metrics()
        return Space(
            int(metrics["tablestore_local_data_bytes"]),
            int(metrics["tablestore_local_store_wal_bytes"]),
        )


Disk = PostgreSQLDisk | LocalDisk


def sync_microseconds() -> float:
    """Measure what it takes to have 4 KB on the disk below the temporary folder (fdatasync)."""
    with tempfile.TemporaryFile() as file:
        times = []
        for _ in range(300):
            begin = time.monotonic()
            os.write(file.fileno(), b"x" * 4096)
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - begin)
    return 1e6 * statistics.median(times)
