"""Carries a page of rows into the target, and says what became of each."""

import json
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import (
    TablestoreAccessError,
    TablestoreCertificateError,
    TablestoreClosedError,
    TablestoreCorruptAnswerError,
    TablestoreError,
    TablestoreInternalError,
    TablestoreInvalidIDError,
    TablestoreLoadError,
    TablestoreOptionsError,
    TablestorePartialError,
    TablestoreTableError,
    TablestoreTimeoutError,
    TablestoreUnavailableError,
)
from ..kvstore.arguments import checked_id
from ..kvstore.imported import ImportedNode
from .legacy import LegacyReader
from .sent import Sent
from .sources import source
from .sources.source import Reader, Source, SourceRow, TooLargeError, payload
from .tally import Failure, Tally

TEMPORARY = (
    TablestoreUnavailableError,
    TablestoreTimeoutError,
    TablestoreCorruptAnswerError,
    TablestoreClosedError,
)
"""What another try may mend."""

# What is wrong with the target and not with a row.
_FATAL = (
    TablestoreAccessError,
    TablestoreCertificateError,
    TablestoreTableError,
    TablestoreOptionsError,
    TablestoreLoadError,
    TablestoreInternalError,
)

_TROUBLES = {
    source.TOO_LARGE: "too large",
    source.UNDATED: "undated",
    source.UNREADABLE: "unreadable",
}
# A row that keeps changing in the source is looked at so often; its last state is in the target.
_ROUNDS = 10


class Carried:
    """What became of the rows of a page.

    :ivar tally: Their counts.
    :ivar failures: The rows among them that could not be moved.
    """

    def __init__(self) -> None:
        self.tally = Tally()
        self.failures: List[Failure] = []

    def fail(self, id: str, reason: str, detail: str = "") -> None:
        """Count a row that could not be moved."""
        failure = Failure(id, reason, detail)
        self.failures.append(failure)
        self.tally.fail([failure])


