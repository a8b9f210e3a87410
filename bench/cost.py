"""Measures the capacity units that events cost, as the service counts them.

    python bench/cost.py [--events 2000]

Each event is set and got once through the package, for each kind of compression. What is printed
are the capacity units that `tablestore-local` puts into its answers; recorded answers of the real
service are what its counting is tested with. A proxy in between reads them: the engine itself has
no use for them.
"""

import argparse
import collections
import contextlib
import http.client
import http.server
import sys
import threading
import uuid
from typing import Any, Counter, Iterator, Sequence, Tuple
from urllib.parse import urlsplit

import events
import programs
from client_environment import ROOT

sys.path.insert(0, str(ROOT / "python"))

from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

Units = Counter[Tuple[str, str]]


def measure(
    end_point: str, key: programs.Service, values: Sequence[bytes], compression: Any
) -> int:
    """Set and get all of them; return the mean size of a row's value in the table, in bytes."""
    store = TablestoreKVStorage(
        key.instance,
        f"nodes_{compression or 'plain'}",
        {
            "end_point": end_point,
            "access_key_id": key.access_key_id,
            "access_key_secret": key.access_key_secret,
        },
        compression=compression,
    )
    store.bootstrap(automatic_expiry=False)
    for value in values:
        id = uuid.uuid4().hex
        store.set(id, value)
        if store.get(id) != value:
            raise ValueError(f"node {id} came back changed")
    return _stored(store) // len(values)


def _stored(store: TablestoreKVStorage) -> int:
    total, start = 0, ""
    while start is not None:
        nodes, start = store.scan(start, 1000)
        total += sum(node.stored for node in nodes)
    return total


@contextlib.contextmanager
def counting(end_point: str) -> Iterator[Tuple[str, Units]]:
    """Pass requests on to the server; give where to send them, and what they cost so far.

    The keys are pairs of an operation and "read" or "write".
    """
    units: Units = collections.Counter()
    server = urlsplit(end_point).netloc

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes, between which the kernel would wait for an acknowledgement.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.server_connection = http.client.HTTPConnection(server)

        def finish(self) -> None:
            self.server_connection.close()
            super().finish()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server_connection.request("POST", self.path, body, dict(self.headers))
            answer = self.server_connection.getresponse()
            given = answer.read()
            if answer.status == 200 and self.path in ("/PutRow", "/GetRow"):
                read, write = consumed(given)
                units[self.path[1:], "read"] += read
                units[self.path[1:], "write"] += write
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(given)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}", units
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def consumed(answer: bytes) -> Tuple[int, int]:
    """Read the capacity units (read, write) in the answer to a PutRow or GetRow.

    Both begin with field 1, ConsumedCapacity, which holds field 1, CapacityUnit, which holds read
    and write as fields 1 and 2.
    """
    field, at = answer[0], 1
    length, at = _varint(answer, at)
    if field != 0x0A or answer[at] != 0x0A:
        raise ValueError("the answer does not begin with its capacity units")
    length, at = _varint(answer, at + 1)
    values, end = {0x08: 0, 0x10: 0}, at + length
    while at < end:
        tag = answer[at]
        values[tag], at = _varint(answer, at + 1)
    return values[0x08], values[0x10]


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def main() -> None:
    """Print a table for a million events."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=2000)
    count = parser.parse_args().events
    values = events.make_mix(count)
    raw = sum(map(len, values)) // count
    print(f"{count} events, mean {raw:,} bytes of JSON. For a million of them:\n")
    print("| compression | stored | write CU to set each | read CU to get each |")
    print("|---|---|---|---|")
    with programs.tablestore_local() as key:
        for compression in (None, "zlib", "zstd"):
            with counting(key.end_point) as (end_point, units):
                stored = measure(end_point, key, values, compression)
            write, read = units["PutRow", "write"], units["GetRow", "read"]
            print(
                f"| {compression or 'none'} | {stored / 1000:.1f} GB "
                f"| {write / count:.2f} million | {read / count:.2f} million |"
            )


if __name__ == "__main__":
    main()
