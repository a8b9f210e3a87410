"""One process of the soak: threads that use Sentry's backend, and check every value.

A thread owns the nodes that it writes, so it knows what each must hold. The process tells once a
second, as a line of JSON on standard output, what it has done so far, and ends with its input.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [
    str(ROOT / "python"),
    str(ROOT / "bench"),
    str(ROOT / "tests" / "stand_ins" / "shared"),
    str(ROOT / "tests" / "stand_ins" / "bare"),
]

import events  # noqa: E402
from sentry_tablestore.errors import TablestoreError  # noqa: E402
from sentry_tablestore.nodestore.backend import TablestoreNodeStorage  # noqa: E402

# Raw bytes and how often: the mix of a Sentry, mean 9.9 KB, p50 5.7, p90 13.5, p99 65, max 320 KB.
SIZES = (
    [1_500] * 15
    + [4_000] * 25
    + [5_700] * 20
    + [8_000] * 18
    + [11_000] * 11
    + [16_000] * 6
    + [30_000] * 3
    + [65_000]
    + [120_000]
)
LARGEST = 320_000  # one in a thousand
VARIANTS = 2  # payloads of each size in the list
SUBKEYS = ("forecast", "unprocessed")
KEPT = 40  # nodes of a thread that are there at the same time
MANY = 10  # ids of a call on many
LIFE = 60.0  # seconds until a thread ends and another takes its place
NAP = 0.05  # seconds that the watchdog sleeps at a time

# The kinds of calls and how often, in a hundred.
CALLS = (
    ["get"] * 38
    + ["get of a subkey"] * 5
    + ["get of a missing node"] * 5
    + ["get_multi"] * 8
    + ["set"] * 24
    + ["set with a ttl"] * 4
    + ["set_subkeys"] * 6
    + ["delete"] * 8
    + ["delete_multi"] * 2
)


class WrongValueError(Exception):
    """A read gave what it must not."""


class Told:
    """What the threads of this process have done."""

    def __init__(self):
        self._lock = threading.Lock()
        self._facts = {"calls": 0, "values": 0, "errors": {}, "kinds": {}}
        self._facts.update(longest=0.0, overslept=0.0)

    def longest(self, what, seconds):
        """Note how long something took, of which the longest is told."""
        with self._lock:
            self._facts[what] = max(self._facts[what], seconds)

    def call(self, kind, values, error):
        """Note what a thread did, and how many values it checked."""
        with self._lock:
            facts = self._facts
            facts["calls"] += 1
            facts["values"] += values
            facts["kinds"][kind] = facts["kinds"].get(kind, 0) + 1
            if error:
                facts["errors"][error] = facts["errors"].get(error, 0) + 1

    def print(self):
        """Tell it."""
        with self._lock:
            facts = dict(self._facts, blocks=sys.getallocatedblocks())
            print(json.dumps(facts), flush=True)


class Timed:
    """A backend each of whose calls is timed: what a thread does at a time may be two of them."""

    def __init__(self, storage, told):
        self._storage, self._told = storage, told

    def __getattr__(self, name):
        function = getattr(self._storage, name)

        def timed(*arguments, **others):
            began = time.monotonic()
            try:
                return function(*arguments, **others)
            finally:
                self._told.longest("longest", time.monotonic() - began)

        return timed


def watch(told, stop):
    """Tell how late this process gets its turn: a call may be late by as much through no fault."""
    while not stop.is_set():
        began = time.monotonic()
        time.sleep(NAP)
        told.longest("overslept", time.monotonic() - began - NAP)


class Owner:
    """What one thread knows of its nodes; the next thread in its place goes on with it.

    :param pause: Seconds from call to call, in the mean.
    :ivar nodes: By id, what the node holds: the subkeys (None for the event itself) and their data.
    """

    def __init__(self, name, payloads, options, told, pause):
        self._name, self._payloads, self._told, self._pause = name, payloads, told, pause
        self._options = options
        self._random = random.Random(name)
        self._version = 0
        self.nodes = {}

    def run(self, until, stop):
        """Use a backend of this thread's until then, or until the event is set."""
        storage = Timed(TablestoreNodeStorage(**self._options), self._told)
        while time.monotonic() < until and not stop.is_set():
            began = time.monotonic()
            self._call(storage, self._kind())
            # Jittered, so that threads do not march in step; late calls are not made up for.
            pause = self._pause * (0.5 + self._random.random())
            stop.wait(max(0.0, began + pause - time.monotonic()))

    def clear(self):
        """Delete what is left."""
        TablestoreNodeStorage(**self._options).delete_multi(list(self.nodes))

    def _kind(self):
        if len(self.nodes) < MANY:
            return "set"
        if len(self.nodes) > KEPT:
            return "delete_multi"
        return self._random.choice(CALLS)

    def _call(self, storage, kind):
        values, error = 0, None
        try:
            values = getattr(self, "_" + kind.replace(" ", "_"))(storage)
        except TablestoreError as raised:
            error = type(raised).__name__
        self._told.call(kind, values, error)

    def _event(self):
        """Give data that were never written before."""
        self._version += 1
        large = self._random.random() < 0.001
        event = dict(self._payloads[-1] if large else self._random.choice(self._payloads[:-1]))
        event["event_id"] = f"{self._name}-{self._version}"
        return event

    def _new_id(self):
        return f"{self._random.getrandbits(128):032x}"

    def _any(self, number):
        return self._random.sample(sorted(self.nodes), number)

    def _check(self, id, subkey, got):
        if got != self.nodes.get(id, {}).get(subkey):
            raise WrongValueError(f"{id!r} {subkey!r} of {self._name}: {str(got)[:200]}")

    def _get(self, storage):
        [id] = self._any(1)
        self._check(id, None, storage.get(id))
        return 1

    def _get_of_a_subkey(self, storage):
        [id] = self._any(1)
        for subkey in SUBKEYS:
            self._check(id, subkey, storage.get(id, subkey=subkey))
        return len(SUBKEYS)

    def _get_of_a_missing_node(self, storage):
        id = self._new_id()
        self._check(id, None, storage.get(id))
        return 1

    def _get_multi(self, storage):
        ids = self._any(MANY - 1) + [self._new_id()]
        got = storage.get_multi(ids)
        if list(got) != ids:
            raise WrongValueError(f"get_multi of {ids} gave {list(got)}")
        for id, value in got.items():
            self._check(id, None, value)
        return len(ids)

    def _write(self, ids, write, nodes):
        """Write, and know from then on what is there; nothing is known of it after an error."""
        for id in ids:
            self.nodes.pop(id, None)
        write()
        self.nodes.update(nodes)
        return 0

    def _set(self, storage, ttl=None):
        new = len(self.nodes) < MANY or self._random.random() < 0.4
        id = self._new_id() if new else self._any(1)[0]
        event = self._event()
        return self._write([id], lambda: storage.set(id, event, ttl=ttl), {id: {None: event}})

    def _set_with_a_ttl(self, storage):
        return self._set(storage, timedelta(days=14))

    def _set_subkeys(self, storage):
        [id] = self._any(1)
        node = {None: self._event()}
        for subkey in SUBKEYS:
            node[subkey] = {"of": node[None]["event_id"], "numbers": list(range(20))}
        return self._write([id], lambda: storage.set_subkeys(id, dict(node)), {id: node})

    def _delete(self, storage):
        [id] = self._any(1)
        self._write([id], lambda: storage.delete(id), {})
        self._check(id, None, storage.get(id))
        return 1

    def _delete_multi(self, storage):
        ids = self._any(len(self.nodes) // 2)
        return self._write(ids, lambda: storage.delete_multi(ids + ids[:1]), {})


def main():
    """Run the threads."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("end_point")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument(
        "--pace", type=float, required=True, help="calls a second of all threads; 0 all they can"
    )
    arguments = parser.parse_args()
    # Ctrl-C is the driver's.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    options = {
        "end_point": arguments.end_point,
        "access_key_id": os.environ["ACCESS_KEY_ID"],
        "access_key_secret": os.environ["ACCESS_KEY_SECRET"],
        "default_ttl": timedelta(days=30),
        "automatic_expiry": True,
        "compression": "zstd",
    }
    payloads = [
        json.loads(event.decode())
        for size in SIZES + [LARGEST]
        for event in events.make_events(size, 1 if size == LARGEST else VARIANTS, os.getpid())
    ]
    told, failures, stop = Told(), [], threading.Event()
    pause = arguments.threads / arguments.pace if arguments.pace else 0.0
    owners = [
        Owner(f"{os.getpid()}-{n}", payloads, options, told, pause)
        for n in range(arguments.threads)
    ]

    def live(owner, until):
        try:
            owner.run(until, stop)
        except BaseException as error:  # noqa: BLE001 - told at the end
            failures.append(repr(error))
            stop.set()

    def follow(owner, first):
        """Let one thread of an owner follow the other, those of the owners at different times."""
        until = time.monotonic() + first
        while not stop.is_set():
            thread = threading.Thread(target=live, args=(owner, until))
            thread.start()
            thread.join()
            until += LIFE

    def read():
        sys.stdin.read()
        stop.set()

    followers = [
        threading.Thread(target=follow, args=(owner, LIFE * (number + 1) / arguments.threads))
        for number, owner in enumerate(owners)
    ]
    listening = threading.Thread(target=read, daemon=True)
    watching = threading.Thread(target=watch, args=(told, stop), daemon=True)
    for thread in [*followers, listening, watching]:
        thread.start()
    while not stop.wait(1):
        told.print()
    for follower in followers:
        follower.join()
    told.print()
    if failures:
        sys.exit("; ".join(failures))
    for owner in owners:
        owner.clear()


if __name__ == "__main__":
    main()
