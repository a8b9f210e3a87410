"""What is saved of a migration: nothing is lost, counted twice, or taken for another one's."""

import json
import os
import re
import threading
import types
from pathlib import Path

import psycopg2
import pytest
from sentry_tablestore.migration.checkpoint import Checkpoint, CheckpointError
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.checkpoint_table import JOURNAL, TableKeeper
from sentry_tablestore.migration.sources.source import Part
from sentry_tablestore.migration.tally import Failure, Tally

IDENTITY = {"source": {"table": "nodestore_node"}, "target": {"table": "nodestore"}}
PARTS = [Part(None, "m"), Part("m", None)]
ODD = [Failure("a", "broken", ""), Failure("a\tb\n", "pickle", "what\nit said é")]


@pytest.fixture(params=["file", "table"])
def keepers(request, tmp_path):
    """Make keepers of one place, as one process after the other does."""
    if request.param == "file":
        return lambda: FileKeeper(str(tmp_path / "checkpoint"))
    table = request.getfixturevalue("make_table")()
    return lambda: TableKeeper(table.connect, table.name)


def locked(keeper):
    """Lock a keeper."""
    keeper.lock()
    return keeper


def counted(moved=0, failures=()):
    """Make counts."""
    tally = Tally()
    tally.moved = moved
    tally.fail(list(failures))
    return tally


def test_what_was_saved_is_there_again(keepers):
    now = 100.0
    checkpoint = Checkpoint(locked(keepers()), IDENTITY, lambda: now)
    assert not checkpoint.resumed
    checkpoint.begin()
    checkpoint.plan(PARTS)
    checkpoint.advance(0, "c", counted(5, ODD), ODD)
    now = 101.5
    checkpoint.advance(1, None, counted(7), [])
    now = 109.0  # after the last batch, so that a run that is killed now does not count it
    assert checkpoint.seconds == 9.0
    checkpoint.close()

    again = Checkpoint(locked(keepers()), IDENTITY, lambda: now)
    assert again.resumed
    assert again.open_parts() == [(0, PARTS[0], "c")]
    assert again.tally().to_json() == checkpoint.tally().to_json()
    assert again.tally().rows == 14
    assert [failure for _, failure in again.failures()] == ODD
    assert again.seconds == 1.5
    again.begin()
    now = 110.0
    assert again.seconds == 2.5
    assert again.progress() == (1, 2)


def test_failures_of_a_batch_that_was_not_saved_are_dropped(keepers):
    keeper = locked(keepers())
    checkpoint = Checkpoint(keeper, IDENTITY)
    checkpoint.plan(PARTS)
    checkpoint.advance(0, "c", counted(0, ODD[:1]), ODD[:1])
    # As a process leaves it that is killed within a saving.
    if isinstance(keeper, FileKeeper):
        with open(keeper.path + ".journal", "ab") as journal:
            journal.write(b"half a li")
    else:
        connection = keeper._connect()
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {JOURNAL} VALUES (%s, 2, 'x', 'broken', '')", [keeper._name]
            )
        connection.close()
    keeper.close()

    again = Checkpoint(locked(keepers()), IDENTITY)
    again.advance(0, None, counted(0, ODD[1:]), ODD[1:])
    assert [failure for _, failure in again.failures()] == ODD


def test_rows_tried_again_leave_the_list(keepers):
    checkpoint = Checkpoint(locked(keepers()), IDENTITY)
    checkpoint.plan(PARTS)
    checkpoint.advance(0, None, counted(1, ODD), ODD)
    places = [place for place, _ in checkpoint.failures()]
    checkpoint.retried(places[0], ODD[:1], counted(1), [])
    assert [failure for _, failure in checkpoint.failures()] == ODD[1:]
    assert checkpoint.tally().to_json()["failed"] == {"pickle": 1}
    checkpoint.retried(places[1], ODD[1:], counted(0, ODD[1:]), ODD[1:])
    checkpoint.close()

    again = Checkpoint(locked(keepers()), IDENTITY)
    assert [failure for _, failure in again.failures()] == ODD[1:]
    assert again.tally().rows == 3
    assert again.tally().failures == 1


