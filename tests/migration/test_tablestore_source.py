"""A table of Tablestore as a source: every node once, whatever its id, in however many parts."""

import hashlib
import logging
import time
import uuid
from collections import Counter

import pytest
from sentry_tablestore.errors import TablestoreConnectionError, TablestoreTimeoutError
from sentry_tablestore.kvstore.imported import ImportedNode
from sentry_tablestore.migration.carry import Carrier
from sentry_tablestore.migration.checkpoint import Checkpoint
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.run import FINISHED, PARTS, Migration
from sentry_tablestore.migration.sources import source
from sentry_tablestore.migration.sources.id_list import IDList
from sentry_tablestore.migration.sources.source import SourceUnavailableError
from sentry_tablestore.migration.sources.tablestore import TablestoreSource
from sentry_tablestore.migration.verify import Verifier

NOW = int(time.time() * 1000) - 60_000
# On a busy machine the deadline may come before the refusal.
UNREACHABLE = (TablestoreConnectionError, TablestoreTimeoutError)
PREFIXES = ("", "", "i-o:", "p-i-e:", "e-g-f:")
# Bounds of parts, what lies beside them, and ids that are no digits of a hash.
ODD = ("0", "00", "000", "01", "7f", "ff", "g", "g0", "i-o:", "i-o:0", "i-o:0\x01", "zz", "☃", "A")


@pytest.fixture
def table_of(make_store):
    """Make tables that hold nodes with these ids; they go with the test: there is a quota."""
    made = []

    def make(ids):
        store = make_store(table="t_" + uuid.uuid4().hex)
        made.append(store)
        store.bootstrap(automatic_expiry=False)
        for at in range(0, len(ids), 1000):
            nodes = [ImportedNode(id, _value(id), NOW) for id in ids[at : at + 1000]]
            assert set(store.import_many(nodes)) == {"written"}
        return store

    yield make
    for store in made:
        store.destroy()


def _ids(count):
    digests = (hashlib.md5(str(n).encode()).hexdigest() for n in range(count))
    return [PREFIXES[n % len(PREFIXES)] + digest for n, digest in enumerate(digests)]


def _value(id):
    return b'{"id":"%s"}' % id.encode("utf-8")


class Counting:
    """A store that counts what it is asked for."""

    def __init__(self, store):
        self._store = store
        self.nodes = Counter()
        self.requests = 0

    def scan(self, *arguments, **options):
        nodes, start = self._store.scan(*arguments, **options)
        self.requests += 1
        self.nodes.update(node.id for node in nodes)
        return nodes, start

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.mark.parametrize("count", [1, 16, 64])
@pytest.mark.parametrize("limit", [3, 1000])
def test_every_node_is_in_one_page_of_one_part(table_of, count, limit):
    ids = [*_ids(500), *ODD]
    of = TablestoreSource(table_of(ids))
    of.store = counting = Counting(of.store)
    parts = of.parts(count)
    found = Counter()
    reader = of.reader()
    for part in parts:
        cursor = None
        while True:
            page = reader.page(part, cursor, limit, 1 << 20)
            assert len(page.rows) <= limit
            found.update(row.id for row in page.rows)
            assert all(row.value == _value(row.id) for row in page.rows)
            cursor = page.cursor
            if cursor is None:
                break
    assert found == Counter(ids)
    # And nothing was fetched twice, or fetched for a part that it is not in.
    assert counting.nodes == Counter(ids)
    assert counting.requests <= len(parts) + len(ids) // limit + 1


def test_many_workers_move_every_node_once(table_of, tmp_path):
    ids = [*_ids(6000), *ODD]
    of = TablestoreSource(table_of(ids))
    of.store = counting = Counting(of.store)
    target = table_of([])
    keeper = FileKeeper(str(tmp_path / "checkpoint"))
    keeper.lock()
    checkpoint = Checkpoint(keeper, {"source": of.identity(), "target": {}})
    assert len(of.parts(PARTS)) > PARTS
    run = Migration(of, Carrier(of, target), checkpoint, workers=16)
    assert run.run(lambda status: None) == FINISHED, run.failure
    tally = checkpoint.tally()
    assert (tally.moved, tally.rows) == (len(ids), len(ids))
    assert counting.nodes == Counter(ids)
    checkpoint.close()
    verifier = Verifier(of, target)
    verifier.full(16, lambda nodes, size: None)
    assert verifier.complete
    assert verifier.counts["same"] == len(ids)


def test_what_changed_since_is_told_in_few_requests(table_of, caplog):
    ids = _ids(250)
    store = table_of(ids)
    reader = TablestoreSource(store).reader()
    rows = {row.id: row for row in reader.fetch([*ids, "missing"])}
    assert rows.pop("missing").trouble == source.GONE
    assert list(rows) == ids
    store.delete(ids[3])
    store.set(ids[200], b"{}")
    caplog.clear()
    caplog.set_level(logging.DEBUG, logger="tablestore-client")
    changed = {row.id: row for row in reader.changed(list(rows.values()))}
    operations = [record.getMessage().split()[0] for record in caplog.records]
    assert operations == ["BatchGetRow"] * 4  # 250 by hundreds, then those that changed
    assert list(changed) == [ids[3], ids[200]]
    assert changed[ids[3]].trouble == source.GONE
    assert changed[ids[200]].value == b"{}"
    assert reader.changed([]) == []


def test_a_list_of_ids(table_of, tmp_path):
    ids = _ids(300)
    listed = tmp_path / "ids"
    listed.write_text("\n".join([*ids[:120], "missing"]))
    of = TablestoreSource(table_of(ids), IDList(str(listed)))
    reader = of.reader()
    found = []
    for part in of.parts(8):
        cursor = None
        while True:
            page = reader.page(part, cursor, 50, 1 << 20)
            found += page.rows
            cursor = page.cursor
            if cursor is None:
                break
    assert [row.id for row in found] == [*ids[:120], "missing"]
    assert [row.id for row in found if row.trouble] == ["missing"]


def test_a_source_that_does_not_answer_is_told_as_such(make_store):
    of = TablestoreSource(make_store(end_point="http://127.0.0.1:1", timeout=5))
    (part, *_) = of.parts(1)
    with pytest.raises(SourceUnavailableError) as caught:
        of.reader().page(part, None, 10, 1000)
    assert isinstance(caught.value.__cause__, UNREACHABLE)
