"""A whole migration: every row once, whatever fails or ends on the way."""

import itertools
import os
import threading
import time
import uuid
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions
import pytest
from sentry_tablestore.errors import (
    TablestoreConnectionError,
    TablestorePartialError,
    TablestorePermissionError,
    TablestoreThrottledError,
    TablestoreTimeoutError,
)
from sentry_tablestore.migration.carry import Carrier
from sentry_tablestore.migration.checkpoint import Checkpoint
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.checkpoint_table import TableKeeper
from sentry_tablestore.migration.rate import Rate
from sentry_tablestore.migration.run import FAILED, FINISHED, STOPPED, Migration
from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource
from sentry_tablestore.migration.sources.source import (
    Page,
    Part,
    Reader,
    Source,
    SourceRow,
    SourceUnavailableError,
)

NOW = int(time.time() * 1000) - 1000
IDENTITY = {"source": {}, "target": {}}


@pytest.fixture
def rows(make_table):
    """A table with rows under fresh ids."""

    def make(count=5000):
        table = make_table()
        prefix = uuid.uuid4().hex[:8]
        table.ids = [f"{n * 7919 % 99991:05x}{prefix}" for n in range(count)]
        table.insert((id, b'{"id":"%s"}' % id.encode(), NOW) for id in table.ids)
        return table

    return make


@pytest.fixture
def migration(tmp_path, make_store):
    """Make migrations of one checkpoint, as one run after the other does."""
    saved = []

    def make(table, target=None, **options):
        for checkpoint in saved:
            checkpoint.close()
        of = PostgreSQLSource(options.pop("connect", table.connect), table.name)
        keeper = FileKeeper(str(tmp_path / "checkpoint"))
        keeper.lock()
        saved.append(Checkpoint(keeper, IDENTITY))
        target = target or make_store(compression="zlib")
        return Migration(of, Carrier(of, target), saved[-1], **options)

    return make


def quiet(status):
    """Show nothing."""


def values(store, table):
    """Give the values of a table's ids in the target."""
    found = dict(store.get_many(table.ids))
    return {id: value.decode() for id, value in found.items()}


def expected(table):
    """Give what must be in the target."""
    return {id: f'{{"id":"{id}"}}' for id in table.ids}


def test_all_rows_arrive(rows, migration, store):
    table = rows()
    run = migration(table)
    assert run.run(quiet) == FINISHED
    assert run.is_idle()
    assert run.checkpoint.tally().to_json()["moved"] == len(table.ids)
    assert values(store, table) == expected(table)
    assert run.checkpoint.progress() == (64, 64)


def test_a_stopped_run_goes_on_where_it_was(rows, migration, store):
    table = rows()
    counts = []
    for _ in range(4):
        run = migration(table, rate=Rate(3000, "rows"))
        stopping = threading.Timer(0.3, run.stop)
        stopping.start()
        ending = run.run(quiet)
        stopping.cancel()
        counts.append(run.checkpoint.tally().rows)
        if ending == FINISHED:
            break
        assert ending == STOPPED
    assert sorted(counts) == counts
    assert 0 < counts[0] < len(table.ids)
    assert migration(table).run(quiet) == FINISHED
    run = migration(table)
    assert run.run(quiet) == FINISHED
    assert run.checkpoint.tally().to_json()["moved"] == len(table.ids)
    assert values(store, table) == expected(table)


def test_stopping_takes_less_than_a_second(rows, migration, server, make_store):
    table = rows(2000)
    run = migration(table, make_store(timeout=30))
    with server.failing({"operation": "BatchWriteRow", "delay_ms": 20_000, "count": -1}):
        stopping = threading.Timer(0.5, run.stop)
        stopping.start()
        begun = time.monotonic()
        assert run.run(quiet) == STOPPED
        assert time.monotonic() - begun < 1.4
    assert not run.is_idle()
    assert run.checkpoint.tally().rows == 0


class Unreachable(psycopg2.extensions.connection):
    """A connection over a network that has gone: nothing that is asked of the server returns."""

    def cancel(self):
        """Wait for the server."""
        time.sleep(5)


def test_a_database_that_does_not_answer_does_not_hold_up_the_end(rows, migration, server):
    table = rows(2000)

    def connect():
        connection = psycopg2.connect(connection_factory=Unreachable, **table.parameters)
        connection.autocommit = True
        return connection

    run = migration(table, connect=connect)
    with server.failing({"operation": "BatchWriteRow", "delay_ms": 3000, "count": -1}):
        stopping = threading.Timer(0.3, run.stop)
        stopping.start()
        begun = time.monotonic()
        assert run.run(quiet) == STOPPED
        assert time.monotonic() - begun < 1.2


