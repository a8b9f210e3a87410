"""Sentry's `nodestore_node`, read straight from PostgreSQL."""

import contextlib
import hashlib
import threading
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import source
from .copy_binary import Copied, milliseconds
from .database import Connect
from .source import Page, Part, Sample, SourceError, SourceRow, SourceUnavailableError

TABLE = "nodestore_node"

# Of base64 text: a zlib stream of the 64 MiB that a node may have, when it cannot be compressed.
_LARGEST = 96 << 20
_SAMPLED_BLOCKS = 500
# Each looks at a quarter of the blocks of the one before, and so at a damaged one less likely.
_SAMPLES = 5

# Object identifiers of PostgreSQL's types.
_TEXT = (25, 1043)
_TIMESTAMPTZ = (1184,)

# A file's block that the disk does not give, and a file that is not there. Both count as
# OperationalError, and no waiting mends them.
_DISK_ERRORS = ("58030", "58P01")

# For one statement: what is in an index is read there, and of the table only the rows asked for.
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; "

# Whole milliseconds, as floor. Before PostgreSQL 14 extract() gives a double, which holds
# microseconds exactly only after rounding.
_WRITTEN = (
    "CASE WHEN isfinite(timestamp)"
    " THEN round(extract(epoch FROM timestamp) * 1000000)::bigint / 1000 ELSE -1 END"
)


