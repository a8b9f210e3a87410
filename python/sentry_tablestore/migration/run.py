"""Runs a migration: workers that read, carry and save, pauses after failures, and an end."""

import functools
import itertools
import random
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..engine import limit_heap
from ..errors import TablestoreError, TablestoreThrottledError
from .carry import Carried, Carrier, is_temporary
from .checkpoint import Checkpoint
from .rate import Limiter, Rate
from .sent import Sent
from .sources.source import Page, Part, Reader, Source, SourceUnavailableError
from .tally import Failure, Tally

FINISHED = "finished"
STOPPED = "stopped"
FAILED = "failed"

PARTS = 64
_PAGE_ROWS = 500
_PAGE_BYTES = 2 << 20
_SMALLEST_PAGE = 50
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 20.0
_RETRIED_AT_ONCE = 500
# Bytes that the engine may keep for pages under way: without a limit its collector lets that grow
# to more than twice as much.
_ENGINE_HEAP = 64 << 20
_TICK = 0.05
# Of the second that a person waits after Ctrl-C; the rest is for the checkpoint and the report.
_FAREWELL = 0.25


class Status(NamedTuple):
    """How a migration is getting on.

    :ivar tally: All runs' counts together.
    :ivar before: Rows that earlier runs read.
    :ivar seconds: That this run has taken.
    :ivar parts: Number of parts that are done, and of all.
    :ivar trouble: What is being waited for; "" when all goes well.
    """

    tally: Tally
    before: int
    seconds: float
    parts: Tuple[int, int]
    trouble: str


