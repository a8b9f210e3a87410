"""Nodes as a scan of the table tells of them."""

import json
from typing import List, NamedTuple, Optional, Tuple


class ScannedNode(NamedTuple):
    """A node in the table.

    :ivar id: Its id.
    :ivar written: When it was written, in milliseconds since 1970.
    :ivar expires: When its own ttl ends, in milliseconds since 1970; 0: it has none.
    :ivar compression: "", "zlib" or "zstd".
    :ivar stored: Bytes of its value as it is in the table.
    :ivar size: Bytes of its value; -1: not known without decompressing it.
    :ivar value: Its value; None unless asked for, and where `error` is not "".
    :ivar error: Why it cannot be decoded; "" where it can, as far as the scan looked.
    """

    id: str
    written: int
    expires: int
    compression: str
    stored: int
    size: int
    value: Optional[bytes]
    error: str


def scanned_nodes(block: List[Optional[bytes]]) -> Tuple[List[ScannedNode], Optional[str]]:
    """Give the nodes of the engine's answer, and the id to go on from or None at the end."""
    description = json.loads((block[0] or b"").decode("utf-8"))
    nodes = [
        ScannedNode(value=value, **node) for node, value in zip(description["nodes"], block[1:])
    ]
    return nodes, description["next"] or None