class PostgreSQLSource(source.Source):
    """A table of the shape of Sentry's `nodestore_node`.

    :param connect: Opens a psycopg2 connection: see `database.connector`.
    :param table: Its name, with a schema where needed.
    :param since: Only rows written at this moment or later, ms since 1970; None all.
    :param until: Only rows written before this moment, ms since 1970; None all.
    :param lifetime: Values of rows older than this are not read (EXPIRED), ms; 0 reads all.
    """

    encoding = "base64+zlib"

    def __init__(
        self,
        connect: Connect,
        table: str = TABLE,
        since: Optional[int] = None,
        until: Optional[int] = None,
        lifetime: int = 0,
    ) -> None:
        self.connect = connect
        self.table = table
        self.since = since
        self.until = until
        self.lifetime = lifetime

    def check(self) -> None:
        with contextlib.closing(self.reader()) as reader:
            reader.check()

    def identity(self) -> Dict[str, Any]:
        with contextlib.closing(self.reader()) as reader:
            where = reader.where()
        server = f"{where.get('host', '')}:{where.get('port', '')}"
        return {
            "kind": "postgresql",
            "server": hashlib.sha256(server.encode("utf-8")).hexdigest()[:16],
            "database": where.get("dbname", ""),
            "table": self.table,
            "since": self.since,
            "until": self.until,
        }

    def describe(self) -> str:
        return f"table {self.table} of PostgreSQL"

    def parts(self, count: int) -> List[Part]:
        with contextlib.closing(self.reader()) as reader:
            ids, _ = reader.sampled_ids()
        # The server sorted them, by the collation of the column: nothing here compares ids.
        bounds = [ids[len(ids) * n // count] for n in range(1, count)] if len(ids) > count else []
        edges: List[Optional[str]] = [None, *dict.fromkeys(bounds), None]
        return [Part(after, upto) for after, upto in zip(edges, edges[1:])]

    def sample(self, rows: int) -> Sample:
        with contextlib.closing(self.reader()) as reader:
            ids, total = reader.sampled_ids()
            rows = min(rows, len(ids))
            chosen = [ids[n * len(ids) // rows] for n in range(rows)]
            return Sample(chosen, total, reader.oldest())

    def reader(self) -> "PostgreSQLReader":
        return PostgreSQLReader(self)


class PostgreSQLReader(source.Reader):
    """One connection, opened at the first use and again after it was lost.

    Every statement stands alone: nothing of the session is relied on, so that PgBouncer may be in
    between, and no snapshot lives longer than a page.
    """

    def __init__(self, of: PostgreSQLSource) -> None:
        self._source = of
        self._connection: Any = None
        self._lock = threading.Lock()
        self._page: List[str] = []

    def page(self, part: Part, cursor: Optional[str], max_rows: int, max_bytes: int) -> Page:
        between, parameters = _between(part, cursor)
        part_of_table = f"FROM {{table}} WHERE {self._limits()} AND {between} ORDER BY id"
        # The server knows the size of a value without reading it, and stops at the limit.
        sized = (
            "SELECT id, data, timestamp, sum(octet_length(data)) OVER (ORDER BY id"
            " ROWS UNBOUNDED PRECEDING) - octet_length(data) AS before"
            f" {part_of_table} LIMIT {max_rows:d}"
        )
        try:
            rows = self._rows(
                f"({sized}) AS page", f"before < {max_bytes:d} ORDER BY id", parameters
            )
        except _UnreadableError:
            return self._page_row_by_row(part, cursor, min(max_rows, source.AT_ONCE))
        self._page = [row.id for row in rows]
        return Page(rows, rows[-1].id if rows else None)

    def _page_row_by_row(self, part: Part, cursor: Optional[str], max_rows: int) -> Page:
        """Read a page of which PostgreSQL cannot read some row: that one alone is unreadable."""
        where, parameters = _between(part, cursor)
        # By the ids alone the index has them, and PostgreSQL need not look at the rows, unless they
        # are newer than the last vacuum.
        listed = f"SELECT id FROM {{table}} WHERE {where} ORDER BY id LIMIT {max_rows:d}"
        try:
            ids = [id for (id,) in self._all(_BY_INDEX + listed, parameters)]
        except _UnreadableError as error:
            raise SourceError(
                f"table {self._source.table} has a damaged page, and no vacuum since its rows were "
                f"written, so that they cannot be told from the others: {error}. Restore it, or, "
                "with a copy of the database's files at hand, have a superuser give its rows up: "
                "`SET zero_damaged_pages = on; VACUUM` of this table"
            ) from error
        rows = [self._one(id) for id in ids]
        self._page = []
        # Gone meanwhile, or outside of the times that are asked for.
        there = [row for row in rows if row.trouble != source.GONE]
        return Page(there, ids[-1] if ids else None)

    def changed(self, rows: List[SourceRow]) -> List[SourceRow]:
        if not rows:
            return []
        ids = [row.id for row in rows]
        if 2 * len(rows) >= len(self._page) and set(ids) <= set(self._page):
            # Most of the page that was read last: the index gives that for a tenth of what it
            # takes to look up each row.
            where = f"{self._limits()} AND id >= %s AND id <= %s"
            limits = [self._page[0], self._page[-1]]
        else:
            where, limits = "id = ANY(%s::varchar[])", [ids]
        try:
            written = {
                _text(id): milliseconds(timestamp)
                for id, timestamp in self._copied(
                    f"SELECT id, timestamp FROM {{table}} WHERE {where}", limits
                )
            }
        except _UnreadableError:
            # It looked at other rows on the way.
            looked_up = f"SELECT id, {_WRITTEN} FROM {{table}} WHERE id = ANY(%s::varchar[])"
            written = dict(self._all(_BY_INDEX + looked_up, [ids]))
        return self.fetch([row.id for row in rows if written.get(row.id) != row.written])

    def fetch(self, ids: Sequence[str]) -> List[SourceRow]:
        """Read rows by their ids, in the order of these; GONE where there is none."""
        if not ids:
            return []
        try:
            rows = self._rows("{table}", "id = ANY(%s::varchar[])", [list(ids)])
        except _UnreadableError:
            return [self._one(id) for id in ids]
        found = {row.id: row for row in rows}
        return [found.get(id) or _gone(id) for id in ids]

    def pieces(self, ids: Sequence[str], max_bytes: int) -> List[List[str]]:
        try:
            sizes = dict(
                self._all(
                    "SELECT id, octet_length(data) FROM {table} WHERE id = ANY(%s::varchar[])",
                    [list(ids)],
                )
            )
        except _UnreadableError:
            return [[id] for id in ids]
        pieces: List[List[str]] = []
        size = 0
        for id in ids:
            size += sizes.get(id) or 0
            if not pieces or size > max_bytes or len(pieces[-1]) == source.AT_ONCE:
                pieces.append([])
                size = sizes.get(id) or 0
            pieces[-1].append(id)
        return pieces

    def check(self) -> None:
        """Refuse a table that is not like `nodestore_node`."""
        table = self._source.table
        with self._cursor() as cursor:
            cursor.execute(self._named("SELECT id, data, timestamp FROM {table} LIMIT 0"))
            types = [column[1] for column in cursor.description]
        wanted = (("id", _TEXT), ("data", _TEXT), ("timestamp", _TIMESTAMPTZ))
        wrong = [name for (name, right), type in zip(wanted, types) if type not in right]
        if wrong:
            raise SourceError(
                f"table {table} is no nodestore: its column {' and '.join(wrong)} has another type "
                "than in Sentry's nodestore_node (id varchar, data text, timestamp timestamptz)"
            )
        kind, unique = self._all(
            "SELECT c.relkind::text, EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a"
            " ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid"
            " AND i.indisunique AND i.indnatts = 1 AND i.indpred IS NULL AND a.attname = 'id')"
            " FROM pg_class c WHERE c.oid = '{table}'::regclass",
            [],
        )[0]
        if kind in ("r", "p") and not unique:
            raise SourceError(
                f"table {table} has no primary key or unique index on id, so it cannot be read "
                "page by page"
            )

    def where(self) -> Dict[str, str]:
        """Tell which server and database this is: host, port, dbname."""
        with self._failing():
            return dict(self._connected().get_dsn_parameters())

    def oldest(self) -> int:
        """Tell the write time of the oldest row, ms since 1970; 0 when there is none, or it cannot
        be told.
        """
        try:
            rows = self._all(
                f"SELECT {_WRITTEN} FROM (SELECT min(timestamp) AS timestamp"
                f" FROM {{table}} WHERE {self._limits()}) AS n WHERE n.timestamp IS NOT NULL",
                [],
            )
        except _UnreadableError:
            return 0
        return max(0, rows[0][0]) if rows else 0

    def sampled_ids(self) -> Tuple[List[str], int]:
        """Give ids from all over the table in its order, and an estimate of its rows (-1: none).

        Of a table with damaged pages it looks at fewer and fewer pages, and may give up.
        """
        (blocks,) = self._all(
            "SELECT pg_relation_size('{table}'::regclass) / current_setting('block_size')::int", []
        )[0]
        if not blocks:  # a view, a partitioned table, or nothing
            return [], -1 if self._all("SELECT 1 FROM {table} LIMIT 1", []) else 0
        percent = min(100.0, 100.0 * _SAMPLED_BLOCKS / blocks)
        for _ in range(_SAMPLES):
            try:
                ids = self._all(
                    f"SELECT id FROM {{table}} TABLESAMPLE SYSTEM ({percent!r})"
                    f" WHERE {self._limits()} ORDER BY id",
                    [],
                )
                return [id for (id,) in ids], int(len(ids) * 100 / percent)
            except _UnreadableError:
                percent /= 4
        return [], -1

    def cancel(self) -> None:
        with self._lock:
            connection = self._connection
        if connection is not None:
            try:
                connection.cancel()
            except Exception:  # noqa: BLE001 - it was lost or closed, which ends the call as well
                pass

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _one(self, id: str) -> SourceRow:
        """Read one row of a page that cannot be read as a whole."""
        try:
            rows = self._rows("{table}", f"id = %s AND {self._limits()}", [id])
        except _UnreadableError as error:
            detail = str(error)
            try:
                found = self._all(f"SELECT {_WRITTEN} FROM {{table}} WHERE id = %s", [id])
            except _UnreadableError:
                found = []
            written = found[0][0] if found else 0
            return SourceRow(id, None, written, trouble=source.UNREADABLE, detail=detail)
        return rows[0] if rows else _gone(id)

    def _limits(self) -> str:
        """Give the condition of all rows that are asked for."""
        limits = ["true"]
        if self._source.since is not None:
            limits.append(f"timestamp >= {_moment(self._source.since)}")
        if self._source.until is not None:
            limits.append(f"timestamp < {_moment(self._source.until)}")
        return " AND ".join(limits)

    def _rows(self, table: str, where: str, parameters: List[Any]) -> List[SourceRow]:
        readable = f"octet_length(data) <= {_LARGEST}"
        if self._source.lifetime:
            oldest = int(time.time() * 1000) - self._source.lifetime
            readable += f" AND timestamp >= {_moment(oldest)}"
        return [
            _row(*columns)
            for columns in self._copied(
                f"SELECT id, timestamp, octet_length(data) > {_LARGEST},"
                f" CASE WHEN {readable} THEN data END FROM {table} WHERE {where}",
                parameters,
            )
        ]

    def _copied(self, query: str, parameters: List[Any]) -> List[List[Any]]:
        """Give the columns of a query's rows by COPY, which costs a third of what a cursor does,
        and less in its binary form than as text."""
        copied = Copied()
        with self._cursor() as cursor:
            statement = self._named(f"COPY ({query}) TO STDOUT (FORMAT binary)")
            cursor.copy_expert(cursor.mogrify(statement, parameters), copied)
        try:
            return list(copied.rows())
        except ValueError as error:
            raise SourceError(f"table {self._source.table}: COPY gave what {error}") from error

    def _all(self, statement: str, parameters: List[Any]) -> List[Tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(self._named(statement), parameters)
            return list(cursor.fetchall())

    def _named(self, statement: str) -> str:
        """Put the table's name into a statement, quoted."""
        from psycopg2.extensions import quote_ident

        quoted = [quote_ident(name, self._connected()) for name in self._source.table.split(".")]
        return statement.replace("{table}", ".".join(quoted))

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self._failing(), self._connected().cursor() as cursor:
            yield cursor

    def _connected(self) -> Any:
        if self._connection is None:
            connection = self._source.connect()
            with self._lock:
                self._connection = connection
        return self._connection

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Turn psycopg2's errors into those of sources; a lost connection is opened again later."""
        import psycopg2

        try:
            yield
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if error.pgcode in _DISK_ERRORS:
                raise _UnreadableError(_said(error)) from error
            self.close()
            raise SourceUnavailableError(_said(error)) from error
        except (psycopg2.DataError, psycopg2.InternalError) as error:
            raise _UnreadableError(_said(error)) from error
        except psycopg2.Error as error:
            self.close()
            # What a connection is to psycopg2 that ends within a COPY, such as by a restart: an
            # error of no class, and not PostgreSQL's, which all have a code.
            if type(error) is psycopg2.DatabaseError and error.pgcode is None:
                raise SourceUnavailableError(_said(error)) from error
            raise SourceError(f"table {self._source.table}: {_said(error)}") from error


class _UnreadableError(SourceError):
    """PostgreSQL fails on a row itself: a damaged page or TOAST value."""


def _row(id: bytes, timestamp: Optional[bytes], large: bytes, data: Optional[bytes]) -> SourceRow:
    name, written = _text(id), milliseconds(timestamp)
    if written < 0:
        return SourceRow(name, None, 0, trouble=source.UNDATED)
    if data is not None:
        return SourceRow(name, data, written)
    return SourceRow(
        name, None, written, trouble=source.TOO_LARGE if large == b"\x01" else source.EXPIRED
    )


def _text(column: bytes) -> str:
    return column.decode("utf-8")


def _between(part: Part, cursor: Optional[str]) -> Tuple[str, List[str]]:
    """Give the condition of a part's ids behind the cursor, and its parameters."""
    where, parameters = "true", []
    for operator, id in ((">", part.after if cursor is None else cursor), ("<=", part.upto)):
        if id is not None:
            where += f" AND id {operator} %s"
            parameters.append(id)
    return where, parameters


def _gone(id: str) -> SourceRow:
    return SourceRow(id, None, 0, trouble=source.GONE)


def _moment(milliseconds: int) -> str:
    return f"to_timestamp({milliseconds:d} / 1000.0)"


def _said(error: BaseException) -> str:
    """Give what PostgreSQL said, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
