"""Stores the events of a folder through the package alone and reads them back; prints JSON.

Runs in an environment that has this project's wheel and nothing else: see alone.py.
"""

import hashlib
import json
import logging
import re
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

_PUT = re.compile(r"PutRow .*sent=(\d+)")


class Requests(logging.Handler):
    """Remembers the records of the package's requests."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        """Keep a record."""
        self.messages.append(record.getMessage())

    def sent(self):
        """Return the bytes of the latest PutRow."""
        return int([put.group(1) for put in map(_PUT.match, self.messages) if put][-1])


def main(samples):
    """Run a server, store and read every sample."""
    requests = Requests()
    logger = logging.getLogger("tablestore-client")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(requests)
    key = {"access_key_id": secrets.token_hex(8), "access_key_secret": secrets.token_hex(16)}
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("tablestore-local")),
                *("--data", folder, "--listen", "127.0.0.1:0", "--instance", "sentry"),
                *("--access-key-id", key["access_key_id"]),
                *("--access-key-secret", key["access_key_secret"]),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            end_point = server.stdout.readline().rsplit(None, 1)[-1]
            storage = TablestoreKVStorage(
                instance="sentry",
                table_name="nodestore",
                client_options={"end_point": end_point, **key},
                compression="zstd",
            )
            storage.bootstrap(automatic_expiry=False)
            return [store(storage, requests, sample) for sample in sorted(samples.glob("*.json"))]
        finally:
            server.terminate()
            server.wait()


def store(storage, requests, sample):
    """Store and read one event, with the kind of id and of JSON that Sentry makes."""
    event = json.loads(sample.read_text())
    node_id = hashlib.md5(("1:" + event["event_id"]).encode()).hexdigest()
    raw = json.dumps(event, separators=(",", ":"), sort_keys=True).encode()
    started = time.perf_counter()
    storage.set(node_id, raw)
    stored = time.perf_counter()
    read = storage.get(node_id)
    finished = time.perf_counter()
    return {
        "event": sample.stem,
        "node_id": node_id,
        "raw_bytes": len(raw),
        "stored_bytes": requests.sent(),
        "set_ms": 1000 * (stored - started),
        "get_ms": 1000 * (finished - stored),
        "same": read == raw,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