class Migration:
    """A migration from a source into a table.

    :param target: A TablestoreKVStorage.
    :param workers: Pages that are under way at once; each has a connection to the source.
    :param rate: For all workers together; None as fast as it goes.
    :param patience: Seconds without any progress, for failures that may pass, after which it gives
        up.
    """

    def __init__(
        self,
        of: Source,
        carrier: Carrier,
        checkpoint: Checkpoint,
        workers: int = 4,
        rate: Optional[Rate] = None,
        patience: float = 600,
    ) -> None:
        self.checkpoint = checkpoint
        self._source = of
        self._carrier = carrier
        self._workers = workers
        self._patience = patience
        self._stop = threading.Event()
        checkpoint.keeper.endure(patience, self._stop)
        self._limiter = Limiter(rate, self._stop.wait)
        self._lock = threading.Lock()
        self._readers: List[Reader] = []
        self._threads: List[threading.Thread] = []
        self._todo: List[Tuple[int, Part, Optional[str]]] = []
        self._begun = self._progressed = time.monotonic()
        self._before = checkpoint.tally().rows
        self._trouble = ""
        self.failure: Optional[BaseException] = None

    def run(self, show: Callable[[Status], None]) -> str:
        """Run to the end, or until `stop`.

        :param show: Told the status many times a second.
        :returns: FINISHED (every row was read), STOPPED, or FAILED: `failure` says why.
        """
        limit_heap(_ENGINE_HEAP)
        self.checkpoint.begin()
        self._begun = self._progressed = time.monotonic()
        left = self.checkpoint.sent()
        if left:
            self._in_threads([lambda reader: self._settle(reader, left)], show)
        if not self.checkpoint.resumed and not self._stop.is_set():
            self._guarded(lambda: self.checkpoint.plan(self._source.parts(PARTS)))
        self._todo = list(reversed(self.checkpoint.open_parts()))
        journal = self.checkpoint.journal
        self._begun = self._progressed = time.monotonic()
        workers = max(1, min(self._workers, len(self._todo)))
        if not self._stop.is_set():
            self._in_threads(
                [functools.partial(self._carry_parts, worker) for worker in range(workers)], show
            )
        if journal and not self._stop.is_set():
            self._in_threads([lambda reader: self._retry(reader, journal)], show)
        if not self._stop.is_set():
            self._guarded(self.checkpoint.forget_sent)
        show(self.status())
        if self.failure is not None:
            return FAILED
        return STOPPED if self._stop.is_set() else FINISHED

    def stop(self) -> None:
        """End soon: what is under way is given up, and done again by the next run.

        May be called by a signal handler.
        """
        self._stop.set()

    def status(self) -> Status:
        """Tell how it is getting on."""
        return Status(
            self.checkpoint.tally(),
            self._before,
            time.monotonic() - self._begun,
            self.checkpoint.progress(),
            self._trouble or self.checkpoint.keeper.trouble,
        )

    def is_idle(self) -> bool:
        """Whether no worker was left behind in a call, with which a program cannot end well."""
        return not any(thread.is_alive() for thread in self._threads)

    def _in_threads(
        self, works: List[Callable[[Reader], None]], show: Callable[[Status], None]
    ) -> None:
        """Do works at the same time, each with a reader, until all are done or it is to stop."""
        self._threads = [
            threading.Thread(target=self._work, args=(work,), daemon=True) for work in works
        ]
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            while thread.is_alive() and not self._stop.is_set():
                show(self.status())
                thread.join(_TICK)
        if self._stop.is_set():
            self._cancel()

    def _cancel(self) -> None:
        """Have workers give up what they are at, and wait for them a moment."""
        end = time.monotonic() + _FAREWELL
        with self._lock:
            readers = list(self._readers)
        # To cancel is a call of its own over the network, which may not answer either.
        for reader in readers:
            threading.Thread(target=reader.cancel, daemon=True).start()
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _guarded(self, work: Callable[[], Any]) -> None:
        """Do a part of the work; its failure ends the migration."""
        try:
            work()
        except _Stopped:
            pass  # the status says so
        except Exception as error:  # noqa: BLE001 - told by `failure`, whatever it is
            with self._lock:
                # What fails because all is ended is no reason.
                if self.failure is None and not self._stop.is_set():
                    self.failure = error
            self._stop.set()

    def _work(self, work: Callable[[Reader], None]) -> None:
        reader = self._source.reader()
        with self._lock:
            self._readers.append(reader)
        self._guarded(lambda: work(reader))
        with self._lock:
            self._readers.remove(reader)
        reader.close()

    def _settle(self, reader: Reader, left: List[Dict[str, int]]) -> None:
        """Take back what an earlier run sent before it was ended, of rows that are gone since."""
        pages = _PageSize()
        for rows in left:
            sent = Sent(rows=rows)
            self._patiently(functools.partial(self._carrier.settle, sent, reader), pages)
        self.checkpoint.forget_sent()

    def _carry_parts(self, worker: int, reader: Reader) -> None:
        pages = _PageSize()
        sent = self._sent(worker)
        while True:
            with self._lock:
                if not self._todo:
                    return
                number, part, cursor = self._todo.pop()
            while True:
                page, carried = self._carry_page(reader, part, cursor, pages, sent)
                self.checkpoint.advance(number, page.cursor, carried.tally, carried.failures)
                cursor = page.cursor
                if cursor is None:
                    break

    def _sent(self, worker: int) -> Sent:
        return Sent(functools.partial(self.checkpoint.send, worker))

    def _carry_page(
        self,
        reader: Reader,
        part: Part,
        cursor: Optional[str],
        pages: "_PageSize",
        sent: Sent,
    ) -> Tuple[Page, Carried]:
        def read_and_carry() -> Tuple[Page, Carried]:
            page = reader.page(part, cursor, pages.rows, _PAGE_BYTES)
            size = sum(len(row.value or b"") for row in page.rows)
            self._limiter.take(len(page.rows), size)
            self._check()
            return page, self._carrier.carry(page.rows, reader, sent)

        return self._patiently(read_and_carry, pages)

    def _patiently(self, work: Callable[[], Any], pages: "_PageSize") -> Any:
        """Do a step again, after longer and longer pauses, as long as its failure may pass."""
        pause = _FIRST_PAUSE
        while True:
            self._check()
            try:
                result = work()
            except (SourceUnavailableError, TablestoreError) as error:
                if self._stop.is_set():
                    raise _Stopped() from None
                if isinstance(error, TablestoreError) and not is_temporary(error):
                    raise
                if time.monotonic() - self._progressed > self._patience:
                    raise
                self._trouble = _said(error)
                pages.shrink()
                self._stop.wait(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._progressed = time.monotonic()
                self._trouble = ""
                pages.grow()
                return result

    def _retry(self, reader: Reader, journal: int) -> None:
        """Try rows again that failed in earlier runs: they may have been mended since.

        :param journal: Where this run's own failures begin.
        """
        pages = _PageSize()
        sent = self._sent(0)
        old = itertools.takewhile(lambda failed: failed[0] <= journal, self.checkpoint.failures())
        for batch in iter(lambda: list(itertools.islice(old, _RETRIED_AT_ONCE)), []):
            ids = [failure.id for _, failure in batch]
            pieces = self._patiently(functools.partial(reader.pieces, ids, _PAGE_BYTES), pages)
            done = 0
            for piece in pieces:
                self._retry_piece(batch[done : done + len(piece)], reader, pages, sent)
                done += len(piece)

    def _retry_piece(
        self,
        batch: List[Tuple[int, Failure]],
        reader: Reader,
        pages: "_PageSize",
        sent: Sent,
    ) -> None:
        old = [failure for _, failure in batch]

        def fetch_and_carry() -> Carried:
            rows = reader.fetch([failure.id for failure in old])
            return self._carrier.carry(rows, reader, sent)

        carried = self._patiently(fetch_and_carry, pages)
        # It was there when it failed.
        carried.tally.skip("deleted", carried.tally.skipped.pop("missing", 0))
        self.checkpoint.retried(batch[-1][0], old, carried.tally, carried.failures)

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopped()


class _Stopped(Exception):
    """The migration is to end."""


class _PageSize:
    """Rows of a page: fewer after a failure, then slowly more again.

    A source or a target that is overloaded, or that ends long statements, gets smaller pieces.
    """

    def __init__(self) -> None:
        self.rows = _PAGE_ROWS

    def shrink(self) -> None:
        self.rows = max(_SMALLEST_PAGE, self.rows // 2)

    def grow(self) -> None:
        self.rows = min(_PAGE_ROWS, self.rows + _SMALLEST_PAGE)


def _said(error: BaseException) -> str:
    """Say on one short line what is being waited for."""
    if isinstance(error, TablestoreThrottledError):
        return "the target asks to slow down"
    side = "source" if isinstance(error, SourceUnavailableError) else "target"
    text = " ".join(str(error).split())
    return f"waiting for the {side}: {text[:200]}"
