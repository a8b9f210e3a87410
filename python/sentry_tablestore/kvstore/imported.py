"""Nodes that come from another store, with the time at which they were written there."""

from typing import Any, List, NamedTuple, Tuple

from .arguments import checked_id, checked_value


class ImportedNode(NamedTuple):
    """A node of another store.

    :ivar id: Its id.
    :ivar value: Its value, in the encoding that the import is told.
    :ivar written: When it was written, in milliseconds since 1970; 0 stands for now.
    :ivar expires: When it goes, in milliseconds since 1970; 0: when the table says so.
    """

    id: str
    value: bytes
    written: int
    expires: int = 0


ENCODINGS = ("raw", "zlib", "base64+zlib")
"""The forms in which the values of an import may come: as they are, as zlib streams, or these in
base64, as in the column `data` of Django's table `nodestore_node`."""

# The engine's letters: store/import.go.
_OUTCOMES = {
    "w": "written",
    "s": "same",
    "n": "newer",
    "e": "exists",
    "x": "expired",
    "p": "pickle",
    "b": "broken",
}

Columns = Tuple[List[str], List[bytes], List[int], List[int]]


def columns(nodes: Any) -> Columns:
    """Give ids, values, written and expires of the nodes, checked.

    :raises ValueError: for an id that is there twice, or a negative time.
    """
    ids: List[str] = []
    values: List[bytes] = []
    written: List[int] = []
    expires: List[int] = []
    for id, value, at, until in nodes:
        if at < 0 or until < 0:
            raise ValueError(
                f"written and expires must be milliseconds since 1970, not {at!r} and {until!r}"
            )
        ids.append(checked_id(id))
        values.append(checked_value(value))
        written.append(at)
        expires.append(until)
    if len(set(ids)) != len(ids):
        raise ValueError("the nodes of an import must have different ids")
    return ids, values, written, expires


def encoding_number(encoding: str) -> int:
    """Give the engine's number of an encoding.

    :raises ValueError: for another than ENCODINGS.
    """
    if encoding not in ENCODINGS:
        raise ValueError("encoding must be {}, not {!r}".format(" or ".join(ENCODINGS), encoding))
    return ENCODINGS.index(encoding)


def outcomes(letters: bytes) -> List[str]:
    """Give the outcomes that the engine's letters stand for."""
    return [_OUTCOMES[letter] for letter in letters.decode("ascii")]
