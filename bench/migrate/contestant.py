"""One contestant of bench.py in a process of its own; what it is to do comes on standard
input."""

import base64
import json
import os
import sys
import time
import uuid
import zlib
from typing import Any, Dict

import psycopg2


def migrate(told: Dict[str, Any], compression: str) -> float:
    """Move the table, and give the seconds that it took."""
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

    source = PostgreSQLSource(connect)
    keeper = FileKeeper(os.path.join(told["folder"], uuid.uuid4().hex))
    keeper.lock()
    checkpoint = Checkpoint(keeper, {"source": {}, "target": {}})
    migration = Migration(source, Carrier(source, target), checkpoint, told["workers"])
    begun = time.monotonic()
    ending = migration.run(lambda status: None)
    seconds = time.monotonic() - begun
    tally = checkpoint.tally().to_json()
    assert ending == FINISHED, migration.failure
    assert tally["moved"] == told["rows"], tally
    return seconds


def copy(told: Dict[str, Any]) -> float:
    """Copy the table into a file."""
    connection = psycopg2.connect(told["dsn"])
    begun = time.monotonic()
    with open(os.path.join(told["folder"], "copied"), "wb") as file, connection.cursor() as cursor:
        cursor.copy_expert("COPY nodestore_node TO STDOUT", file)
    return time.monotonic() - begun


def loop(told: Dict[str, Any]) -> float:
    """Get and set one node after the other."""
    from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

    target = TablestoreKVStorage("sentry", told["table"], dict(told["options"]), compression="zlib")
    target.describe()
    connection = psycopg2.connect(told["dsn"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM nodestore_node LIMIT %s", [told["rows"]])
        ids = [id for (id,) in cursor.fetchall()]
        begun = time.monotonic()
        for id in ids:
            cursor.execute("SELECT id, data, timestamp FROM nodestore_node WHERE id = %s", [id])
            target.set(id, zlib.decompress(base64.b64decode(cursor.fetchone()[1])))
        return time.monotonic() - begun


def main() -> None:
    """Do it, and print rows, seconds and seconds of CPU."""
    told = json.load(sys.stdin)
    name = told["contestant"]
    cpu = time.process_time()
    if name == "COPY":
        seconds = copy(told)
    elif name == "loop":
        seconds = loop(told)
    else:
        seconds = migrate(told, "zlib" if name == "carry-over" else "zstd")
    cpu = time.process_time() - cpu
    print(json.dumps({"rows": told["rows"], "seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    main()
