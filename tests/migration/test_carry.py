"""Rows of PostgreSQL into a table: payloads, write times, and what is left alone."""

import base64
import pickle
import time
import tracemalloc
import uuid
import zlib

import pytest
from nodestore_node import encoded, moment
from sentry_tablestore.kvstore.imported import ImportedNode
from sentry_tablestore.migration.carry import Carrier
from sentry_tablestore.migration.sent import Sent
from sentry_tablestore.migration.sources import source
from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource
from sentry_tablestore.migration.sources.source import (
    Part,
    Reader,
    Source,
    SourceRow,
    SourceUnavailableError,
)
from sentry_tablestore.migration.tally import Failure

WHOLE = Part(None, None)
DAY = 86_400_000
NOW = int(time.time() * 1000)


@pytest.fixture(params=["zlib", "zstd", None])
def target(request, make_store):
    """A store of the shared table with each compression."""
    return make_store(compression=request.param)


def carry(of, target, legacy=None):
    """Carry everything, give the counts and failures."""
    reader = of.reader()
    rows = reader.page(WHOLE, None, 10_000, 1 << 30).rows
    carried = Carrier(of, target, legacy).carry(rows, reader)
    reader.close()
    assert carried.tally.rows == len(rows)
    assert carried.tally.failures == len(carried.failures)
    return carried


def scanned(store, id):
    """Give a node as the table has it."""
    ((node,), _) = store.scan(id, 1, values=True)
    assert node.id == id
    return node


def test_payloads_and_write_times_arrive_exactly(make_table, target, new_id):
    payloads = {
        new_id(): b'{"a":1}',
        new_id(): b'{"big":"' + bytes(range(32, 127)).replace(b'"', b"") * 5000 + b'"}',
        new_id(): b'{"a":1}\nunprocessed_event\n{"b":2}',
        new_id(): b"[1,2]",
        new_id(): b"null",
        new_id(): '{"unicode":"\u2028ü"}'.encode(),
    }
    table = make_table()
    table.insert(
        (id, payload, NOW - n * DAY - 1) for n, (id, payload) in enumerate(payloads.items())
    )
    carried = carry(PostgreSQLSource(table.connect, table.name), target)
    assert carried.tally.moved == len(payloads)
    for n, (id, payload) in enumerate(payloads.items()):
        assert target.get(id) == payload
        assert scanned(target, id).written == NOW - n * DAY - 1


def test_what_python_decodes_and_the_engine_does_not(make_table, target, new_id):
    stream = zlib.compress(b'{"a":1}')
    wrapped = base64.encodebytes(stream * 1 + b"").decode()
    values = {
        new_id(): "\n".join(encoded(b'{"n":1}')),
        new_id(): wrapped,
        new_id(): base64.b64encode(stream + b"behind the stream").decode(),
        new_id(): base64.b64encode(zlib.compress(b'{"level":0}', 0)).decode(),
    }
    table = make_table()
    table.insert((id, data, NOW) for id, data in values.items())
    carried = carry(PostgreSQLSource(table.connect, table.name), target)
    assert carried.failures == []
    for id, data in values.items():
        assert target.get(id) == zlib.decompress(base64.b64decode(data))


