"""Rows from PostgreSQL: all of them, once, exactly, in bounded pages."""

from datetime import datetime, timezone

import psycopg2
import pytest
from nodestore_node import encoded, moment
from sentry_tablestore.migration.sources import postgresql, source
from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource
from sentry_tablestore.migration.sources.source import (
    Part,
    SourceError,
    SourceUnavailableError,
    payload,
)

WHOLE = Part(None, None)
NOW = 1_790_000_000_123


def read_all(of, max_rows=7, max_bytes=1 << 20, parts=None):
    """Read all parts of a source and give every page's rows."""
    pages, reader = [], of.reader()
    for part in parts or of.parts(1):
        cursor = None
        while True:
            page = reader.page(part, cursor, max_rows, max_bytes)
            pages.append(page.rows)
            cursor = page.cursor
            if cursor is None:
                break
    reader.close()
    return pages


def test_all_rows_are_read_once_in_pages_and_in_parts(make_table):
    table = make_table()
    ids = [f"{n * 7919 % 10007:05x}" for n in range(3000)] + [
        "i-o:1",
        "p-i-e:2",
        "e-g-f:3",
        "é\\\t",
    ]
    table.insert((id, b"{}", NOW) for id in ids)
    of = PostgreSQLSource(table.connect, table.name)
    for count in (1, 5, 64):
        parts = of.parts(count)
        assert len(parts) == count
        rows = [row for page in read_all(of, 97, parts=parts) for row in page]
        assert sorted(row.id for row in rows) == sorted(ids)


def test_a_value_arrives_as_the_django_backend_reads_it(make_table):
    table = make_table()
    wrapped = encoded(b'{"wrapped":1}')
    wrapped = wrapped[:10] + "\n" + wrapped[10:] + "\n"
    table.insert([("a", b'{"a":"' + b"x" * 5000 + b'"}\nsub\n{}', NOW), ("b", wrapped, NOW)])
    of = PostgreSQLSource(table.connect, table.name)
    ((first, second),) = read_all(of)[:1]
    assert payload(of.encoding, first.value) == b'{"a":"' + b"x" * 5000 + b'"}\nsub\n{}'
    assert second.value == wrapped.encode()
    assert payload(of.encoding, second.value) == b'{"wrapped":1}'


def test_write_times_are_whole_milliseconds_rounded_down(make_table):
    table = make_table()
    moments = {
        "a": ("2026-11-23 10:00:00.123999+00", "2026-11-23T10:00:00.123"),
        "b": ("2026-11-23 10:00:00.999999+00", "2026-11-23T10:00:00.999"),
        "c": ("2026-11-23 10:00:00+02", "2026-11-23T08:00:00.000"),
        "d": ("1999-12-31 23:59:59.001+00", "1999-12-31T23:59:59.001"),
    }
    for id, (written, _) in moments.items():
        table.run("INSERT INTO {table} VALUES (%s, %s, %s)", [id, encoded(b"{}"), written])
    table.run("INSERT INTO {table} VALUES ('e', '', 'infinity'), ('f', '', '1960-01-01')")
    rows = {
        row.id: row
        for page in read_all(PostgreSQLSource(table.connect, table.name))
        for row in page
    }
    for id, (_, floor) in moments.items():
        expected = datetime.fromisoformat(floor).replace(tzinfo=timezone.utc).timestamp() * 1000
        assert rows[id].written == round(expected)
    assert rows["e"].trouble == rows["f"].trouble == source.UNDATED


def test_pages_stop_at_the_limit_of_bytes(make_table):
    table = make_table()
    table.run(
        "INSERT INTO {table} SELECT to_char(n, 'FM0000'), repeat('x', 10000), now()"
        " FROM generate_series(1, 100) n"
    )
    pages = read_all(PostgreSQLSource(table.connect, table.name), 1000, 35_000)
    assert [len(page) for page in pages] == [4] * 25 + [0]
    pages = read_all(PostgreSQLSource(table.connect, table.name), 1000, 1)
    assert [len(page) for page in pages] == [1] * 100 + [0]


