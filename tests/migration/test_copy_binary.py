"""PostgreSQL's binary format of COPY, taken apart."""

import struct

import pytest
from sentry_tablestore.migration.sources.copy_binary import Copied, milliseconds

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
END = struct.pack(">h", -1)


def row(*columns):
    """Write a row as the server does."""
    sized = (
        struct.pack(">i", -1) if column is None else struct.pack(">i", len(column)) + column
        for column in columns
    )
    return struct.pack(">h", len(columns)) + b"".join(sized)


def copied(data, piece=None):
    """Give what a copy holds, as if it came in pieces of this size."""
    pieces = Copied()
    for at in range(0, len(data), piece or len(data) or 1):
        pieces.write(data[at : at + (piece or len(data))])
    return list(pieces.rows())


@pytest.mark.parametrize("piece", [None, 1, 7])
def test_rows_come_in_pieces_of_any_size(piece):
    data = HEADER + row(b"a", b"\t\n\\N\x00", b"") + row(b"b", None, b"\xff") + END
    assert copied(data, piece) == [[b"a", b"\t\n\\N\x00", b""], [b"b", None, b"\xff"]]


def test_no_rows_and_an_extension_of_the_header():
    assert copied(HEADER + END) == []
    extended = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 3) + b"xyz"
    assert copied(extended + row(b"a") + END) == [[b"a"]]


def test_less_than_a_whole_copy_is_refused():
    whole = HEADER + row(b"a", b"value") + END
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=r"ends in the middle|does not begin"):
            copied(whole[:size])
    with pytest.raises(ValueError, match="does not begin"):
        copied(b"a\tvalue\n" * 10)


@pytest.mark.parametrize(
    ("microseconds", "expected"),
    [
        (0, 946_684_800_000),
        (1_999, 946_684_800_001),
        (-1, 946_684_799_999),
        (2**63 - 1, -1),
        (-(2**63), -1),
    ],
)
def test_times_are_whole_milliseconds_since_1970(microseconds, expected):
    assert milliseconds(struct.pack(">q", microseconds)) == expected


def test_no_time_is_none():
    assert milliseconds(None) == -1