def test_what_was_sent_is_kept_for_the_next_run(keepers):
    checkpoint = Checkpoint(locked(keepers()), IDENTITY)
    checkpoint.send(0, {"a": 1})
    checkpoint.send(0, {"b": 2, "\0é": 3})
    checkpoint.send(1, {"c": 4})
    checkpoint.close()

    other = Checkpoint(locked(keepers()), {"source": {"table": "other"}, "target": {}})
    assert other.sent() == []
    other.close()
    again = Checkpoint(locked(keepers()), IDENTITY)
    again.keeper.forget()
    assert sorted(again.sent(), key=len) == [{"c": 4}, {"b": 2, "\0é": 3}]
    again.forget_sent()
    assert again.sent() == []


def test_half_of_what_was_sent_is_no_reason_to_fail(tmp_path):
    keeper = locked(FileKeeper(str(tmp_path / "checkpoint")))
    keeper.send(0, '{"identity": {"sou')
    assert Checkpoint(keeper, IDENTITY).sent() == []


def test_only_one_migration_at_a_time(keepers):
    first = Checkpoint(locked(keepers()), IDENTITY)
    first.plan(PARTS)
    over = threading.Event()

    def work():
        while not over.wait(0.05):
            first.advance(0, "c", counted(1), [])

    working = threading.Thread(target=work)
    working.start()
    try:
        with pytest.raises(CheckpointError, match="another migration is running"):
            keepers().lock()
    finally:
        over.set()
        working.join()
    first.close()
    assert keepers().lock() == ""


def test_a_lock_that_nobody_works_under_is_taken_over(make_table, monkeypatch):
    monkeypatch.setattr("sentry_tablestore.migration.checkpoint_table._WATCHED", 0.2)
    table = make_table()
    first = Checkpoint(locked(TableKeeper(table.connect, table.name)), IDENTITY)
    first.plan(PARTS)
    first.send(0, {"a": 1})
    second = TableKeeper(table.connect, table.name)
    assert "taking over" in second.lock()
    # Should it live after all, it ends before it sends anything more.
    with pytest.raises(CheckpointError, match="took over"):
        first.send(0, {"b": 2})
    with pytest.raises(CheckpointError, match="took over"):
        first.advance(0, "c", counted(1), [])
    assert Checkpoint(second, IDENTITY).sent() == [{"a": 1}]


def test_another_migrations_checkpoint_is_refused(keepers):
    checkpoint = Checkpoint(locked(keepers()), IDENTITY)
    checkpoint.plan(PARTS)
    checkpoint.close()
    other = {"source": {"table": "other"}, "target": IDENTITY["target"]}
    keeper = locked(keepers())
    with pytest.raises(CheckpointError, match="source table is 'other', and 'nodestore_node'"):
        Checkpoint(keeper, other)
    state = keeper.load()
    state["format"] = 99
    keeper.save(state, [])
    with pytest.raises(CheckpointError, match="format 99"):
        Checkpoint(keeper, IDENTITY)
    keeper.forget()
    assert not Checkpoint(keeper, other).resumed


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "checkpoint"
    for text, said in (("{", "cannot be read"), ("[]", "no checkpoint"), ('{"a":1}', "no checkp")):
        path.write_text(text)
        keeper = locked(FileKeeper(str(path)))
        with pytest.raises(CheckpointError, match=said):
            Checkpoint(keeper, IDENTITY)
        assert path.read_text() == text
        keeper.close()
    path.write_text(json.dumps({"format": 1, "identity": IDENTITY, "journal": 0, "parts": [[]]}))
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint(locked(FileKeeper(str(path))), IDENTITY)


def test_a_journal_that_has_become_shorter_is_noticed(tmp_path):
    keeper = locked(FileKeeper(str(tmp_path / "checkpoint")))
    checkpoint = Checkpoint(keeper, IDENTITY)
    checkpoint.plan(PARTS)
    checkpoint.advance(0, "c", counted(0, ODD), ODD)
    checkpoint.close()
    os.truncate(keeper.path + ".journal", 3)
    with pytest.raises(CheckpointError, match="has lost"):
        Checkpoint(locked(FileKeeper(keeper.path)), IDENTITY)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be kept"):
        FileKeeper(str(tmp_path / "missing" / "checkpoint")).lock()


