"""How far a migration is: saved after every batch, so that one that was killed goes on from there.

What is saved is one JSON object: which migration it is, its parts with the cursor of each, and the
counts. Cursors and counts are saved together, so the counts are right after any crash: a batch is
either in both or in neither, and one that is done again finds its rows in the target and counts
them as moved then. Rows that failed are saved with the same guarantee, as a journal.

What each worker is about to send is kept as well, for the next run to look at: see `sent.py`.

Where it is kept is a `Keeper`: `checkpoint_file.FileKeeper` or `checkpoint_table.TableKeeper`.
"""

import json
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .sources.source import Part
from .tally import Failure, Tally

FORMAT = 1


class CheckpointError(Exception):
    """The checkpoint cannot be used; the message says why and what to do."""


class Keeper:
    """Keeps one JSON object and a journal of failures, for one migration at a time.

    :ivar trouble: What it is waiting for; "" when all goes well.
    """

    trouble = ""

    def describe(self) -> str:
        """Say where, for people."""
        raise NotImplementedError

    def endure(self, patience: float, stop: threading.Event) -> None:
        """Say for how many seconds to wait for a place that does not answer, and what ends that."""

    def lock(self) -> str:
        """Keep others off until `close`, or the end of this process.

        :returns: a warning for people; "" when there is none.
        :raises CheckpointError: when another migration has it.
        """
        raise NotImplementedError

    def load(self) -> Optional[Dict[str, Any]]:
        """Give the object, None when nothing was saved. Drops what the journal has beyond it.

        :raises CheckpointError: when it cannot be read.
        """
        raise NotImplementedError

    def save(self, state: Dict[str, Any], failures: List[Failure]) -> None:
        """Replace the object and lengthen the journal, both or neither, and durably.

        The keeper adds the journal's length to the object, as "journal".

        :raises CheckpointError: when it could not.
        """
        raise NotImplementedError

    def failures(self, start: int, end: int) -> Iterator[Tuple[int, Failure]]:
        """Give the journal from one place to another, with the place after each."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop all that was saved."""
        raise NotImplementedError

    def send(self, worker: int, text: str) -> None:
        """Keep a worker's text in the place of its last one. It need outlive this process only,
        not the machine.

        :raises CheckpointError: when it could not.
        """
        raise NotImplementedError

    def sent(self) -> List[str]:
        """Give the texts that workers, of whatever run, left."""
        raise NotImplementedError

    def forget_sent(self) -> None:
        """Drop these texts."""
        raise NotImplementedError

    def close(self) -> None:
        """Let others have it."""