def test_unreadable_values_are_listed_and_not_written(make_table, target, new_id):
    good = encoded(b'{"a":"' + uuid.uuid4().hex.encode() * 20 + b'"}')
    broken = {
        new_id(): "",
        new_id(): "no base64 at all!",
        new_id(): good[: len(good) // 2],
        new_id(): base64.b64encode(b"no zlib").decode(),
        new_id(): good[:-12] + "AAAAAAAAAAA=",
        new_id(): encoded(b""),
        new_id(): encoded(b"garbage"),
        new_id(): encoded(b"[" * 100000),
    }
    table = make_table()
    table.insert((id, data, NOW) for id, data in broken.items())
    carried = carry(PostgreSQLSource(table.connect, table.name), target)
    assert carried.tally.failed == {"broken": len(broken)}
    assert sorted(failure.id for failure in carried.failures) == sorted(broken)
    assert dict(target.get_many(broken)) == {}


def bomb(size):
    """Make a value of a few kB that stands for so many bytes."""
    stream = zlib.compressobj()
    blocks = [stream.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return base64.b64encode(b"".join([*blocks, stream.flush()])).decode()


def test_a_value_that_would_fill_the_memory_is_listed_as_too_large(make_table, store, new_id):
    largest, over, much = new_id(), new_id(), new_id()
    table = make_table()
    table.insert([(largest, b'["' + b"1" * ((64 << 20) - 4) + b'"]', NOW)])
    table.insert((id, bomb(size), NOW) for id, size in ((over, 65 << 20), (much, 512 << 20)))
    of = PostgreSQLSource(table.connect, table.name)
    reader = of.reader()
    rows = reader.page(WHOLE, None, 10, 1 << 30).rows
    tracemalloc.start()
    carried = Carrier(of, store).carry(rows, reader)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.close()
    assert carried.tally.moved == 1
    assert carried.failures == [Failure(over, "too large"), Failure(much, "too large")]
    assert most < 4 * (64 << 20)


def test_pickles_are_listed_or_converted_by_the_reader(make_table, target, new_id):
    ids = [new_id() for _ in range(3)]
    table = make_table()
    table.insert(
        (id, pickle.dumps({"n": n}, protocol), NOW - 5)
        for n, (id, protocol) in enumerate(zip(ids, (0, 2, 4)))
    )
    of = PostgreSQLSource(table.connect, table.name)
    carried = carry(of, target)
    assert [failure.reason for failure in carried.failures] == ["pickle"] * 3
    assert dict(target.get_many(ids)) == {}

    class Converting:
        """Stands where a process with Sentry's reader is."""

        def to_json(self, payload):
            n = pickle.loads(payload)["n"]
            return (None, "it is odd") if n == 1 else (b'{"n":%d}' % n, "")

    carried = carry(of, target, Converting())
    assert carried.tally.moved == 2
    assert carried.failures == [Failure(ids[1], "pickle", "it is odd")]
    assert [target.get(id) for id in ids] == [b'{"n":0}', None, b'{"n":2}']
    assert scanned(target, ids[0]).written == NOW - 5


def test_what_the_target_has_is_respected(make_table, make_store, new_id):
    target = make_store(compression="zlib")
    newer, older, same = new_id(), new_id(), new_id()
    target.import_many(
        [
            ImportedNode(newer, b'{"newer":1}', NOW),
            ImportedNode(older, b'{"older":1}', NOW - 2 * DAY),
        ]
    )
    table = make_table()
    table.insert((id, b'{"source":1}', NOW - DAY) for id in (newer, older, same))
    of = PostgreSQLSource(table.connect, table.name)
    first, second = carry(of, target), carry(of, target)
    for carried in (first, second):
        assert (carried.tally.moved, carried.tally.skipped) == (2, {"newer": 1})
    assert target.get(newer) == b'{"newer":1}'
    assert target.get(older) == target.get(same) == b'{"source":1}'


def test_expired_rows_are_skipped_and_undated_ones_listed(make_table, make_store, new_id):
    from datetime import timedelta

    target = make_store(default_ttl=timedelta(days=30))
    old, young, infinite = new_id(), new_id(), new_id()
    table = make_table()
    table.insert([(old, b"{}", NOW - 31 * DAY), (young, b"{}", NOW - 29 * DAY)])
    table.run("INSERT INTO {table} VALUES (%s, 'eA', 'infinity')", [infinite])
    for lifetime in (30 * DAY, 0):  # skipped by the source, or by the engine
        carried = carry(PostgreSQLSource(table.connect, table.name, lifetime=lifetime), target)
        assert carried.tally.moved == 1
        assert carried.tally.skipped == {"expired": 1}
        assert carried.tally.failed == {"undated": 1}
    assert target.get(old) is None
    assert target.get(young) == b"{}"


class Changing(Reader):
    """A reader of a table in which things happen between reading and looking again."""

    def __init__(self, reader, *events):
        self.reader = reader
        self.events = list(events)

    def changed(self, rows):
        if self.events:
            self.events.pop(0)()
        return self.reader.changed(rows)


def test_a_delete_between_reading_and_writing_is_not_undone(make_table, store, new_id):
    ids = [new_id() for _ in range(3)]
    table = make_table()
    table.insert((id, b"{}", NOW - DAY) for id in ids)
    of = PostgreSQLSource(table.connect, table.name)
    reader = of.reader()
    rows = reader.page(WHOLE, None, 10, 1 << 20).rows

    def delete_and_write():
        table.run("DELETE FROM {table} WHERE id IN (%s, %s)", ids[:2])
        store.set(ids[1], b'{"sentry wrote":"it again"}')

    carried = Carrier(of, store).carry(rows, Changing(reader, delete_and_write))
    assert (carried.tally.moved, carried.tally.skipped) == (1, {"deleted": 2})
    assert store.get(ids[0]) is None
    assert store.get(ids[1]) == b'{"sentry wrote":"it again"}'
    assert store.get(ids[2]) == b"{}"


def test_a_row_written_again_arrives_as_it_is_last(make_table, store, new_id):
    id = new_id()
    table = make_table()
    table.insert([(id, b'{"v":0}', NOW - DAY)])
    of = PostgreSQLSource(table.connect, table.name)
    reader = of.reader()
    rows = reader.page(WHOLE, None, 10, 1 << 20).rows

    def write(version):
        table.run(
            "UPDATE {table} SET data = %s, timestamp = %s",
            [encoded(b'{"v":%d}' % version), moment(NOW - DAY + version)],
        )

    changing = Changing(reader, lambda: write(1), lambda: write(2))
    carried = Carrier(of, store).carry(rows, changing)
    assert (carried.tally.moved, carried.tally.skipped) == (1, {})
    assert store.get(id) == b'{"v":2}'
    assert scanned(store, id).written == NOW - DAY + 2


class Undated(Source):
    """A source without write times, whose payloads may be anything."""

    dated = False


class Listed(Reader):
    """A reader of a list of rows."""

    def __init__(self, gone=()):
        self.gone = gone

    def changed(self, rows):
        return [
            SourceRow(row.id, None, 0, trouble=source.GONE) for row in rows if row.id in self.gone
        ]


def test_undated_rows_replace_nothing_and_can_be_taken_back(store, new_id):
    there, new, gone, missing = (new_id() for _ in range(4))
    store.set(there, b"there")
    time.sleep(0.002)  # what has the very millisecond of the import is taken for its own
    rows = [SourceRow(id, b"\x80pickle or anything", 0) for id in (there, new, gone, new)]
    rows.append(SourceRow(missing, None, 0, trouble=source.GONE))
    carried = Carrier(Undated(), store).carry(rows, Listed([gone]))
    assert carried.tally.moved == 1
    assert carried.tally.skipped == {"exists": 1, "deleted": 1, "missing": 1, "twice": 1}
    assert store.get(there) == b"there"
    assert store.get(new) == b"\x80pickle or anything"
    assert store.get(gone) is None


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_undated_rows_whose_answer_was_lost_can_be_taken_back(store, server, new_id, size):
    """The second attempt meets the rows of the first, and must not take them for other ones."""
    new, gone = new_id(), new_id()
    rows = [SourceRow(id, b"x" * size, 0) for id in (new, gone)]
    lost = [
        {"operation": operation, "action": "drop_after", "count": 1}
        for operation in ("BatchWriteRow", "UpdateRow")
    ]
    with server.failing(*lost):
        carried = Carrier(Undated(), store).carry(rows, Listed([gone]))
    assert carried.tally.moved == 1
    assert carried.tally.skipped == {"deleted": 1}
    assert store.get(new) == b"x" * size
    assert store.get(gone) is None


def test_undated_rows_of_an_attempt_that_failed_are_the_migrations_own(store, new_id):
    rows, sent = [SourceRow(new_id(), b"{}", 0)], Sent()
    carrier = Carrier(Undated(), store)

    class Away(Listed):
        def changed(self, rows):
            raise SourceUnavailableError("away")

    with pytest.raises(SourceUnavailableError):
        carrier.carry(rows, Away(), sent)
    time.sleep(0.002)
    carried = carrier.carry(rows, Listed(), sent)
    assert (carried.tally.moved, carried.tally.skipped) == (1, {})


def test_a_row_that_the_target_refuses_does_not_hold_up_the_others(store, new_id):
    good, large = new_id(), new_id()
    rows = [
        SourceRow(good, b"{}", NOW),
        SourceRow("", b"{}", NOW),
        SourceRow("x" * 2000, b"{}", NOW),
        SourceRow(large, b"x" * ((64 << 20) + 1), NOW),
    ]
    carried = Carrier(Undated(), store).carry(rows, Listed())
    assert carried.tally.moved == 1
    assert carried.tally.failed == {"invalid id": 2, "refused": 1}
    assert "the limit is 67108864" in carried.failures[-1].detail
    assert store.get(good) == b"{}"
