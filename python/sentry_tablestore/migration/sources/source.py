"""What every source gives: rows in pages, parts, and what it can tell about itself."""

import base64
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

GONE = "gone"
"""The id was asked for and the source has no such node (any more)."""
EXPIRED = "expired"
"""Written before the limit of `expired_before`; its value was not read."""
TOO_LARGE = "too large"
"""Larger than any node may be; its value was not read."""
UNDATED = "undated"
"""Its write time is none: PostgreSQL's `infinity`, or before 1970."""
UNREADABLE = "unreadable"
"""The source's own reader fails on it; `detail` says how."""

AT_ONCE = 100
"""Rows to ask for at once where nothing tells their sizes."""
LARGEST = 64 << 20
"""Bytes of a payload that a node may have."""


class SourceError(Exception):
    """The source is not what was said, or cannot be read; the message says what to do."""


class SourceUnavailableError(SourceError):
    """The source does not answer now: worth another try."""


class SourceRow(NamedTuple):
    """One node of a source.

    :ivar value: In the source's `encoding`; None when there is `trouble`.
    :ivar written: Time of its last write, ms since 1970; 0 unknown.
    :ivar expires: Moment after which it is hidden, ms since 1970; 0 none.
    :ivar trouble: "" or why there is no value: GONE, EXPIRED, TOO_LARGE, UNDATED, UNREADABLE.
    :ivar detail: More about the trouble, for a report.
    """

    id: str
    value: Optional[bytes]
    written: int
    expires: int = 0
    trouble: str = ""
    detail: str = ""


class Part(NamedTuple):
    """A piece of a source; the meaning of both bounds is the source's own.

    :ivar after: Where it begins, exclusive; None at the source's beginning.
    :ivar upto: Where it ends, inclusive; None at the source's end.
    """

    after: Optional[str]
    upto: Optional[str]


class Page(NamedTuple):
    """Rows of a part in its order.

    :ivar cursor: Where the next page begins; None when the part has been read to its end.
    """

    rows: List[SourceRow]
    cursor: Optional[str]


class Sample(NamedTuple):
    """Some rows from all over a source, and what they say about it.

    :ivar ids: Of these rows, for `Reader.fetch`.
    :ivar total: Estimate of the source's rows; -1 unknown.
    :ivar oldest: Write time of the oldest row, ms since 1970; 0 unknown.
    """

    ids: List[str]
    total: int
    oldest: int


class Reader:
    """One connection to a source, for one thread."""

    def page(self, part: Part, cursor: Optional[str], max_rows: int, max_bytes: int) -> Page:
        """Give the rows after `cursor` (None: from the part's beginning), at least one unless the
        part ends.

        :param max_bytes: Of encoded values, above which no further row is added.
        :raises SourceUnavailableError: when a later try may succeed.
        :raises SourceError: when it will not.
        """
        raise NotImplementedError

    def changed(self, rows: List[SourceRow]) -> List[SourceRow]:
        """Give those of the rows that are not in the source any more as they were read: anew, with
        the trouble GONE when they have been deleted.

        Asked after the rows have been written elsewhere, so that a delete or a write that came
        between reading and writing is not undone.
        """
        return []

    def fetch(self, ids: Sequence[str]) -> List[SourceRow]:
        """Read rows by their ids, in the order of these; GONE where there is none."""
        raise NotImplementedError

    def pieces(self, ids: Sequence[str], max_bytes: int) -> List[List[str]]:
        """Split ids, in their order, so that what `fetch` gives of a piece fits into the memory.

        :param max_bytes: Of encoded values in a piece of several rows. A source that cannot tell
            sizes beforehand keeps that about.
        """
        return [list(ids[at : at + AT_ONCE]) for at in range(0, len(ids), AT_ONCE)]

    def cancel(self) -> None:
        """End a call that another thread is blocked in, as soon as possible."""

    def close(self) -> None:
        """Give the connection back."""


class Source:
    """Nodes to read.

    :ivar encoding: Of the values: "raw" or "base64+zlib".
    :ivar dated: Whether rows have the times of their last writes.
    """

    encoding = "raw"
    dated = True

    def check(self) -> None:
        """Refuse a source that is not there or has another shape.

        :raises SourceError: naming what is wrong.
        """
        raise NotImplementedError

    def identity(self) -> Dict[str, Any]:
        """Tell which source this is, as JSON values, without a credential or a host's name."""
        raise NotImplementedError

    def describe(self) -> str:
        """Say which source this is, for people."""
        raise NotImplementedError

    def parts(self, count: int) -> List[Part]:
        """Split the source into about so many parts of about the same size, which together are
        all of it.
        """
        raise NotImplementedError

    def sample(self, rows: int) -> Sample:
        """Choose about so many rows from all over the source."""
        raise NotImplementedError

    def reader(self) -> Reader:
        """Make a reader; it connects at its first use."""
        raise NotImplementedError


class TooLargeError(ValueError):
    """A payload is larger than any node may be."""


def payload(encoding: str, value: bytes) -> bytes:
    """Decode a value exactly as the reader of the backend that wrote it does.

    :param encoding: The source's.
    :raises TooLargeError: when it is larger than a node may be; it is not decoded any further.
    :raises ValueError: when it cannot be decoded.
    """
    if encoding == "raw":
        return value
    # sentry.utils.strings.decompress, which moves: base64 that skips foreign characters, and a
    # zlib stream, whatever follows it.
    stream = zlib.decompressobj()
    try:
        # A megabyte of a row can stand for a gigabyte.
        plain = stream.decompress(base64.b64decode(value), LARGEST + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(plain) > LARGEST:
        raise TooLargeError("its payload is larger than 64 MiB")
    if not stream.eof:
        raise ValueError("its zlib stream is cut off")
    return plain
