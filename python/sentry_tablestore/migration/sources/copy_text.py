"""Rows in PostgreSQL's text format of COPY: one a line, columns between tabs."""

import re
from typing import List, Optional

_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_MEANING = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_NULL = b"\\N"


class Lines(list):
    """What `copy_expert` writes to: it keeps each line as it is."""

    write = list.append

    def columns(self) -> List[List[bytes]]:
        """Give the columns of each row, still escaped; each last one ends with a line break.

        The server sends a line a message. It need not by its manual, so that is looked at.
        """
        whole = all(line.endswith(b"\n") and line.find(b"\n") == len(line) - 1 for line in self)
        lines: List[bytes] = self if whole else b"".join(self).splitlines(keepends=True)
        return [line.split(b"\t") for line in lines]


def unescaped(column: bytes) -> Optional[bytes]:
    """Give a column's value, None for NULL."""
    if b"\\" not in column:
        return column
    if column == _NULL:
        return None
    return _ESCAPE.sub(lambda found: _MEANING.get(found.group(1), found.group(1)), column)
