"""A source beside a table: what is missing or different is found, told and repaired, and nothing
else.
"""

import hashlib
import json
import os
import pickle
import threading
import time
import uuid
from datetime import timedelta

import pytest
import tablestore_sdk
from nodestore_node import encoded
from sentry_tablestore.errors import (
    TablestoreConnectionError,
    TablestorePermissionError,
    TablestoreTimeoutError,
)
from sentry_tablestore.kvstore.imported import ImportedNode
from sentry_tablestore.migration import patience, verify
from sentry_tablestore.migration.carry import Carrier
from sentry_tablestore.migration.sources import source
from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource
from sentry_tablestore.migration.sources.source import (
    Page,
    Part,
    Reader,
    Sample,
    Source,
    SourceError,
    SourceRow,
    SourceUnavailableError,
)
from sentry_tablestore.migration.verify import Finding, Verifier

# On a busy machine the deadline may come before the refusal.
UNREACHABLE = (TablestoreConnectionError, TablestoreTimeoutError)
DAY = 86_400_000
DAY_AND_A_HALF = timedelta(days=1.5)
NOW = int(time.time() * 1000)


class Rows(Source):
    """A source in memory, of a single part; what a test does to it happens between two looks."""

    def __init__(self, rows):
        self.rows = {row.id: row for row in rows}
        self.meanwhile = []

    def parts(self, count):
        return [Part(None, None)]

    def sample(self, rows):
        return Sample(list(self.rows)[:rows], len(self.rows), 0)

    def reader(self):
        return RowsReader(self)


class RowsReader(Reader):
    def __init__(self, of):
        self.of = of

    def page(self, part, cursor, max_rows, max_bytes):
        ids = sorted(self.of.rows)
        after = [id for id in ids if cursor is None or id > cursor][:max_rows]
        more = bool(after) and after[-1] != ids[-1]
        return Page([self.of.rows[id] for id in after], after[-1] if more else None)

    def fetch(self, ids):
        return [self.of.rows.get(id) or SourceRow(id, None, 0, trouble="gone") for id in ids]

    def changed(self, rows):
        while self.of.meanwhile:
            self.of.meanwhile.pop(0)()
        now = [
            self.of.rows.get(row.id) or SourceRow(row.id, None, 0, trouble="gone") for row in rows
        ]
        return [new for old, new in zip(rows, now) if new != old]


@pytest.fixture
def prefix():
    """What the ids of a test begin with, in the shared table."""
    return uuid.uuid4().hex[:12] + "-"


@pytest.fixture
def rows(prefix, store):
    """Twenty rows of a source that are in the table."""
    made = [
        SourceRow(f"{prefix}{n:02}", b'{"n":%d}' % n, NOW - n * DAY, NOW + DAY if n == 3 else 0)
        for n in range(20)
    ]
    store.import_many([ImportedNode(row.id, row.value, row.written, row.expires) for row in made])
    yield made
    store.delete_many([row.id for row in made])


def verified(of, target, **others):
    """Compare all, and give the counts that are not 0 and the findings."""
    findings = []
    verifier = Verifier(of, target, found=findings.append, **others)
    verifier.full(3, lambda nodes, size: None)
    counts = {kind: count for kind, count in verifier.counts.items() if count}
    assert verifier.complete == (not findings and verifier.nodes > 0)
    assert verifier.nodes == sum(counts.values())
    return counts, sorted(findings)


def sha256(value):
    return hashlib.sha256(value).hexdigest()


def test_a_table_that_has_everything(rows, store):
    assert verified(Rows(rows), store) == ({"same": 20}, [])


def test_nothing_at_all(store):
    assert verified(Rows([]), store) == ({}, [])


def test_more_than_a_page(store, prefix, monkeypatch):
    monkeypatch.setattr(verify, "_PAGE_ROWS", 7)
    made = [SourceRow(f"{prefix}{n:03}", b"{}", NOW) for n in range(100)]
    store.set_many([(row.id, row.value) for row in made[:90]])
    counts, findings = verified(Rows(made), store)
    assert counts == {"same": 90, "missing": 10}
    assert findings == [Finding(row.id, "missing", "") for row in made[90:]]


