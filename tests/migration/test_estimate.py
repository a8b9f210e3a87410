"""--dry-run: rows, bytes, capacity units and time, from a sample."""

import time

import pytest
from nodestore_node import encoded
from sentry_tablestore.migration.estimate import Estimate, estimate, lines
from sentry_tablestore.migration.rate import Rate
from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource

NOW = int(time.time() * 1000)
DAY = 86_400_000


@pytest.fixture
def table(make_table):
    """2,000 rows: a tenth expired, a tenth pickles, a twentieth broken."""
    table = make_table()
    payload = b'{"a":"%s"}' % bytes(range(97, 123)) * 100
    big = b'{"b":"%s"}' % b"".join(b"%d," % (n * 7919 % 99991) for n in range(3000))

    def row(n):
        id = f"{n * 7919 % 99991:05}"
        if n % 10 == 0:
            return id, payload, NOW - 91 * DAY
        if n % 10 == 1:
            return id, b"\x80\x02}q\x00.", NOW
        if n % 20 == 2:
            return id, "no base64 of zlib", NOW
        return id, big if n % 10 == 3 else payload, NOW

    rows = [row(n) for n in range(2000)]
    table.insert(rows)
    table.run("ANALYZE {table}")
    table.rows = rows
    return table


def test_an_estimate_is_about_what_there_is(table):
    of = PostgreSQLSource(table.connect, table.name, lifetime=90 * DAY)
    told = estimate(of, compressed=True)
    assert told.rows == pytest.approx(2000, rel=0.02)
    assert told.sampled > 500
    share = {reason: count / told.sampled for reason, count in told.troubles.items()}
    assert share["expired"] == pytest.approx(0.1, abs=0.03)
    assert share["pickle"] == pytest.approx(0.1, abs=0.03)
    assert share["broken"] == pytest.approx(0.05, abs=0.03)
    read = [data for _, data, written in table.rows if isinstance(data, bytes) and written == NOW]
    assert told.raw_bytes == pytest.approx(sum(map(len, read)), rel=0.2)
    stored = sum(len(encoded(data)) * 3 // 4 for data in read)
    assert told.stored_bytes == pytest.approx(stored, rel=0.2)
    # A unit for each 4 KB that is begun.
    units = sum(-(-(len(encoded(data)) * 3 // 4 + 100) // 4096) for data in read)
    assert told.write_units == pytest.approx(units, rel=0.2)
    # One for the condition of each row that nothing is there.
    assert told.read_units == pytest.approx(0.85 * 2000, rel=0.1)
    # As it is: all bytes, and more units.
    plain = estimate(of, compressed=False)
    assert plain.stored_bytes == plain.raw_bytes
    assert plain.write_units > 1.1 * told.write_units


def test_an_empty_source(make_table):
    table = make_table()
    told = estimate(PostgreSQLSource(table.connect, table.name), compressed=True)
    assert lines(told, 4, None, "zlib") == ["Dry run: the source is empty."]


def test_lines():
    told = Estimate(
        1_000_000,
        2000,
        {"expired": 100, "pickle": 20},
        4 * 10**9,
        3 * 10**9,
        10**10,
        1_200_000,
        950_000,
        400.0,
    )
    found = lines(told, 4, None, "zlib")
    assert found == [
        "Dry run, from a sample of 2,000 rows; nothing was written.",
        "  rows                  about 1,000,000",
        "  not moved as it is    expired 5.0%, pickle 1.0%",
        "  bytes in the source   4.0 GB",
        "  bytes of payload      10.0 GB",
        "  bytes in the target   3.0 GB (zlib)",
        "  capacity units        1,200,000 write, 950,000 read",
        "  time                  from 1m 40s: as fast as the sample was read, times 4 workers; the "
        "target's speed is not measured here",
    ]
    assert "16m 40s at --rate" in lines(told, 4, Rate(1000, "rows"), "zlib")[-1]
    assert "1h 6m at --rate" in lines(told, 4, Rate(10**6, "bytes"), "zlib")[-1]
    unknown = lines(told._replace(rows=-1), 4, None, "zlib")
    assert "an unknown number of rows" in unknown[1]