def test_a_writer_that_was_replaced_does_not_save(make_table):
    table = make_table()
    first = locked(TableKeeper(table.connect, table.name))
    checkpoint = Checkpoint(first, IDENTITY)
    checkpoint.plan(PARTS)
    # Behind a pooler of connections the lock of the first one may be lost.
    first._connection.cursor().execute("SELECT pg_advisory_unlock_all()")
    first._connection.commit()
    second = locked(TableKeeper(table.connect, table.name))
    with pytest.raises(CheckpointError, match="took over"):
        checkpoint.advance(0, "c", counted(1), [])
    assert Checkpoint(second, IDENTITY).tally().rows == 0


class Away:
    """A database that is away, by a clock of its own: nobody waits for it."""

    def __init__(self, table, monkeypatch):
        self.table, self.now, self.back_at = table, 0.0, 0.0
        clock = types.SimpleNamespace(monotonic=lambda: self.now, sleep=self.wait)
        monkeypatch.setattr("sentry_tablestore.migration.checkpoint_table.time", clock)

    def connect(self):
        if self.now < self.back_at:
            raise psycopg2.OperationalError("the database system is starting up")
        return self.table.connect()

    def wait(self, seconds):
        self.now += seconds
        return False

    def is_set(self):
        return False

    def go(self, seconds):
        self.back_at = self.now + seconds
        self.table.lose_connections()


def test_a_database_that_restarts_is_waited_for_with_all_patience(make_table, monkeypatch):
    table = make_table()
    away = Away(table, monkeypatch)
    keeper = locked(TableKeeper(away.connect, table.name))
    checkpoint = Checkpoint(keeper, IDENTITY)
    checkpoint.plan(PARTS)
    keeper.endure(600, away)
    away.go(500)
    checkpoint.send(0, {"a": 1})
    checkpoint.advance(0, "c", counted(1), [])
    assert away.now >= 500
    assert keeper.trouble == ""
    away.go(10_000)
    with pytest.raises(CheckpointError, match="starting up"):
        checkpoint.advance(0, "d", counted(1), [])
    assert 1100 < away.now < 1200
    assert "starting up" in keeper.trouble


def test_waiting_for_a_database_ends_at_once_when_the_migration_does(make_table, monkeypatch):
    table = make_table()
    away = Away(table, monkeypatch)
    keeper = locked(TableKeeper(away.connect, table.name))
    stop = threading.Event()
    stop.set()
    keeper.endure(600, stop)
    away.go(500)
    with pytest.raises(CheckpointError):
        keeper.send(0, "")
    assert away.now == 0


def test_what_the_guide_asks_the_tables(make_table):
    guide = (Path(__file__).parent.parent.parent / "docs" / "migration.md").read_text()
    look, drop = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)
    table = make_table()
    checkpoint = Checkpoint(locked(TableKeeper(table.connect, table.name)), IDENTITY)
    checkpoint.plan(PARTS)
    checkpoint.advance(0, None, counted(0, ODD), ODD)
    checkpoint.retried(next(checkpoint.failures())[0], ODD[:1], counted(1), [])
    of_this = look.rstrip(";\n") + f" AND name = '{table.name}'"
    assert table.run(of_this) == [tuple(ODD[1])]
    checkpoint.close()
    table.run(drop)
    assert table.run("SELECT relname FROM pg_class WHERE relname LIKE 'sentry_tablestore%'") == []


def test_a_checkpoint_in_a_table_outlives_lost_connections(make_table):
    table = make_table()
    keeper = locked(TableKeeper(table.connect, table.name))
    keeper.endure(60, threading.Event())
    checkpoint = Checkpoint(keeper, IDENTITY)
    checkpoint.plan(PARTS)
    for n in range(3):
        table.lose_connections()
        checkpoint.advance(0, str(n), counted(1, ODD[:1]), ODD[:1])
        table.lose_connections()
        assert len(list(checkpoint.failures())) == n + 1
    checkpoint.close()
    again = Checkpoint(locked(TableKeeper(table.connect, table.name)), IDENTITY)
    assert again.tally().rows == 6
    assert [failure for _, failure in again.failures()] == ODD[:1] * 3