def test_missing_different_and_newer_nodes(rows, store):
    store.delete(rows[1].id)
    store.delete(rows[2].id)
    store.import_many([ImportedNode(rows[2].id, b"{}", rows[2].written)])
    store.set(rows[4].id, b'{"by":"sentry"}')
    older = rows[5]._replace(value=b'{"newer":"in the source"}', written=NOW)
    of = Rows([*rows[:5], older, *rows[6:]])
    counts, findings = verified(of, store)
    assert counts == {"same": 16, "missing": 1, "different": 2, "newer": 1}
    assert findings == [
        Finding(rows[1].id, "missing", ""),
        Finding(
            rows[2].id,
            "different",
            f"sha256 {sha256(rows[2].value)} in the source, {sha256(b'{}')} in the table",
        ),
        Finding(
            older.id,
            "different",
            f"sha256 {sha256(older.value)} in the source, {sha256(rows[5].value)} in the table",
        ),
    ]
    # The same again: comparing changes nothing.
    assert verified(of, store) == (counts, findings)


def test_repair_copies_with_the_write_time_and_overwrites_nothing_newer(rows, store):
    store.delete(rows[1].id)
    store.delete(rows[2].id)
    store.import_many([ImportedNode(rows[2].id, b"{}", rows[2].written)])
    store.set(rows[4].id, b'{"by":"sentry"}')
    store.delete(rows[3].id)
    older = rows[5]._replace(value=b'{"newer":"in the source"}', written=NOW)
    of = Rows([*rows[:5], older, *rows[6:]])
    assert verified(of, store, repair=True) == ({"same": 15, "repaired": 4, "newer": 1}, [])
    assert store.get(rows[4].id) == b'{"by":"sentry"}'
    for row in [*rows[:4], older]:
        (node,), _ = store.scan(row.id, 1, values=True)
        assert (node.id, node.value) == (row.id, row.value)
        assert (node.written, node.expires) == (row.written, row.expires)
    assert verified(of, store) == ({"same": 19, "newer": 1}, [])


def test_what_the_table_cannot_decode_is_different_and_repaired(rows, store, sdk):
    columns = {"data": tablestore_sdk.binary(b"nonsense"), "flags": 2}
    sdk.put(store.table_name, rows[6].id, columns)
    newest = [row._replace(written=NOW + DAY) if row.id == rows[6].id else row for row in rows]
    counts, findings = verified(Rows(newest), store)
    assert counts == {"same": 19, "different": 1}
    assert findings[0].id == rows[6].id
    assert "the table's cannot be decoded: " in findings[0].detail


def test_what_has_expired_is_no_finding(rows, make_store):
    store = make_store(default_ttl=DAY_AND_A_HALF)
    gone = rows[0]._replace(id=rows[0].id + "x", expires=NOW - 1)
    unread = SourceRow(rows[0].id + "y", None, NOW - 99 * DAY, trouble=source.EXPIRED)
    assert verified(Rows([*rows, gone, unread]), store) == ({"same": 2, "expired": 20}, [])


def test_what_the_source_cannot_read_is_found(rows, store, make_table):
    table = make_table()
    table.insert([(row.id, row.value, row.written) for row in rows[:3]])
    table.insert([("broken", "!", NOW), ("cut", encoded(uuid.uuid4().hex.encode())[:30], NOW)])
    table.run("INSERT INTO {table} VALUES ('undated', '', 'infinity')")
    counts, findings = verified(PostgreSQLSource(table.connect, table.name), store)
    assert counts == {"same": 3, "unreadable": 3}
    assert [(finding.id, finding.kind) for finding in findings] == [
        ("broken", "unreadable"),
        ("cut", "unreadable"),
        ("undated", "unreadable"),
    ]