def test_throttling_slows_it_down_and_drops_nothing(rows, migration, store, server, make_store):
    table = rows(3000)
    target = make_store(timeout=0.5)
    run = migration(table, target)
    troubles = set()
    busy = {"operation": "BatchWriteRow", "code": "OTSServerBusy", "count": 60}
    with server.failing(busy):
        ending = run.run(lambda status: troubles.add(status.trouble))
    assert ending == FINISHED
    assert "the target asks to slow down" in troubles
    assert run.checkpoint.tally().to_json()["moved"] == len(table.ids)
    assert values(store, table) == expected(table)


def test_lost_connections_of_the_source_are_outlived(rows, migration, store):
    table = rows()
    run = migration(table, rate=Rate(4000, "rows"))
    over = threading.Event()

    def restart():
        while not over.wait(0.1):
            table.lose_connections()

    restarting = threading.Thread(target=restart)
    restarting.start()
    try:
        assert run.run(quiet) == FINISHED
    finally:
        over.set()
        restarting.join()
    assert run.checkpoint.tally().to_json()["moved"] == len(table.ids)
    assert values(store, table) == expected(table)


def test_a_source_that_stays_away_ends_it(rows, migration):
    table = rows(10)
    calls = itertools.count()

    def connect():
        if next(calls) < 1:  # for the parts
            return table.connect()
        raise psycopg2.OperationalError("the server is starting up")

    run = migration(table, connect=connect, patience=0.5, workers=1)
    assert run.run(quiet) == FAILED
    assert "starting up" in str(run.failure)
    assert run.checkpoint.tally().rows == 0
    # The checkpoint that it left is a good one.
    assert migration(table).run(quiet) == FINISHED


class Racing:
    """A target before whose first write Sentry deletes a node, and after it something happens."""

    def __init__(self, store, delete, then):
        self.store = store
        self.todo = [delete, then]

    def import_many(self, *arguments):
        delete, then = self.todo or (lambda: None, lambda: None)
        self.todo = []
        delete()
        outcomes = self.store.import_many(*arguments)
        then()
        return outcomes

    def discard_many(self, *arguments):
        return self.store.discard_many(*arguments)


def throttled():
    """Fail as a batch does of which some rows were written and others throttled."""
    raise TablestorePartialError(
        "some rows failed", failures=[TablestoreThrottledError("slow down")]
    )


@pytest.mark.parametrize("failing", ["target", "source"])
def test_a_node_deleted_before_a_failure_does_not_come_back(rows, migration, store, failing):
    table = rows(20)

    def delete():
        table.run("DELETE FROM {table} WHERE id = %s", [table.ids[7]])
        store.delete(table.ids[7])

    then = throttled if failing == "target" else table.lose_connections
    run = migration(table, Racing(store, delete, then), workers=1)
    assert run.run(quiet) == FINISHED
    assert store.get(table.ids[7]) is None
    assert run.checkpoint.tally().moved == 19
    assert len(values(store, table)) == 19


class Files(Reader):
    """Reads nodes of which no write times are known."""

    def __init__(self, nodes):
        self.nodes = nodes

    def page(self, part, cursor, max_rows, max_bytes):
        return Page(self.fetch(sorted(self.nodes)), None)

    def fetch(self, ids):
        return [SourceRow(id, self.nodes.get(id), 0) for id in ids]

    def changed(self, rows):
        return [
            SourceRow(row.id, None, 0, trouble="gone") for row in rows if row.id not in self.nodes
        ]


class Undated(Source):
    dated = False

    def __init__(self, nodes):
        self.nodes = nodes

    def parts(self, count):
        return [Part(None, None)]

    def reader(self):
        return Files(self.nodes)


def test_nor_does_one_of_a_source_without_times(tmp_path, store, new_id):
    nodes = {new_id(): b"value" for _ in range(5)}
    ids = sorted(nodes)

    def delete():
        del nodes[ids[2]]
        store.delete(ids[2])

    of, target = Undated(nodes), Racing(store, delete, throttled)
    keeper = FileKeeper(str(tmp_path / "checkpoint"))
    keeper.lock()
    run = Migration(of, Carrier(of, target), Checkpoint(keeper, IDENTITY))
    assert run.run(quiet) == FINISHED
    assert sorted(dict(store.get_many(ids))) == sorted(nodes)


@pytest.mark.parametrize("kept", ["file", "table"])
def test_a_node_deleted_before_a_run_was_ended_does_not_come_back(rows, tmp_path, store, kept):
    table = rows(20)
    of = PostgreSQLSource(table.connect, table.name)

    def delete():
        table.run("DELETE FROM {table} WHERE id = %s", [table.ids[7]])
        store.delete(table.ids[7])

    def run(before, then):
        keeper = FileKeeper(str(tmp_path / "checkpoint"))
        if kept == "table":
            keeper = TableKeeper(table.connect, table.name)
        keeper.lock()
        target = Racing(store, before, lambda: then(made))
        made = Migration(of, Carrier(of, target), Checkpoint(keeper, IDENTITY))
        ending = made.run(quiet)
        left = made.checkpoint.sent()
        made.checkpoint.close()
        return ending, made.checkpoint.tally().moved, left

    assert run(delete, stop_at_once)[0] == STOPPED
    assert store.get(table.ids[7]) is not None, "the test is to leave what was killed to leave"
    assert run(lambda: None, lambda run: None) == (FINISHED, 19, [])
    assert store.get(table.ids[7]) is None


