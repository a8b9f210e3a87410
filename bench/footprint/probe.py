"""Goes through the life of a process that uses the package, and tells what each step took.

Reads JSON from standard input and writes JSON to standard output: see __main__.py. Runs on every
CPython that the package runs on, on nothing but the package.
"""

import json
import os
import sys
import threading
import time
import uuid
from typing import Any, Callable, Dict, List

FIELDS = {"Rss": "rss", "Pss": "pss", "Private_Dirty": "dirty"}
CALLS, THREADS, MANY = 2000, 8, 100


def memory() -> Dict[str, int]:
    """Tell this process's memory in bytes."""
    found = {}
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in FIELDS:
                found[FIELDS[name]] = int(rest.split()[0]) * 1024
    return found


def timed(function: Callable[[], Any]) -> float:
    """Call it; return the milliseconds that it took."""
    begin = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - begin)


def main() -> None:
    """Follow what standard input says."""
    asked = json.load(sys.stdin)
    with open(asked["events"], "rb") as file:
        values = [line.rstrip(b"\n") for line in file]
    steps: Dict[str, Dict[str, int]] = {"python": memory()}
    times: Dict[str, float] = {}

    def make() -> Any:
        from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

        return TablestoreKVStorage(
            asked["instance"], asked["table"], asked["options"], compression="zstd"
        )

    begin = time.perf_counter()
    store = make()
    times["import"] = 1000 * (time.perf_counter() - begin)
    steps["imported"] = memory()

    from sentry_tablestore import loader

    times["load"] = timed(loader.process)
    steps["loaded"] = memory()
    times["first call"] = timed(lambda: store.get("0" * 32))
    steps["first call"] = memory()
    times["second call"] = timed(lambda: store.get("0" * 32))
    if asked["fork"]:
        in_child(store, steps, times)
    else:
        work(store, values, CALLS)
        steps["1 thread"] = memory()
        threads = [
            threading.Thread(target=work, args=(store, values, CALLS // 2)) for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        steps["8 threads"] = memory()
        time.sleep(asked["idle"])
        steps["idle"] = memory()
    json.dump({"steps": steps, "times": times}, sys.stdout)


def work(store: Any, values: List[bytes], calls: int) -> None:
    """Write nodes, read each of them, and many at once."""
    ids = [uuid.uuid4().hex for _ in range(calls)]
    for at, id in enumerate(ids):
        value = values[at % len(values)]
        store.set(id, value)
        if store.get(id) != value:
            raise LookupError(id)
    for at in range(0, calls, MANY):
        if len(list(store.get_many(ids[at : at + MANY]))) != len(ids[at : at + MANY]):
            raise LookupError("some of many")


def in_child(store: Any, steps: Dict[str, Dict[str, int]], times: Dict[str, float]) -> None:
    """Tell the same of a child, while this process waits."""
    reading, writing = os.pipe()
    if not os.fork():
        forked = memory()
        first = timed(lambda: store.get("0" * 32))
        told = {"forked": forked, "called": memory(), "milliseconds": first}
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as answer:
        told = json.load(answer)
    os.wait()
    steps["child, before a call"] = told["forked"]
    steps["child, first call"] = told["called"]
    times["child's first call"] = told["milliseconds"]


if __name__ == "__main__":
    main()