def test_rows_of_postgresql(make_table, store, prefix):
    table = make_table()
    table.insert((f"{prefix}{n:04}", b'{"n":%d}' % n, NOW - n) for n in range(3000))
    of = PostgreSQLSource(table.connect, table.name)
    reader = of.reader()
    page = reader.page(Part(None, None), None, 10_000, 1 << 30)
    Carrier(of, store).carry(page.rows, reader)
    reader.close()
    assert verified(of, store) == ({"same": 3000}, [])
    store.delete_many([f"{prefix}0007", f"{prefix}2222"])
    table.run("UPDATE {table} SET data = %s WHERE id = %s", [encoded(b"{}"), f"{prefix}1111"])
    counts, findings = verified(of, store)
    assert counts == {"same": 2997, "missing": 2, "different": 1}
    assert [finding.id for finding in findings] == [
        f"{prefix}{n}" for n in ("0007", "1111", "2222")
    ]
    assert verified(of, store, repair=True) == ({"same": 2997, "repaired": 3}, [])
    assert verified(of, store) == ({"same": 3000}, [])
    store.delete_many([row.id for row in page.rows])


class Legacy:
    """Converts pickles as `LegacyReader` does, without a Sentry."""

    def to_json(self, payload):
        value = pickle.loads(payload)
        if value is None:
            return None, "Sentry's own reader cannot load this pickle"
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode(), ""


def test_legacy_pickles(make_table, store, prefix):
    table = make_table()
    pickles = {"a": {"b": 1}, "b": {"b": 2}, "c": None}
    table.insert((prefix + id, pickle.dumps(value, 2), NOW) for id, value in pickles.items())
    store.import_many([ImportedNode(prefix + "a", b'{"b":1}', NOW)])
    of = PostgreSQLSource(table.connect, table.name)
    counts, findings = verified(of, store)
    assert counts == {"pickle": 3}
    assert {finding.kind for finding in findings} == {"pickle"}
    counts, findings = verified(of, store, legacy=Legacy())
    assert counts == {"same": 1, "missing": 1, "unreadable": 1}
    assert findings == [
        Finding(prefix + "b", "missing", ""),
        Finding(prefix + "c", "unreadable", "Sentry's own reader cannot load this pickle"),
    ]
    counts, _ = verified(of, store, legacy=Legacy(), repair=True)
    assert counts == {"same": 1, "repaired": 1, "unreadable": 1}
    assert store.get(prefix + "b") == b'{"b":2}'


@pytest.mark.parametrize("repair", [False, True])
def test_what_sentry_does_meanwhile_is_no_finding(rows, store, repair):
    of = Rows(rows)
    deleted, rewritten = rows[1], rows[2]._replace(value=b'{"again":1}', written=NOW)
    store.delete_many([deleted.id, rewritten.id])

    def sentry():
        del of.rows[deleted.id]
        of.rows[rewritten.id] = rewritten
        store.import_many([ImportedNode(rewritten.id, rewritten.value, NOW)])

    of.meanwhile.append(sentry)
    assert verified(of, store, repair=repair) == ({"same": 19, "deleted": 1}, [])
    assert store.get(deleted.id) is None


def test_a_repair_brings_no_deleted_node_back(rows, store):
    of = Rows(rows)
    store.delete(rows[1].id)

    class Deleting(RowsReader):
        looks = 0

        def changed(self, rows):
            Deleting.looks += 1
            # The first look of the comparison is over, and the copy is made.
            if Deleting.looks == 2:
                assert store.get(rows[0].id) == rows[0].value
                del of.rows[rows[0].id]
            return super().changed(rows)

    of.reader = lambda: Deleting(of)
    assert verified(of, store, repair=True) == ({"same": 19, "deleted": 1}, [])
    assert store.get(rows[1].id) is None


def test_a_row_that_never_comes_to_rest_ends_too(rows, store):
    of = Rows(rows)

    class Restless(RowsReader):
        def changed(self, rows):
            for row in rows:
                of.rows[row.id] = row._replace(written=row.written + 1)
            return [of.rows[row.id] for row in rows]

    of.reader = lambda: Restless(of)
    store.delete(rows[1].id)
    counts, findings = verified(of, store)
    assert counts == {"same": 19, "missing": 1}
    assert len(findings) == 1