def test_since_until_and_lifetime(make_table):
    table = make_table()
    table.insert((f"{n}", b"{}", NOW + n) for n in range(6))
    of = PostgreSQLSource(table.connect, table.name, since=NOW + 2, until=NOW + 4)
    assert [row.id for page in read_all(of) for row in page] == ["2", "3"]
    import time

    now = int(time.time() * 1000)
    table.insert([("old", b"{}", now - 100_000), ("young", b"{}", now)])
    of = PostgreSQLSource(table.connect, table.name, lifetime=50_000, since=now - 200_000)
    rows = {row.id: row for page in read_all(of) for row in page}
    assert rows["old"].trouble == source.EXPIRED
    assert rows["old"].value is None
    assert rows["young"].value == encoded(b"{}").encode()


def test_changed_tells_deleted_and_rewritten_rows(make_table):
    table = make_table()
    table.insert((id, b"{}", NOW) for id in ("a", "b", "c"))
    of = PostgreSQLSource(table.connect, table.name)
    reader = of.reader()
    rows = reader.page(WHOLE, None, 10, 1 << 20).rows
    assert reader.changed(rows) == []
    table.run("DELETE FROM {table} WHERE id = 'a'")
    table.run(
        "UPDATE {table} SET data = %s, timestamp = %s WHERE id = 'c'",
        [encoded(b'{"n":1}'), moment(NOW + 1)],
    )
    gone, new = reader.changed(rows)
    assert (gone.id, gone.trouble) == ("a", source.GONE)
    assert (new.id, new.written, payload(of.encoding, new.value)) == ("c", NOW + 1, b'{"n":1}')


@pytest.mark.parametrize("limits", [{}, {"since": NOW - 10, "until": NOW + 10}])
def test_changed_looks_at_a_page_as_a_whole_and_at_others_by_their_ids(make_table, limits):
    table = make_table()
    table.insert((f"{n:02}", b"{}", NOW) for n in range(60))
    table.insert((f"{n:02}+", b"{}", NOW - 1000) for n in range(60))
    of = PostgreSQLSource(table.connect, table.name, **limits)
    reader = of.reader()
    first = reader.page(WHOLE, None, 40, 1 << 20)
    second = reader.page(WHOLE, first.cursor, 40, 1 << 20)
    table.insert([("30-", b"{}", NOW)])  # new between rows of the page: none of those asked for
    for id, written in (("05", NOW - 5000), ("35", NOW + 5000), ("36", NOW + 1)):
        table.run(
            "UPDATE {table} SET data = %s, timestamp = %s WHERE id = %s",
            [encoded(b'{"n":1}'), moment(written), id],
        )
    table.run("DELETE FROM {table} WHERE id IN ('06', '37', '38+')")
    for rows in (second.rows, second.rows[3:], second.rows[:5], first.rows, []):
        asked = {row.id for row in rows}
        changed = {row.id: row for row in reader.changed(rows)}
        assert set(changed) == asked & {"05", "06", "35", "36", "37", "38+"}
        for id, row in changed.items():
            if id in ("06", "37", "38+"):
                assert row.trouble == source.GONE
            else:
                assert payload(of.encoding, row.value) == b'{"n":1}'


def test_one_unreadable_row_does_not_hide_the_others(make_table):
    table = make_table()
    table.insert((id, b"{}", NOW) for id in ("a", "b", "c"))
    view = table.name + "_view"
    table.run(
        f"CREATE VIEW {view} AS SELECT id, CASE id WHEN 'b' THEN (length(data) / 0)::text"
        " ELSE data END AS data, timestamp FROM {table}"
    )
    of = PostgreSQLSource(table.connect, view)
    of.check()
    rows = [row for page in read_all(of) for row in page]
    assert [row.trouble for row in rows] == ["", source.UNREADABLE, ""]
    assert "division by zero" in rows[1].detail


