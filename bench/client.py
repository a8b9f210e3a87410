"""The process of one contestant: takes commands as lines of JSON and answers each with a line.

It holds that contestant and nothing else, so that its CPU time is the contestant's: the threads of
Python and of Go. Those written in Go have peers/ instead.
"""

import functools
import hashlib
import itertools
import json
import random
import resource
import sys
import threading
import time
import traceback
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import contestants

_Calls = Iterator[Tuple[Any, ...]]


def node_ids(name: str, count: int) -> List[str]:
    """Return ids as Sentry makes them, 32 hex digits."""
    return [hashlib.md5(f"{name}:{i}".encode()).hexdigest() for i in range(count)]


class Client:
    """The commands.

    :ivar ids: Ids of the nodes that are in the table, as long as `events`.
    """

    def __init__(self, service: Dict[str, str], contestant: str, events: str) -> None:
        self.contestant = contestants.CONTESTANTS[contestant](service)
        with open(events, "rb") as file:
            self.events = file.read().splitlines()
        self.ids = node_ids("kept", len(self.events))
        self.absent = node_ids("absent", 10_000)

    def fill(self) -> None:
        """Make the table and write the events into it; for the package only."""
        self.contestant.store.bootstrap(automatic_expiry=False)
        self.contestant.store.set_many(zip(self.ids, self.events))

    def check(self) -> None:
        """Make sure that reads give what was written, and that the others succeed."""
        batch = self.ids[: contestants.READ_AT_ONCE]
        assert self.contestant.get(self.ids[0]) == self.events[0]
        assert list(self.contestant.get_many(batch)) == list(zip(batch, self.events))
        self.contestant.set("written", self.events[1])
        self.contestant.delete_many(self.absent[: contestants.DELETED_AT_ONCE])

    def record(self, operations: List[Tuple[str, int]]) -> Dict[str, Any]:
        """Tell what operations send and how they are answered; of the SDK, in one request each."""
        recorded = {}
        for operation, many in operations:
            arguments = next(getattr(self, f"_{operation}_calls")(0, many))
            call = functools.partial(getattr(self.contestant, operation), *arguments)
            recorded[f"{operation} {many}"] = self.contestant.record(call)
        return recorded

    def measure(self, operation: str, many: int, threads: int, seconds: float) -> Dict[str, float]:
        """Make calls of an operation in each thread until the time is over.

        :param many: Ids of a call.
        :returns: `calls` in `wall` seconds and `cpu` seconds of this process.
        """
        calls = [getattr(self, f"_{operation}_calls")(thread, many) for thread in range(threads)]
        return _run(getattr(self.contestant, operation), calls, seconds)

    def _get_calls(self, thread: int, many: int) -> _Calls:
        ids = [(id,) for id in self.ids]
        random.Random(thread).shuffle(ids)
        return itertools.cycle(ids)

    def _get_many_calls(self, thread: int, many: int) -> _Calls:
        return itertools.cycle([(self._batch(thread + i, many),) for i in range(10)])

    def _set_calls(self, thread: int, many: int) -> _Calls:
        # Sentry writes an event once, so each call has an id of its own.
        chance = random.Random()
        events = self.events[thread:] + self.events[:thread]
        return ((f"{chance.getrandbits(128):032x}", event) for event in itertools.cycle(events))

    def _delete_many_calls(self, thread: int, many: int) -> _Calls:
        # What is not there: to a client that is the same.
        return itertools.repeat((self.absent[:many],))

    def _batch(self, shift: int, many: int) -> Sequence[str]:
        ids = list(self.ids)
        random.Random(shift % 10).shuffle(ids)
        return ids[:many]


def _run(function: Callable[..., Any], calls: Sequence[_Calls], seconds: float) -> Dict[str, float]:
    began: List[float] = []
    made = [0] * len(calls)
    errors: List[BaseException] = []
    start = threading.Barrier(len(calls), lambda: began.extend((_cpu(), time.perf_counter())))

    def work(thread: int) -> None:
        start.wait()
        end = began[1] + seconds
        count = 0
        try:
            for arguments in calls[thread]:
                function(*arguments)
                count += 1
                if time.perf_counter() >= end:
                    break
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            errors.append(error)
        made[thread] = count

    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(len(calls))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    cpu, wall = _cpu() - began[0], time.perf_counter() - began[1]
    if errors:
        raise errors[0]
    return {"calls": sum(made), "wall": wall, "cpu": cpu}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Make the client that the first line describes, then follow commands until there are none."""
    client: Any = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if client is None:
                client = Client(**command)
                result = None
            else:
                result = getattr(client, command.pop("do"))(**command)
            print(json.dumps({"result": result}), flush=True)
        except Exception:  # noqa: BLE001 - the parent raises it
            print(json.dumps({"error": traceback.format_exc()}), flush=True)


if __name__ == "__main__":
    main()
