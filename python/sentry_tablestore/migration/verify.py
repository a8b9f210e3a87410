"""Compares a source with a table, node by node, and copies what the table lacks where asked to.

A page of the source is read, then the same ids of the table, then those rows of the source that did
not agree are looked at once more: Sentry goes on writing and deleting meanwhile. What Sentry wrote
to the table after the migration is newer there and no difference. Nothing is said about nodes that
only the table has.
"""

import hashlib
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..errors import TablestoreCorruptRowError, TablestoreError
from .carry import Carrier
from .legacy import LegacyReader
from .patience import patiently
from .sent import Sent
from .sources import source
from .sources.source import Part, Reader, Source, SourceRow, payload

MISSING = "missing"
DIFFERENT = "different"
UNREADABLE = "unreadable"
PICKLE = "pickle"

WORDS = {
    "same": "as in the source",
    "newer": "newer in the table than in the source: written by Sentry since then",
    "expired": "older than the table keeps nodes",
    "deleted": "not in the source (any more)",
    "repaired": "copied by --repair",
    MISSING: "not in the table",
    DIFFERENT: "with another payload in the table",
    UNREADABLE: "cannot be decoded in the source itself",
    PICKLE: "legacy pickles, which cannot be compared without --allow-pickle",
}
"""What a node can turn out to be, each in one way only. From `MISSING` on the table is not complete
or cannot be said to be.
"""

COMPLETE = ("same", "newer", "expired", "deleted", "repaired")

REPAIRABLE = (MISSING, DIFFERENT)

_PAGE_ROWS = 500
_PAGE_BYTES = 2 << 20
_MARGIN = 60000  # ms: what expires so soon may be gone before it is looked for
_LOOKS = 5
_PARTS_A_WORKER = 4


class Finding(NamedTuple):
    """A node for which the table is not, or not known to be, as the source.

    :ivar kind: `MISSING`, `DIFFERENT`, `UNREADABLE` or `PICKLE`.
    :ivar detail: What is known about it.
    """

    id: str
    kind: str
    detail: str


class _Stopped(Exception):
    """The comparison is to end."""


