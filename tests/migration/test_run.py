"""A whole migration: every row once, whatever fails or ends on the way."""

import itertools
import threading
import time
import uuid
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions
import pytest
from sentry_tablestore.errors import TablestoreConnectionError, TablestorePermissionError
from sentry_tablestore.migration.carry import Carrier
from sentry_tablestore.migration.checkpoint import Checkpoint
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.rate import Rate
from sentry_tablestore.migration.run import FAILED, FINISHED, STOPPED, Migration
from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource
from sentry_tablestore.migration.sources.source import SourceUnavailableError

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
            table.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

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