def test_a_source_without_times(rows, store):
    of = Rows([row._replace(written=0) for row in rows])
    of.dated = False
    store.delete(rows[1].id)
    store.set(rows[2].id, b"{}")
    counts, findings = verified(of, store)
    assert counts == {"same": 18, "missing": 1, "different": 1}
    # Nobody knows which of two values is the newer one: nothing is replaced.
    counts, findings = verified(of, store, repair=True)
    assert counts == {"same": 18, "repaired": 1, "different": 1}
    assert [finding.id for finding in findings] == [rows[2].id]
    assert store.get(rows[2].id) == b"{}"


def test_a_sample_reads_no_more_than_that(rows, store):
    of = Rows(rows)
    of.parts = None
    store.delete(rows[1].id)
    findings = []
    verifier = Verifier(of, store, found=findings.append)
    verifier.sample(5)
    assert (verifier.nodes, verifier.complete) == (5, False)
    assert findings == [Finding(rows[1].id, "missing", "")]


def test_a_sample_is_never_in_the_memory_as_a_whole(make_table, store, prefix, fetched):
    table = make_table()
    table.insert((f"{prefix}{n:04}", b"{}" + os.urandom(50_000), NOW) for n in range(200))
    verifier = Verifier(PostgreSQLSource(table.connect, table.name), store)
    verifier.sample(200)
    assert verifier.nodes == 200
    assert len(fetched) > 5
    assert max(fetched) <= 2 << 20


def test_a_sample_of_postgresql(make_table, store, prefix):
    table = make_table()
    table.insert((f"{prefix}{n:04}", b'{"n":%d}' % n, NOW - n) for n in range(2000))
    verifier = Verifier(PostgreSQLSource(table.connect, table.name), store)
    verifier.sample(300)
    assert verifier.counts["missing"] == verifier.nodes
    assert 200 <= verifier.nodes <= 300


def test_a_failing_table_is_no_missing_node(rows, server, store, make_store, monkeypatch):
    monkeypatch.setattr(patience, "_PAUSES", ())
    unreachable = make_store(end_point="http://127.0.0.1:9", timeout=0.05)
    with pytest.raises(UNREACHABLE):
        Verifier(Rows(rows), unreachable).full(2, lambda nodes, size: None)
    denied = {"operation": "BatchGetRow", "code": "OTSNoPermissionAccess", "count": -1}
    with server.failing(denied), pytest.raises(TablestorePermissionError):
        Verifier(Rows(rows), store).full(2, lambda nodes, size: None)


def test_failures_that_pass_are_waited_for(rows, store, monkeypatch):
    monkeypatch.setattr(patience, "_PAUSES", (0.001, 0.001))
    of = Rows(rows)
    failures = [SourceUnavailableError("restarting"), SourceUnavailableError("restarting")]

    class Failing(RowsReader):
        def page(self, *arguments):
            if failures:
                raise failures.pop()
            return super().page(*arguments)

    of.reader = lambda: Failing(of)
    assert verified(of, store) == ({"same": 20}, [])
    failures[:] = [SourceUnavailableError("away")] * 3
    with pytest.raises(SourceError, match="away"):
        verified(of, store)


def test_an_interruption_ends_it(rows, store):
    of = Rows(rows)
    blocked, cancelled = threading.Event(), threading.Event()

    class Slow(RowsReader):
        def page(self, *arguments):
            blocked.set()
            cancelled.wait(30)
            raise SourceUnavailableError("cancelled")

        def cancel(self):
            cancelled.set()

    def interrupt(nodes, size):
        if blocked.is_set():
            raise KeyboardInterrupt

    of.reader = lambda: Slow(of)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Verifier(of, store).full(1, interrupt)
    assert cancelled.is_set()
    assert time.monotonic() - begun < 5
