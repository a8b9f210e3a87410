"""What became of rows, counted."""

from typing import Any, Dict, List, NamedTuple

SKIPPED = {
    "newer": "the target has a newer one",
    "exists": "the target has one, and the source tells no times",
    "expired": "older than default_ttl",
    "deleted": "deleted in the source meanwhile",
    "twice": "an id that the list has twice",
    "missing": "an id of the list that the source does not have",
}
"""Why a row needs no moving."""

FAILED = {
    "pickle": "a legacy pickle; --allow-pickle converts it",
    "broken": "its value cannot be decoded",
    "unreadable": "the source fails to read it",
    "undated": "its write time is none",
    "too large": "larger than 64 MiB",
    "invalid id": "its id can be no primary key",
    "refused": "the target refuses it",
}
"""Why a row could not be moved."""


class Failure(NamedTuple):
    """A row that could not be moved.

    :ivar reason: A key of FAILED.
    """

    id: str
    reason: str
    detail: str = ""


class Tally:
    """Counts of rows. Every row that was read is in exactly one of them.

    :ivar moved: Rows that are in the target with their value and write time.
    :ivar skipped: Rows by a key of SKIPPED.
    :ivar failed: Rows by a key of FAILED.
    :ivar bytes: Of the moved rows' values, as they are in the source.
    """

    def __init__(self) -> None:
        self.moved = 0
        self.skipped: Dict[str, int] = {}
        self.failed: Dict[str, int] = {}
        self.bytes = 0

    @property
    def rows(self) -> int:
        """All rows that were read."""
        return self.moved + sum(self.skipped.values()) + sum(self.failed.values())

    @property
    def failures(self) -> int:
        """All rows that could not be moved."""
        return sum(self.failed.values())

    def skip(self, reason: str, rows: int = 1) -> None:
        """Count rows that need no moving."""
        self.skipped[reason] = self.skipped.get(reason, 0) + rows

    def fail(self, failures: List[Failure], sign: int = 1) -> None:
        """Count rows that could not be moved, or with the sign -1 no longer."""
        for failure in failures:
            self.failed[failure.reason] = self.failed.get(failure.reason, 0) + sign

    def add(self, other: "Tally") -> None:
        """Add the counts of another one."""
        self.moved += other.moved
        self.bytes += other.bytes
        for mine, others in ((self.skipped, other.skipped), (self.failed, other.failed)):
            for reason, rows in others.items():
                mine[reason] = mine.get(reason, 0) + rows

    def to_json(self) -> Dict[str, Any]:
        """Give it as JSON values."""
        return {
            "moved": self.moved,
            "skipped": dict(self.skipped),
            "failed": {reason: rows for reason, rows in self.failed.items() if rows},
            "bytes": self.bytes,
        }

    @classmethod
    def from_json(cls, told: Dict[str, Any]) -> "Tally":
        """Make it of what `to_json` gave."""
        tally = cls()
        tally.moved, tally.bytes = told["moved"], told["bytes"]
        tally.skipped, tally.failed = dict(told["skipped"]), dict(told["failed"])
        return tally