class Verifier:
    """Compares one source with one table.

    :param target: A TablestoreKVStorage.
    :param legacy: Converts legacy pickles, as the migration did; None leaves them uncompared.
    :param repair: Whether to copy what is missing or different, with its write time.
    :param found: Called with each finding that remains; from one thread at a time.
    :ivar counts: Nodes by what they turned out to be, keys of `WORDS`.
    :ivar bytes: Of the values that were compared.
    """

    def __init__(
        self,
        of: Source,
        target: Any,
        legacy: Optional[LegacyReader] = None,
        repair: bool = False,
        found: Callable[[Finding], None] = lambda finding: None,
    ) -> None:
        self._source = of
        self._target = target
        self._legacy = legacy
        self._carrier = Carrier(of, target, legacy) if repair else None
        self._found = found
        ttl = target.default_ttl
        self._lifetime = int(ttl.total_seconds() * 1000) if ttl else 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failure: Optional[BaseException] = None
        self._readers: List[Reader] = []
        self.counts = dict.fromkeys(WORDS, 0)
        self.bytes = 0

    @property
    def nodes(self) -> int:
        """How many nodes were looked at."""
        return sum(self.counts.values())

    @property
    def complete(self) -> bool:
        """Whether the table has everything that was looked at, and that was something."""
        return 0 < self.nodes == sum(self.counts[name] for name in COMPLETE)

    def full(self, workers: int, show: Callable[[int, int], None]) -> None:
        """Compare all of the source, page by page.

        :param show: Called now and then with nodes and bytes so far.
        :raises SourceError: when the source cannot be read.
        :raises TablestoreError: when the table cannot.
        """
        parts = self._source.parts(workers * _PARTS_A_WORKER)
        parts.reverse()
        threads = [
            threading.Thread(target=self._work, args=(parts,), daemon=True) for _ in range(workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
                    show(self.nodes, self.bytes)
        except BaseException:
            self._stop.set()
            with self._lock:
                readers = list(self._readers)
            for reader in readers:
                reader.cancel()
            raise
        if self._failure is not None:
            raise self._failure

    def sample(self, rows: int) -> int:
        """Compare about so many nodes from all over the source, without reading the rest of it.

        :returns: an estimate of the nodes that the source has; -1 where there is none.
        :raises SourceError: when the source cannot be read.
        :raises TablestoreError: when the table cannot.
        """
        sample = self._patiently(self._source.sample, rows)
        reader = self._source.reader()
        try:
            for piece in self._patiently(reader.pieces, sample.ids, _PAGE_BYTES):
                self._compare(self._patiently(reader.fetch, piece), reader)
        finally:
            reader.close()
        return int(sample.total)

    def _work(self, parts: List[Part]) -> None:
        reader = self._source.reader()
        with self._lock:
            self._readers.append(reader)
        try:
            while True:
                with self._lock:
                    if not parts:
                        return
                    part = parts.pop()
                self._compare_part(part, reader)
        except _Stopped:
            pass  # another thread has the reason
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            with self._lock:
                if self._failure is None and not self._stop.is_set():
                    self._failure = error
            self._stop.set()
        finally:
            reader.close()

    def _compare_part(self, part: Part, reader: Reader) -> None:
        cursor: Optional[str] = None
        while True:
            page = self._patiently(reader.page, part, cursor, _PAGE_ROWS, _PAGE_BYTES)
            self._compare(page.rows, reader)
            cursor = page.cursor
            if cursor is None:
                return

    def _compare(self, rows: List[SourceRow], reader: Reader) -> None:
        """Compare rows, and those that do not agree again as long as they change in the source."""
        todo = {row.id: row for row in rows}
        for look in range(_LOOKS):
            findings = self._patiently(self._judge, todo)
            wrong = [todo[finding.id] for finding in findings]
            read = [row for row in wrong if not row.trouble]
            changed: Dict[str, SourceRow] = {}
            if read and look < _LOOKS - 1:
                changed = {row.id: row for row in self._patiently(reader.changed, read)}
            self._settle(
                [finding for finding in findings if finding.id not in changed], todo, reader
            )
            todo = changed
            if not todo:
                return

    def _judge(self, rows: Dict[str, SourceRow], same: str = "same") -> List[Finding]:
        """Count the rows that are as they should be, and give the others.

        :param same: What to count those as that agree.
        """
        counts = dict.fromkeys(WORDS, 0)
        findings: List[Finding] = []
        plain: Dict[str, bytes] = {}
        for row in rows.values():
            expected, kind, detail = self._expected(row)
            if expected is not None:
                plain[row.id] = expected
            elif kind in COMPLETE:
                counts[kind] += 1
            else:
                findings.append(Finding(row.id, kind, detail))
        values, broken = self._values(list(plain))
        for id, expected in plain.items():
            kind, detail = self._against(rows[id], expected, values.get(id), broken.get(id, ""))
            if kind == "same":
                counts[same] += 1
            elif kind in COMPLETE:
                counts[kind] += 1
            else:
                findings.append(Finding(id, kind, detail))
        with self._lock:
            self.bytes += sum(map(len, plain.values()))
            for kind, count in counts.items():
                self.counts[kind] += count
        return findings

    def _expected(self, row: SourceRow) -> Tuple[Optional[bytes], str, str]:
        """Give the payload that the table must have; or None, what the row is, and a detail."""
        soon = int(time.time() * 1000) + _MARGIN
        if row.trouble == source.GONE:
            return None, "deleted", ""
        if row.trouble == source.EXPIRED or (row.expires and row.expires <= soon):
            return None, "expired", ""
        if self._lifetime and row.written and row.written + self._lifetime <= soon:
            return None, "expired", ""
        if row.trouble:
            return None, UNREADABLE, f"{row.trouble} {row.detail}".strip()
        try:
            plain = payload(self._source.encoding, row.value or b"")
        except ValueError as error:
            return None, UNREADABLE, " ".join(str(error).split())
        # Every pickle ends with its STOP, and no JSON does.
        if self._source.encoding == "raw" or plain.startswith(b"{") or not plain.endswith(b"."):
            return plain, "", ""
        if self._legacy is None:
            return None, PICKLE, ""
        converted, detail = self._legacy.to_json(plain)
        return converted, UNREADABLE, detail

    def _against(
        self, row: SourceRow, expected: bytes, value: Optional[bytes], broken: str
    ) -> Tuple[str, str]:
        """Say what a row is, and a detail, given what the table has for it."""
        if value is None and not broken:
            return MISSING, ""
        ours, theirs = _sha256(expected), _sha256(value) if value is not None else ""
        if ours == theirs:
            return "same", ""
        written = self._written(row.id)
        if self._source.dated and written is not None and written > row.written:
            return "newer", ""
        if broken:
            return DIFFERENT, f"the table's cannot be decoded: {broken}"
        return DIFFERENT, f"sha256 {ours} in the source, {theirs} in the table"

    def _values(self, ids: List[str]) -> Tuple[Dict[str, bytes], Dict[str, str]]:
        """Give the table's values, and why others of these ids cannot be decoded."""
        try:
            return dict(self._target.get_many(ids)), {}
        except TablestoreError as error:
            if not error.failures or any(
                failure.kind != TablestoreCorruptRowError.kind for failure in error.failures
            ):
                raise
            broken = {failure.id: failure.message for failure in error.failures}
        return dict(self._target.get_many([id for id in ids if id not in broken])), broken

    def _written(self, id: str) -> Optional[int]:
        """Tell when the table's node was written, ms since 1970; None when there is none."""
        nodes, _ = self._target.scan(id, 1)
        return nodes[0].written if nodes and nodes[0].id == id else None

    def _settle(self, findings: List[Finding], rows: Dict[str, SourceRow], reader: Reader) -> None:
        """Repair where that is asked for; count and tell what is left."""
        wrong = {finding.id: rows[finding.id] for finding in findings if finding.kind in REPAIRABLE}
        if self._carrier is not None and wrong:
            reasons = self._patiently(self._repair, wrong, reader, Sent())
            left = self._patiently(self._judge, wrong, "repaired")
            changed = self._patiently(reader.changed, [wrong[finding.id] for finding in left])
            gone = {row.id for row in changed if row.trouble == source.GONE}
            findings = [finding for finding in findings if finding.id not in wrong]
            findings += [
                finding._replace(detail=reasons.get(finding.id) or finding.detail)
                for finding in left
                if finding.id not in gone
            ]
            with self._lock:
                self.counts["deleted"] += len(gone)
        with self._lock:
            for finding in findings:
                self.counts[finding.kind] += 1
                self._found(finding)

    def _repair(self, rows: Dict[str, SourceRow], reader: Reader, sent: Sent) -> Dict[str, str]:
        """Copy rows, and say why some could not be."""
        for id, row in rows.items():
            # An import leaves alone what has the very time of the row: it takes it for its own.
            if self._source.dated and self._written(id) == row.written:
                self._target.discard_many([id], [row.written])
        assert self._carrier is not None
        carried = self._carrier.carry(list(rows.values()), reader, sent)
        return {
            failure.id: f"not copied, {failure.reason} {failure.detail}".strip()
            for failure in carried.failures
        }

    def _patiently(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step, unless all is to end."""
        self._pause(0)
        return patiently(work, *arguments, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped()


def _sha256(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
