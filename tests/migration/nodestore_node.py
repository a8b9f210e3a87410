"""Tables like Sentry's `nodestore_node`, and rows for them."""

import base64
import io
import zlib
from datetime import datetime, timezone
from typing import Any, Iterable, Tuple, Union

import psycopg2

# As Sentry's migrations make it.
_TABLE = (
    "CREATE TABLE {0} (id varchar(40) PRIMARY KEY, data text NOT NULL,"
    " timestamp timestamptz NOT NULL);"
    "CREATE INDEX {0}_timestamp ON {0} (timestamp)"
)


class Table:
    """A table in a PostgreSQL behind a socket in `folder`."""

    def __init__(self, folder: Any, database: str, name: str) -> None:
        self.parameters = {"host": str(folder), "user": "postgres", "dbname": database}
        self.name = name
        self.run(_TABLE.format(name))

    def connect(self) -> Any:
        """Open a connection that commits every statement."""
        connection = psycopg2.connect(**self.parameters)
        connection.autocommit = True
        return connection

    def run(self, statement: str, parameters: Any = None) -> Any:
        """Run a statement and give its rows; {table} in it is the table."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement.replace("{table}", self.name), parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def lose_connections(self) -> None:
        """End every other connection to the database."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def insert(self, rows: Iterable[Tuple[str, Union[bytes, str], Any]]) -> None:
        """Insert rows (id, payload as bytes or `data` as str, datetime or ms since 1970)."""
        lines = io.StringIO()
        for id, data, written in rows:
            if isinstance(data, bytes):
                data = encoded(data)
            if not isinstance(written, datetime):
                written = moment(written)
            lines.write("\t".join((_escaped(id), _escaped(data), written.isoformat())) + "\n")
        lines.seek(0)
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.copy_expert(f"COPY {self.name} (id, data, timestamp) FROM STDIN", lines)
        finally:
            connection.close()


def encoded(payload: bytes) -> str:
    """Encode a payload as Sentry's Django backend does."""
    return base64.b64encode(zlib.compress(payload)).decode("ascii")


def moment(milliseconds: int) -> datetime:
    """Give the moment so many milliseconds after 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def _escaped(text: str) -> str:
    for character, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(character, escape)
    return text
