"""One contestant of bench.py in a process of its own; what it is to do comes on standard
input."""

import base64
import json
import os
import sys
import time
import uuid
import zlib
from typing import Any, Callable, Dict, NamedTuple

import psycopg2


class Taken(NamedTuple):
    """What the rows alone took.

    :ivar cpu: Seconds of this process on all cores.
    """

    seconds: float
    cpu: float


def timed(work: Callable[[], Any]) -> Taken:
    """Do it, and tell what it took."""
    begun, cpu = time.monotonic(), time.process_time()
    work()
    return Taken(time.monotonic() - begun, time.process_time() - cpu)


def migrate(told: Dict[str, Any], compression: str) -> Taken:
    """Move the table."""
    from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
    from sentry_tablestore.migration.carry import Carrier
    from sentry_tablestore.migration.checkpoint import Checkpoint
    from sentry_tablestore.migration.checkpoint_file import FileKeeper
    from sentry_tablestore.migration.run import FINISHED, Migration
    from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource

    target = TablestoreKVStorage(
        "sentry", told["table"], dict(told["options"]), compression=compression
    )
    target.describe()

    def connect() -> Any:
        connection = psycopg2.connect(told["dsn"])
        connection.autocommit = True
        return connection

    source = PostgreSQLSource(connect, told["source"])
    keeper = FileKeeper(os.path.join(told["folder"], uuid.uuid4().hex))
    keeper.lock()
    checkpoint = Checkpoint(keeper, {"source": {}, "target": {}})
    migration = Migration(source, Carrier(source, target), checkpoint, told["workers"])
    endings = []
    taken = timed(lambda: endings.append(migration.run(lambda status: None)))
    tally = checkpoint.tally().to_json()
    assert endings == [FINISHED], migration.failure
    assert tally["moved"] == told["rows"], tally
    return taken


def copy(told: Dict[str, Any]) -> Taken:
    """Copy the table into a file."""
    connection = psycopg2.connect(told["dsn"])
    with open(os.path.join(told["folder"], "copied"), "wb") as file, connection.cursor() as cursor:
        return timed(lambda: cursor.copy_expert("COPY nodestore_node TO STDOUT", file))


def loop(told: Dict[str, Any]) -> Taken:
    """Get and set one node after the other."""
    from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

    target = TablestoreKVStorage("sentry", told["table"], dict(told["options"]), compression="zlib")
    target.describe()
    connection = psycopg2.connect(told["dsn"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM nodestore_node LIMIT %s", [told["rows"]])
        ids = [id for (id,) in cursor.fetchall()]

        def move() -> None:
            for id in ids:
                cursor.execute("SELECT id, data, timestamp FROM nodestore_node WHERE id = %s", [id])
                target.set(id, zlib.decompress(base64.b64decode(cursor.fetchone()[1])))

        return timed(move)


def main() -> None:
    """Do it, and print rows, seconds and seconds of CPU."""
    told = json.load(sys.stdin)
    name = told["contestant"]
    if name == "COPY":
        taken = copy(told)
    elif name == "loop":
        taken = loop(told)
    else:
        taken = migrate(told, "zlib" if name == "carry-over" else "zstd")
    print(json.dumps({"rows": told["rows"], **taken._asdict()}))


if __name__ == "__main__":
    main()