def stop_at_once(run):
    """Have a run end between the writing and the second look, as a kill does."""
    run.stop()
    raise TablestoreTimeoutError("ended")


def test_what_another_migration_has_sent_is_not_taken_back(rows, tmp_path, store):
    table, other = rows(3), rows(3)

    def run(table, identity, then):
        of = PostgreSQLSource(table.connect, table.name)
        keeper = FileKeeper(str(tmp_path / "checkpoint"))
        keeper.lock()
        keeper.forget()  # --restart
        target = Racing(store, lambda: None, lambda: then(made))
        made = Migration(of, Carrier(of, target), Checkpoint(keeper, identity))
        made.run(quiet)
        made.checkpoint.close()

    run(table, IDENTITY, stop_at_once)
    run(other, {"source": {"table": "other"}, "target": {}}, lambda run: None)
    assert values(store, table) == expected(table)
    assert values(store, other) == expected(other)


class Target:
    """A target that fails as it is told."""

    def __init__(self, error):
        self.error = error

    def import_many(self, nodes, encoding, only_missing):
        raise self.error


def test_what_cannot_pass_ends_it_at_once(rows, migration):
    run = migration(rows(10), Target(TablestorePermissionError("you may not")))
    begun = time.monotonic()
    assert run.run(quiet) == FAILED
    assert time.monotonic() - begun < 2
    assert "you may not" in str(run.failure)
    assert run.checkpoint.tally().rows == 0


def test_patience_ends(rows, migration):
    run = migration(rows(10), Target(TablestoreConnectionError("refused")), patience=0.5)
    troubles = set()
    assert run.run(lambda status: troubles.add(status.trouble)) == FAILED
    assert any("waiting for the target" in trouble for trouble in troubles)
    assert isinstance(run.failure, TablestoreConnectionError)


def test_failed_rows_are_tried_again_by_the_next_run(rows, migration, store):
    table = rows(2000)
    table.run("UPDATE {table} SET data = 'broken' WHERE id IN (%s, %s, %s)", table.ids[:3])
    run = migration(table)
    assert run.run(quiet) == FINISHED
    assert run.checkpoint.tally().to_json()["failed"] == {"broken": 3}
    from nodestore_node import encoded

    table.run(
        "UPDATE {table} SET data = %s WHERE id = %s",
        [encoded(b'{"id":"%s"}' % table.ids[0].encode()), table.ids[0]],
    )
    table.run("DELETE FROM {table} WHERE id = %s", [table.ids[1]])
    run = migration(table)
    assert run.run(quiet) == FINISHED
    tally = run.checkpoint.tally()
    assert (tally.rows, tally.moved) == (2000, 1998)
    assert (tally.skipped, tally.to_json()["failed"]) == ({"deleted": 1}, {"broken": 1})
    assert [failure.id for _, failure in run.checkpoint.failures()] == [table.ids[2]]
    assert store.get(table.ids[0]) == b'{"id":"%s"}' % table.ids[0].encode()


def test_failed_rows_that_are_large_are_tried_again_a_few_at_a_time(rows, migration, fetched):
    table = rows(0)
    ids = [uuid.uuid4().hex for _ in range(200)]
    table.insert((id, b"no JSON" + os.urandom(50_000) + b"!", NOW) for id in ids)
    run = migration(table)
    assert run.run(quiet) == FINISHED
    assert run.checkpoint.tally().failed == {"broken": 200}
    run = migration(table)
    assert run.run(quiet) == FINISHED
    assert run.checkpoint.tally().to_json()["failed"] == {"broken": 200}
    assert len(list(run.checkpoint.failures())) == 200
    assert len([size for size in fetched if size]) > 5
    assert max(fetched) <= 2 << 20


def test_an_empty_source_is_finished_at_once(make_table, migration):
    run = migration(make_table())
    assert run.run(quiet) == FINISHED
    assert run.checkpoint.tally().rows == 0


@contextmanager
def timed():
    begun = time.monotonic()
    yield lambda: time.monotonic() - begun


def test_the_rate_is_kept(rows, migration):
    run = migration(rows(3000), rate=Rate(3000, "rows"))
    with timed() as seconds:
        assert run.run(quiet) == FINISHED
    # The pages that are under way when it begins are let through.
    assert 0.8 < seconds() < 3


def test_unavailable_sources_are_told(rows, migration):
    table = rows(10)
    of = PostgreSQLSource(lambda: psycopg2.connect(host="/nonexistent"), table.name)
    with pytest.raises(SourceUnavailableError):
        of.check()
