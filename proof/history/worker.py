"""One process of the history check: threads that use the same nodes and record every call."""

import argparse
import itertools
import os
import random
import sys
import threading
import time

from sentry_tablestore.errors import TablestoreError
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

EPOCH = 2.0  # seconds for which the same nodes are used: histories must stay short to be checked
NODES = 12  # of an epoch
SPLIT = 2_200_000  # bytes of noise that do not fit into one column


def value_of(name):
    """Give the only value that has this name: no part of it is like a part of another one."""
    numbers = random.Random(name)
    if numbers.random() < 0.02:
        return name.encode() + b"\n" + numbers.getrandbits(8 * SPLIT).to_bytes(SPLIT, "big")
    return f"{name}\n".encode() + f"[{name}]".encode() * numbers.randrange(1, 800)


def name_of(value):
    """Give the name of a value, or "torn"."""
    if value is None:
        return "none"
    name = value.split(b"\n", 1)[0].decode("ascii", "replace")
    return name if name and value == value_of(name) else "torn"


class Recorder:
    """Writes lines that a kill of this process cannot take back."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, *fields):
        line = " ".join(map(str, fields)) + "\n"
        if os.write(self._file, line.encode()) != len(line):
            sys.exit("a line was cut short")


class Worker:
    """A thread's calls."""

    def __init__(self, number, options, record, numbers):
        self._requests = threading.local()
        self._store = TablestoreKVStorage(
            "sentry", "history", dict(options, metrics=self._count), compression="zstd"
        )
        self._record, self._numbers = record, numbers
        self._random = random.Random(f"{os.getpid()} {number}")

    def _count(self, operation, seconds, counts, error):
        self._requests.last = counts["requests"]

    def call(self, key, kind):
        """Make one call and record it."""
        number = f"{os.getpid()}-{next(self._numbers)}"
        name = number if kind == "set" else "-"
        value = value_of(name) if kind == "set" else None
        many = self._random.random() < 0.3
        self._requests.last = 1
        self._record("i", number, key, kind, name, time.monotonic_ns())
        try:
            outcome = "ok"
            if kind == "get":
                if many:
                    got = dict(self._store.get_many([key, key + "-never"])).get(key)
                else:
                    got = self._store.get(key)
                outcome = name_of(got)
            elif kind == "set" and many:
                self._store.set_many({key: value})
            elif kind == "set":
                self._store.set(key, value)
            elif many:
                self._store.delete_many([key])
            else:
                self._store.delete(key)
        except TablestoreError:
            outcome = "error"
        self._record("r", number, outcome, self._requests.last, time.monotonic_ns())

    def run(self, until):
        """Use the nodes of the moment."""
        while time.monotonic() < until:
            epoch = int(time.monotonic() / EPOCH)
            key = f"{epoch}-{self._random.randrange(NODES)}"
            self.call(key, self._random.choice(["set", "set", "get", "get", "get", "delete"]))
            time.sleep(self._random.random() * 0.05)


def main():
    """Run the threads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("end_point")
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--read", help="read these nodes once, a file with a line each")
    arguments = parser.parse_args()
    options = {
        "end_point": arguments.end_point,
        "access_key_id": os.environ["ACCESS_KEY_ID"],
        "access_key_secret": os.environ["ACCESS_KEY_SECRET"],
        "timeout": 3,
    }
    record, numbers = Recorder(arguments.file), itertools.count(1)
    if arguments.read:
        worker = Worker(0, options, record, numbers)
        with open(arguments.read) as keys:
            for key in keys:
                worker.call(key.strip(), "get")
        return
    until = time.monotonic() + arguments.seconds
    workers = [Worker(number, options, record, numbers) for number in range(arguments.threads)]
    threads = [threading.Thread(target=worker.run, args=(until,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
