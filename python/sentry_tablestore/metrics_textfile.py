"""Metrics as a file for node_exporter's textfile collector: `metrics='textfile:/PATH.prom'`.

One file holds the sums of all processes that write it, those that have ended included: each adds
what it has counted since its last turn, under a lock, and replaces the file by a rename. So workers
may come and go, there is no label for a process, and no counter goes back, except where the file is
removed. A process takes a turn at its first call, then at a call once in `INTERVAL`, and when it
ends; no thread is started. One that is killed loses what it has counted since its last turn.
"""

import atexit
import bisect
import contextlib
import errno
import fcntl
import os
import sys
import tempfile
import threading
import time
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from .attention import attention
from .errors import TablestoreOptionsError

INTERVAL = 15.0
"""Seconds between two turns of one process."""

LAST_PATIENCE = 1.0
"""Seconds that a process waits for its turn when it ends."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of the histogram of durations."""

_PREFIX = "sentry_tablestore_"
_DURATION = _PREFIX + "call_duration_seconds"
_FAILED = _PREFIX + "failed_calls_total"

# Of each count of `metrics.COUNTS`, its name here and what it is.
_COUNTERS = {
    "requests": ("requests_total", "Requests to the service, repetitions included."),
    "retries": ("retries_total", "Requests that were repetitions."),
    "throttled": ("throttled_total", "Answers of the service that asked to slow down."),
    "sent": ("sent_bytes_total", "Bytes of request bodies."),
    "received": ("received_bytes_total", "Bytes of response bodies."),
    "raw": ("raw_bytes_total", "Bytes of values before compression."),
    "stored": ("stored_bytes_total", "Bytes of values after compression."),
    "missing": ("missing_total", "Ids that a read did not find."),
    "split": ("split_total", "Values that were split over columns."),
}

_Sums = Dict[str, float]


