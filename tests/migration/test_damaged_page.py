"""A table in PostgreSQL with a page that the server cannot read: nothing else is lost."""

import time
import uuid

import psycopg2
import pytest
from nodestore_node import Table
from sentry_tablestore.migration.carry import Carrier
from sentry_tablestore.migration.checkpoint import Checkpoint
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.run import FAILED, FINISHED, Migration
from sentry_tablestore.migration.sources.postgresql import PostgreSQLSource
from sentry_tablestore.migration.verify import Verifier

ROWS = 3000
BLOCK = 8192
DAMAGED = 10
NOW = int(time.time() * 1000)


@pytest.fixture
def damage(postgresql):
    """Make a database with a table of which one page is garbage on the disk."""
    made = []

    def make(vacuumed):
        sound, damaged = ("db_" + uuid.uuid4().hex for _ in range(2))
        postgresql.create_database(sound)
        made.append(sound)
        table = Table(postgresql.folder, sound, "nodes")
        table.insert((uuid.uuid4().hex, b"{}", NOW - n) for n in range(ROWS))
        found = table.run("SELECT id, (ctid::text::point)[0]::int FROM nodes")
        if vacuumed:
            # What is committed must be on the disk before VACUUM takes it for visible to all.
            postgresql.execute("postgres", "CHECKPOINT")
            table.run("VACUUM nodes")
        # A copy whose pages the server has never seen.
        postgresql.execute("postgres", "CHECKPOINT")
        postgresql.execute(
            "postgres", f"CREATE DATABASE {damaged} TEMPLATE {sound} STRATEGY file_copy"
        )
        made.append(damaged)
        copy = Table.__new__(Table)
        copy.parameters, copy.name = dict(table.parameters, dbname=damaged), "nodes"
        ((file,),) = copy.run("SELECT pg_relation_filepath('nodes')")
        with (postgresql.folder / "data" / file).open("r+b") as pages:
            pages.seek(DAMAGED * BLOCK)
            pages.write(b"\xff" * 64)
        with pytest.raises(psycopg2.InternalError, match=f"invalid page in block {DAMAGED}"):
            copy.run("SELECT count(data) FROM nodes")
        copy.lost = sorted(id for id, block in found if block == DAMAGED)
        copy.ids = sorted(id for id, block in found if block != DAMAGED)
        assert copy.lost
        return copy

    yield make
    for name in made:
        postgresql.drop_database(name)


@pytest.fixture
def migrated(tmp_path, store):
    """Migrate a source."""

    def migrate(of):
        keeper = FileKeeper(str(tmp_path / uuid.uuid4().hex))
        keeper.lock()
        checkpoint = Checkpoint(keeper, {"source": {}, "target": {}})
        run = Migration(of, Carrier(of, store), checkpoint, patience=1)
        return run.run(lambda status: None), run

    return migrate


def test_only_the_rows_of_the_page_are_unreadable(damage, migrated, store):
    table = damage(vacuumed=True)
    of = PostgreSQLSource(table.connect, table.name)
    of.check()
    ending, run = migrated(of)
    assert ending == FINISHED, run.failure
    tally = run.checkpoint.tally()
    assert (tally.moved, tally.failed) == (len(table.ids), {"unreadable": len(table.lost)})
    failures = [failure for _, failure in run.checkpoint.failures()]
    assert sorted(failure.id for failure in failures) == table.lost
    assert all(f"invalid page in block {DAMAGED}" in failure.detail for failure in failures)
    assert len(dict(store.get_many(table.ids))) == len(table.ids)
    verifier = Verifier(of, store)
    verifier.full(4, lambda nodes, size: None)
    counts = {kind: count for kind, count in verifier.counts.items() if count}
    assert counts == {"same": len(table.ids), "unreadable": len(table.lost)}


def test_times_are_kept_to(damage, migrated):
    table = damage(vacuumed=True)
    ending, run = migrated(PostgreSQLSource(table.connect, table.name, since=NOW - 99))
    assert ending == FINISHED, run.failure
    # When a row of the damaged page was written nobody knows.
    assert run.checkpoint.tally().failed == {"unreadable": len(table.lost)}
    assert run.checkpoint.tally().moved == 100


def test_rows_that_were_never_vacuumed_end_it_with_what_to_do(damage, migrated):
    table = damage(vacuumed=False)
    ending, run = migrated(PostgreSQLSource(table.connect, table.name))
    assert ending == FAILED
    assert f"invalid page in block {DAMAGED}" in str(run.failure)
    assert "zero_damaged_pages" in str(run.failure)


@pytest.mark.parametrize("code", ["58030", "58P01"])
def test_a_disk_error_is_no_lost_connection(make_table, code):
    table = make_table()
    table.insert([("a", b"{}", NOW), ("b", b"{}", NOW)])
    table.run(
        f"CREATE FUNCTION fail_{table.name}(text) RETURNS text LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE SQLSTATE '{code}' USING MESSAGE = 'could not read block 7'; END $$;"
        f" CREATE VIEW {table.name}_view AS SELECT id, CASE id WHEN 'b'"
        f" THEN fail_{table.name}(data) ELSE data END AS data, timestamp FROM {table.name}"
    )
    reader = PostgreSQLSource(table.connect, table.name + "_view").reader()
    good, bad = reader.fetch(["a", "b"])
    assert (good.trouble, bad.trouble) == ("", "unreadable")
    assert "could not read block 7" in bad.detail