class Carrier:
    """Carries rows of one source into one table. Any number of threads may use it.

    :param target: A TablestoreKVStorage, of which it uses `import_many` and `discard_many`.
    :param legacy: Converts legacy pickles; None lists them as failed.
    """

    def __init__(self, of: Source, target: Any, legacy: Optional[LegacyReader] = None) -> None:
        self._source = of
        self._target = target
        self._legacy = legacy

    def carry(self, rows: List[SourceRow], reader: Reader, sent: Optional[Sent] = None) -> Carried:
        """Carry rows, then look at the source again and follow what has changed there meanwhile.

        :param sent: Of this worker: what an attempt that failed has left in it is settled first.
        :raises TablestoreError: one of TEMPORARY, after which the same call may be repeated, or
            another that concerns no single row.
        :raises SourceError: from looking at the source again.
        """
        sent = Sent() if sent is None else sent
        before = {row.id: row.written for row in sent.rows()}
        self.settle(sent, reader)
        carried = Carried()
        moved = self._move(rows, carried, sent, before)
        for _ in range(_ROUNDS):
            changed = reader.changed(list(moved.values()))
            if not changed:
                break
            self._follow(changed, moved, carried, sent)
        sent.clear()
        carried.tally.moved += len(moved)
        carried.tally.bytes += sum(len(row.value or b"") for row in moved.values())
        return carried

    def settle(self, sent: Sent, reader: Reader) -> None:
        """Take back what was sent by an attempt that did not come to its end, and has been deleted
        in the source since it was read.

        What is still there when it is looked at here needs no other look: whoever deletes it
        later deletes it from the target as well.

        :raises TablestoreError: as `carry`.
        :raises SourceError: as `carry`.
        """
        rows = sent.rows()
        if not rows:
            return
        gone = {row.id for row in reader.changed(rows) if row.trouble == source.GONE}
        self._discard([row for row in rows if row.id in gone])
        sent.clear()

    def _follow(
        self,
        changed: List[SourceRow],
        moved: Dict[str, SourceRow],
        carried: Carried,
        sent: Sent,
    ) -> None:
        gone = [moved.pop(row.id) for row in changed if row.trouble == source.GONE]
        if gone:
            self._discard(gone)
            carried.tally.skip("deleted", len(gone))
        again = [row for row in changed if row.trouble != source.GONE]
        for row in again:
            del moved[row.id]
        moved.update(self._move(again, carried, sent))

    def _discard(self, rows: List[SourceRow]) -> None:
        # Only what was imported: a node that Sentry wrote into the target since then stays.
        if rows:
            self._target.discard_many([row.id for row in rows], [row.written for row in rows])

    def _move(
        self,
        rows: List[SourceRow],
        carried: Carried,
        sent: Sent,
        before: Optional[Mapping[str, int]] = None,
    ) -> Dict[str, SourceRow]:
        """Import rows and give those that are in the target now, by their ids.

        :param before: The write times with which an attempt that failed sent some of them.
        """
        once = {row.id: row for row in rows}
        if len(once) < len(rows):
            carried.tally.skip("twice", len(rows) - len(once))
        importable = [row for row in once.values() if self._is_importable(row, carried)]
        if not self._source.dated:
            # So that an import can be taken back, which goes by the write time, and what an attempt
            # has written that failed is known by it.
            now, known = int(time.time() * 1000), before or {}
            importable = [row._replace(written=known.get(row.id, now)) for row in importable]
        sent.add(importable)
        moved: Dict[str, SourceRow] = {}
        outcomes = self._import(importable, self._source.encoding, carried)
        decoded: List[SourceRow] = []
        for row, outcome in zip(importable, outcomes):
            if outcome in ("pickle", "broken"):
                plain = self._decoded(row, carried)
                if plain is not None:
                    decoded.append(plain)
            elif self._is_in_target(row, outcome, carried):
                moved[row.id] = row
        for row, outcome in zip(decoded, self._import(decoded, "raw", carried)):
            if self._is_in_target(row, outcome, carried):
                moved[row.id] = row
        return moved

    def _is_importable(self, row: SourceRow, carried: Carried) -> bool:
        if row.trouble == source.GONE:
            carried.tally.skip("missing")
        elif row.trouble == source.EXPIRED:
            carried.tally.skip("expired")
        elif row.trouble:
            carried.fail(row.id, _TROUBLES[row.trouble], row.detail)
        else:
            try:
                checked_id(row.id)
            except TablestoreInvalidIDError as error:
                carried.fail(row.id, "invalid id", error.message)
            else:
                return True
        return False

    @staticmethod
    def _is_in_target(row: SourceRow, outcome: str, carried: Carried) -> bool:
        # "same": this very row was imported by an earlier run, or by one that was killed.
        if outcome in ("written", "same"):
            return True
        if outcome in ("newer", "exists", "expired"):
            carried.tally.skip(outcome)
        elif outcome != _COUNTED:
            carried.fail(row.id, "broken", f"the engine says {outcome!r}")
        return False

    def _decoded(self, row: SourceRow, carried: Carried) -> Optional[SourceRow]:
        """Give a row that the engine took for a pickle or for broken as a plain JSON payload."""
        try:
            plain = payload(self._source.encoding, row.value or b"")
        except TooLargeError:
            carried.fail(row.id, "too large")
            return None
        except ValueError as error:
            carried.fail(row.id, "broken", " ".join(str(error).split()))
            return None
        if plain.startswith(b"{") or _is_json(plain):
            return row._replace(value=plain)
        # Every pickle ends with its STOP, and no JSON does.
        if not plain.endswith(b"."):
            carried.fail(row.id, "broken", "its payload is neither JSON nor a pickle")
        elif self._legacy is None:
            carried.fail(row.id, "pickle")
        else:
            converted, detail = self._legacy.to_json(plain)
            if converted is not None:
                return row._replace(value=converted)
            carried.fail(row.id, "pickle", detail)
        return None

    def _import(self, rows: List[SourceRow], encoding: str, carried: Carried) -> List[str]:
        """Import rows and give their outcomes; of rows that the target refuses, one by one."""
        if not rows:
            return []
        nodes = [ImportedNode(row.id, row.value or b"", row.written, row.expires) for row in rows]
        missing = not self._source.dated
        try:
            return list(self._target.import_many(nodes, encoding, missing))
        except TablestoreError as error:
            if is_temporary(error) or isinstance(error, _FATAL):
                raise
            if len(rows) > 1:
                half = len(rows) // 2
                return self._import(rows[:half], encoding, carried) + self._import(
                    rows[half:], encoding, carried
                )
            carried.fail(rows[0].id, "refused", str(error))
            return [_COUNTED]


_COUNTED = "counted"
"""The outcome of a row that is among the failures already."""


def is_temporary(error: TablestoreError) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, TablestorePartialError):
        return all(failure.kind in _TEMPORARY_KINDS for failure in error.failures)
    return isinstance(error, TEMPORARY)


def _kinds(classes: Tuple[type, ...]) -> List[str]:
    found = [cls.kind for cls in classes]  # type: ignore[attr-defined]
    for cls in classes:
        found += _kinds(tuple(cls.__subclasses__()))
    return found


_TEMPORARY_KINDS = frozenset(_kinds(TEMPORARY))


def _is_json(plain: bytes) -> bool:
    try:
        json.loads(plain.split(b"\n", 1)[0].decode("utf-8"))
    except (ValueError, RecursionError):  # the latter for what is nested too deeply
        return False
    return True