def test_wrong_tables_are_refused(make_table):
    table = make_table()
    for statement, said in (
        (
            "CREATE TABLE {} (id varchar, data bytea, timestamp timestamptz)",
            "data has another type",
        ),
        ("CREATE TABLE {} (id varchar, data text, timestamp timestamp)", "timestamp has another"),
        ("CREATE TABLE {} (id varchar, data text, timestamp timestamptz)", "no primary key"),
        ("CREATE TABLE {} (id varchar)", "does not exist"),
    ):
        name = table.name + "_wrong"
        table.run(statement.format(name))
        with pytest.raises(SourceError, match=said):
            PostgreSQLSource(table.connect, name).check()
        table.run(f"DROP TABLE {name}")
    with pytest.raises(SourceError, match="does not exist"):
        PostgreSQLSource(table.connect, "no_such_table").check()


def test_an_unreachable_database_is_told_as_such(tmp_path):
    of = PostgreSQLSource(lambda: psycopg2.connect(host=str(tmp_path), user="nobody"))
    with pytest.raises(SourceUnavailableError, match="No such file"):
        of.check()


def test_a_reader_connects_again_after_a_lost_connection(make_table):
    table = make_table()
    table.insert([("a", b"{}", NOW)])
    reader = PostgreSQLSource(table.connect, table.name).reader()
    assert reader.page(WHOLE, None, 10, 1000).rows
    table.lose_connections()
    with pytest.raises(SourceUnavailableError):
        reader.page(WHOLE, None, 10, 1000)
    assert reader.page(WHOLE, None, 10, 1000).rows


def test_the_sample_is_of_the_whole_table(make_table):
    table = make_table()
    table.insert((f"{n:04}", b"{}", NOW + n) for n in range(1000))
    of = PostgreSQLSource(table.connect, table.name)
    assert (of.sample(0).total, of.sample(0).oldest) == (1000, NOW)
    for rows in (1, 100, 501, 999, 1000, 2000):
        ids = list(map(int, of.sample(rows).ids))
        assert len(ids) == len(set(ids)) == min(rows, 1000)
        assert (
            max(after - before for before, after in zip(ids, [*ids[1:], 1000])) <= 1000 / rows + 1
        )


def test_rows_by_their_ids_come_in_pieces_that_fit_into_the_memory(make_table):
    table = make_table()
    table.run(
        "INSERT INTO {table} SELECT to_char(n, 'FM0000'), repeat('x', n * 100), now()"
        " FROM generate_series(1, 300) n"
    )
    reader = PostgreSQLSource(table.connect, table.name).reader()
    ids = ["gone", *(f"{n:04}" for n in range(300, 0, -1)), "gone too"]
    pieces = reader.pieces(ids, 20_000)
    assert [id for piece in pieces for id in piece] == ids
    sizes = [sum(len(row.value or b"") for row in reader.fetch(piece)) for piece in pieces]
    assert all(size <= 20_000 or len(piece) == 1 for size, piece in zip(sizes, pieces))
    assert max(map(len, pieces)) <= 100
    assert len(pieces) < 300


def test_a_connection_that_is_lost_within_a_page_is_told_as_such(make_table, monkeypatch):
    table = make_table()
    table.run(
        "INSERT INTO {table} SELECT n::text, repeat('x', 10000), now()"
        " FROM generate_series(1, 50) n"
    )

    class Cut(postgresql.Copied):
        def write(self, piece):
            if not self:
                table.lose_connections()
            self.append(piece)

    reader = PostgreSQLSource(table.connect, table.name).reader()
    with monkeypatch.context() as patched:
        patched.setattr(postgresql, "Copied", Cut)
        with pytest.raises(SourceUnavailableError):
            reader.page(WHOLE, None, 50, 1 << 20)
    assert len(reader.page(WHOLE, None, 50, 1 << 20).rows) == 50