class Checkpoint:
    """The state of one migration. Every method may be called by any thread.

    :param keeper: Where it is kept, locked.
    :param identity: Which migration this is, as JSON values.
    :raises CheckpointError: when another migration left it there.
    """

    def __init__(
        self,
        keeper: Keeper,
        identity: Dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keeper = keeper
        self.resumed = False
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._pending: List[Failure] = []
        self._change = self._saved = 0
        # What was saved must compare equal to what is given: tuples become lists.
        self._identity = json.loads(json.dumps(identity))
        self._parts: List[Part] = []
        self._cursors: List[Optional[str]] = []
        self._done: List[bool] = []
        self._tally = Tally()
        self._seconds = 0.0
        self._begun: Optional[float] = None
        self._clock = clock
        self._journal = self._retried = 0
        state = keeper.load()
        if state is not None:
            self._take(state)

    def plan(self, parts: List[Part]) -> None:
        """Begin a new migration with these parts."""
        with self._lock:
            self._parts = parts
            self._cursors = [None] * len(parts)
            self._done = [False] * len(parts)
            self._change += 1
        self._save()

    def open_parts(self) -> List[Tuple[int, Part, Optional[str]]]:
        """Give the parts that are not done: number, part, cursor."""
        with self._lock:
            return [
                (n, part, self._cursors[n])
                for n, part in enumerate(self._parts)
                if not self._done[n]
            ]

    def advance(
        self, number: int, cursor: Optional[str], tally: Tally, failures: List[Failure]
    ) -> None:
        """Save that a part has been carried up to the cursor (None: to its end).

        Returns when it is saved. Threads that come at the same time share one saving.
        """
        with self._lock:
            self._cursors[number] = cursor
            self._done[number] = cursor is None
            self._tally.add(tally)
            self._pending += failures
            self._change += 1
        self._save()

    def retried(self, place: int, old: List[Failure], tally: Tally, new: List[Failure]) -> None:
        """Save that failures up to a place of the journal were tried again, with what result."""
        with self._lock:
            self._retried = place
            self._tally.fail(old, -1)
            self._tally.add(tally)
            self._pending += new
            self._change += 1
        self._save()

    def failures(self) -> Iterator[Tuple[int, Failure]]:
        """Give the rows that failed and were not tried again, with the place after each."""
        with self._lock:
            start, end = self._retried, self._journal
        return self.keeper.failures(start, end)

    def send(self, worker: int, written: Dict[str, int]) -> None:
        """Keep which rows a worker is about to send to the target: their write times by id."""
        self.keeper.send(worker, json.dumps({"identity": self._identity, "written": written}))

    def sent(self) -> List[Dict[str, int]]:
        """Give what earlier runs of this migration were about to send when they ended."""
        left = []
        for text in self.keeper.sent():
            try:
                told = json.loads(text)
            except ValueError:
                continue  # half of a file, after the machine went down
            # What another migration sent, before --restart, is to be found in another source.
            if told["identity"] == self._identity:
                left.append(told["written"])
        return left

    def forget_sent(self) -> None:
        """Drop what was kept by `send`: all of it has been settled."""
        self.keeper.forget_sent()

    @property
    def journal(self) -> int:
        """The place after the last failure."""
        with self._lock:
            return self._journal

    def begin(self) -> None:
        """Count the time from now on as this run's; each save saves it too."""
        self._begun = self._clock()

    @property
    def seconds(self) -> float:
        """How long all runs took together, each until its last batch."""
        now = self._clock()
        return self._seconds + now - (now if self._begun is None else self._begun)

    def tally(self) -> Tally:
        """Give a copy of the counts."""
        with self._lock:
            return Tally.from_json(self._tally.to_json())

    def progress(self) -> Tuple[int, int]:
        """Give the number of parts that are done, and of all."""
        with self._lock:
            return sum(self._done), len(self._parts)

    def close(self) -> None:
        """Let others have the checkpoint."""
        self.keeper.close()

    def _save(self) -> None:
        with self._lock:
            change = self._change
        with self._saving:
            with self._lock:
                if self._saved >= change:
                    return  # by the thread that was before
                change, failures, self._pending = self._change, self._pending, []
                state = self._state()
            try:
                self.keeper.save(state, failures)
            except CheckpointError:
                with self._lock:
                    self._pending = failures + self._pending
                raise
            with self._lock:
                self._saved, self._journal = change, state["journal"]

    def _state(self) -> Dict[str, Any]:
        return {
            "format": FORMAT,
            "identity": self._identity,
            "counts": self._tally.to_json(),
            "seconds": round(self.seconds, 1),
            "retried": self._retried,
            "parts": [
                [part.after, part.upto, cursor, done]
                for part, cursor, done in zip(self._parts, self._cursors, self._done)
            ],
        }

    def _take(self, state: Dict[str, Any]) -> None:
        where = self.keeper.describe()
        if state.get("format") != FORMAT:
            raise CheckpointError(
                f"{where} was written by another version of this program (format "
                f"{state.get('format')}, this is {FORMAT}): finish with that one, or begin anew "
                "with --restart"
            )
        differing = _differences(state.get("identity", {}), self._identity)
        if differing:
            raise CheckpointError(
                f"{where} is of another migration ({'; '.join(differing)}): name another file with "
                "--checkpoint, or begin anew with --restart"
            )
        try:
            self._parts = [Part(part[0], part[1]) for part in state["parts"]]
            self._cursors = [part[2] for part in state["parts"]]
            self._done = [part[3] for part in state["parts"]]
            self._tally = Tally.from_json(state["counts"])
            self._seconds = state["seconds"]
            self._journal, self._retried = state["journal"], state["retried"]
        except (KeyError, IndexError, TypeError) as error:
            raise CheckpointError(
                f"{where} is damaged ({error!r}): begin anew with --restart; rows that are in the "
                "target are found there"
            ) from None
        self.resumed = bool(self._parts)


def _differences(saved: Any, given: Any) -> List[str]:
    """Say in what two identities differ."""
    differing = []
    for side in ("source", "target"):
        one, other = saved.get(side, {}), given.get(side, {})
        for name in sorted(set(one) | set(other)):
            if one.get(name) != other.get(name):
                differing.append(
                    f"{side} {name} is {other.get(name)!r}, and {one.get(name)!r} there"
                )
    return differing