class Textfile:
    """The callback that keeps one file.

    :param path: Absolute, in a folder that is there, ending with .prom.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.clock = time.monotonic
        self._states: Dict[int, _State] = {}

    def __call__(
        self, operation: str, seconds: float, counts: Mapping[str, int], error: Optional[str]
    ) -> None:
        """Count a call."""
        state = self._own()
        now = self.clock()
        with state.lock:
            state.count(operation, seconds, counts, error)
            if now < state.due:
                return
            state.due = now + INTERVAL
        self.write(0.0)

    def write(self, patience: float) -> None:
        """Take a turn: add to the file what this process has counted since its last one.

        :param patience: Seconds to wait for another process's turn to end. What could not be added
            is kept for the next turn.
        """
        state = self._own()
        # Another thread of ours that is at it writes everything or leaves it for the next turn.
        if not state.writing.acquire(blocking=False):
            return
        try:
            with state.lock:
                mine = state.take()
            done = False
            try:
                done = not mine or self._add(mine, patience)
            except OSError as error:
                attention.warn(
                    "textfile " + self.path,
                    f"metrics: {self.path} cannot be written: {error}; the counts are kept until "
                    "it can",
                )
            finally:
                if not done:
                    with state.lock:
                        state.give_back(mine)
        finally:
            state.writing.release()

    def _own(self) -> "_State":
        """Give this process's state: a child's begins empty, as its parent writes its own."""
        pid = os.getpid()
        state = self._states.get(pid)
        if state is None:
            fresh = _State()
            state = self._states.setdefault(pid, fresh)
            if state is fresh:
                self._at_exit()
        return state

    def _at_exit(self) -> None:
        """Take a last turn when this process ends, by any way that runs something."""
        pid = os.getpid()

        def last() -> None:
            # A fork inherits the hooks of its parent.
            if os.getpid() == pid:
                self.write(LAST_PATIENCE)

        atexit.register(last)
        # Children of these end by `os._exit`, which runs no hook of atexit.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, last, exitpriority=0)  # type: ignore[attr-defined]
        signals = sys.modules.get("celery.signals")
        if signals is not None:
            signals.worker_process_shutdown.connect(  # type: ignore[attr-defined]
                lambda **_: last(), weak=False
            )

    def _add(self, mine: _Sums, patience: float) -> bool:
        """Add to the file, and tell whether it was our turn."""
        with self._turn(patience) as ours:
            if ours:
                sums = _read(self.path)
                for series, amount in mine.items():
                    sums[series] = sums.get(series, 0) + amount
                _replace(self.path, _text(sums))
            return ours

    @contextlib.contextmanager
    def _turn(self, patience: float) -> Iterator[bool]:
        """Hold the lock of the file in the block, or tell that another process does."""
        folder, name = os.path.split(self.path)
        # For reading, as no more is needed: it is the file of whoever came first, perhaps root's.
        lock = os.open(
            os.path.join(folder, "." + name + ".lock"),
            os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o644,
        )
        try:
            with contextlib.suppress(PermissionError):  # another user's, who has done it
                os.fchmod(lock, 0o644)  # whatever the umask
            until = time.monotonic() + patience
            held = _locked(lock)
            while not held and time.monotonic() < until:
                time.sleep(0.01)
                held = _locked(lock)
            try:
                yield held
            finally:
                if held:
                    # Not by closing alone: a process forked meanwhile has the descriptor too.
                    fcntl.flock(lock, fcntl.LOCK_UN)
        finally:
            os.close(lock)


class _State:
    """What one process has counted since its last turn."""

    __slots__ = ("due", "lock", "sums", "writing")

    def __init__(self) -> None:
        # Re-entrant: the handler of a signal may use the store in the midst of a count.
        self.lock = threading.RLock()
        self.writing = threading.Lock()
        self.due = float("-inf")
        # By (name, operation, error or bucket's number or "").
        self.sums: Dict[Tuple[str, str, object], float] = {}

    def count(
        self, operation: str, seconds: float, counts: Mapping[str, int], error: Optional[str]
    ) -> None:
        """Count one call."""
        sums = self.sums
        bucket = ("bucket", operation, bisect.bisect_left(BUCKETS, seconds))
        sums[bucket] = sums.get(bucket, 0) + 1
        total = ("sum", operation, "")
        sums[total] = sums.get(total, 0) + seconds
        for name, amount in counts.items():
            if amount:
                key = (name, operation, "")
                sums[key] = sums.get(key, 0) + amount
        if error is not None:
            failed = ("failed", operation, error)
            sums[failed] = sums.get(failed, 0) + 1

    def take(self) -> _Sums:
        """Give what was counted, by its series in the file, and begin anew."""
        taken, self.sums = self.sums, {}
        return _series(taken)

    def give_back(self, mine: _Sums) -> None:
        """Take back what could not be written."""
        for series, amount in mine.items():
            key = ("series", series, "")
            self.sums[key] = self.sums.get(key, 0) + amount


def textfile_of(path: str) -> Textfile:
    """Give the process's writer of this file.

    :raises TablestoreOptionsError: for a path that node_exporter would not read.
    """
    if not os.path.isabs(path) or not path.endswith(".prom"):
        raise TablestoreOptionsError(
            "metrics 'textfile:' needs the absolute path of a file that ends with .prom, such as "
            f"'textfile:/var/lib/node_exporter/sentry_tablestore.prom', not {path!r}"
        )
    return _textfiles.setdefault(path, Textfile(path))


_textfiles: Dict[str, Textfile] = {}


def _series(counted: Mapping[Tuple[str, str, object], float]) -> _Sums:
    """Give sums by series as they stand in the file: buckets are cumulative there."""
    sums: _Sums = {}
    for (name, operation, detail), amount in counted.items():
        label = f'operation="{_escaped(operation)}"'
        if name == "series":
            _plus(sums, operation, amount)
        elif name == "bucket":
            for bound in [f"{bound:g}" for bound in BUCKETS[detail:]] + ["+Inf"]:  # type: ignore[misc]
                _plus(sums, f'{_DURATION}_bucket{{{label},le="{bound}"}}', amount)
            _plus(sums, f"{_DURATION}_count{{{label}}}", amount)
        elif name == "sum":
            _plus(sums, f"{_DURATION}_sum{{{label}}}", amount)
        elif name == "failed":
            _plus(sums, f'{_FAILED}{{{label},error="{_escaped(str(detail))}"}}', amount)
        else:
            _plus(sums, f"{_PREFIX}{_counter(name)[0]}{{{label}}}", amount)
    return sums


def _plus(sums: _Sums, series: str, amount: float) -> None:
    sums[series] = sums.get(series, 0) + amount


def _counter(name: str) -> Tuple[str, str]:
    return _COUNTERS.get(name) or (name + "_total", name.replace("_", " ").capitalize() + ".")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _read(path: str) -> _Sums:
    """Read the sums of the file, none where there is none or it is no file of ours."""
    sums: _Sums = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith(_PREFIX):
                    series, _, amount = line.rpartition(" ")
                    sums[series] = float(amount)
    except FileNotFoundError:
        pass  # the first turn of all
    except ValueError:
        # Damaged, by whatever wrote it: counters begin anew, as Prometheus allows.
        return {}
    return sums


def _replace(path: str, text: str) -> None:
    folder, name = os.path.split(path)
    number, temporary = tempfile.mkstemp(prefix="." + name + ".", dir=folder)
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
        # node_exporter is another user.
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _text(sums: _Sums) -> str:
    """Give the file's text: each metric's series in one piece, after its HELP and TYPE."""
    families: Dict[str, List[str]] = {}
    for series in sums:
        name = series.partition("{")[0]
        if name.startswith(_DURATION):
            name = _DURATION
        families.setdefault(name, []).append(series)
    help_of = {_PREFIX + name: text for name, text in map(_counter, _COUNTERS)}
    help_of[_DURATION] = "Time of calls with all their attempts."
    help_of[_FAILED] = "Calls that raised, by the class of the exception."
    lines = []
    for name in sorted(families):
        text = help_of.get(name) or _counter(name[len(_PREFIX) : -len("_total")])[1]
        lines.append(f"# HELP {name} {text}")
        lines.append("# TYPE {} {}".format(name, "histogram" if name == _DURATION else "counter"))
        for series in sorted(families[name], key=_order):
            lines.append(f"{series} {_number(sums[series])}")
    return "\n".join(lines) + "\n"


def _order(series: str) -> Tuple[str, str, float, str]:
    """Sort the buckets of one operation by their bounds, then sum and count."""
    name, _, labels = series.partition("{")
    if not name.endswith("_bucket"):
        return labels, name, 0.0, ""
    operation, _, bound = labels.partition(',le="')
    return operation + "}", name, float(bound.split('"')[0].replace("+Inf", "inf")), ""


def _number(amount: float) -> str:
    return str(int(amount)) if amount == int(amount) else repr(amount)
