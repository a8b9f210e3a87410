"""Rows in PostgreSQL's binary format of COPY: nothing is escaped, and a time is a number.

The manual's chapter on COPY has the format: a signature, flags, an extension with its length, then
rows, each a number of columns with their lengths, and -1 for the end. All numbers are big-endian.
"""

import struct
from typing import Iterator, List, Optional

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_HEADER = struct.Struct(">ii")
_COLUMNS = struct.Struct(">h")
_LENGTH = struct.Struct(">i")

# PostgreSQL counts microseconds from 2000 on.
_EPOCH_MS = 946_684_800_000
_INFINITIES = (b"\x7f" + 7 * b"\xff", b"\x80" + 7 * b"\x00")


class Copied(list):
    """What `copy_expert` writes to: pieces of any size."""

    write = list.append

    def rows(self) -> Iterator[List[Optional[bytes]]]:
        """Give the columns of each row, None for NULL.

        :raises ValueError: for something else than a whole copy.
        """
        data = b"".join(self)
        del self[:]
        at = len(_SIGNATURE) + _HEADER.size
        if data[: len(_SIGNATURE)] != _SIGNATURE or len(data) < at:
            raise ValueError("does not begin as PostgreSQL's binary format does")
        at += _HEADER.unpack_from(data, len(_SIGNATURE))[1]
        length_of, whole = _LENGTH.unpack_from, len(data)
        try:
            while True:
                (columns,) = _COLUMNS.unpack_from(data, at)
                at += _COLUMNS.size
                if columns < 0:
                    return
                row: List[Optional[bytes]] = []
                for _ in range(columns):
                    (length,) = length_of(data, at)
                    at += 4
                    if length < 0:
                        row.append(None)
                        continue
                    row.append(data[at : at + length])
                    at += length
                if at > whole:
                    break
                yield row
        except struct.error:
            pass
        raise ValueError("ends in the middle of a row")


def milliseconds(timestamptz: Optional[bytes]) -> int:
    """Give a column's time in whole milliseconds since 1970, rounded down; -1 for NULL and for
    PostgreSQL's infinities."""
    if timestamptz is None or timestamptz in _INFINITIES:
        return -1
    return int.from_bytes(timestamptz, "big", signed=True) // 1000 + _EPOCH_MS
