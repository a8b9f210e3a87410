"""`'copy': True`: what was read from the old store is written to Tablestore."""

import logging
import sys
from datetime import datetime, timedelta

import pytest
from old_nodestore import A_MONTH_AGO, DJANGO, OLD, called
from sentry_tablestore.kvstore.imported import ImportedNode


@pytest.fixture(params=[OLD, DJANGO])
def copying(request, make_nodes):
    """A backend that copies, from an old store that knows when it wrote and one that does
    not.
    """
    return make_nodes(request.param, copy=True)


@pytest.fixture
def alone(make_nodes):
    """The same table without the old store."""
    return make_nodes(read_through=None)


def test_what_was_read_is_written_back(backend, copying, alone, old, counted, new_id):
    ids = [new_id() for _ in range(3)]
    old.write(ids[0], b'{"n":0}\nunprocessed\n{"raw":0}')
    old.write(ids[1], b'{"n":1}')
    assert copying.get(ids[0]) == {"n": 0}
    assert copying.get_multi(ids[1:]) == {ids[1]: {"n": 1}, ids[2]: None}
    old.nodes.clear()
    assert alone.get(ids[0], subkey="unprocessed") == {"raw": 0}
    assert alone.get_multi(ids) == {ids[0]: {"n": 0}, ids[1]: {"n": 1}, ids[2]: None}
    if backend.layout != "bare":
        assert counted() == {"hit": 2, "miss": 1, "copied": 2}
    called(old)
    assert copying.get(ids[0]) == {"n": 0}
    assert called(old) == []


def test_the_time_of_the_last_write_is_kept(make_nodes, old, store, new_id):
    node = new_id()
    old.write(node, b'{"a":1}', A_MONTH_AGO)
    make_nodes(DJANGO, copy=True).get(node)
    (scanned,), _ = store.scan(start=node, limit=1)
    # Another test counts the old nodes of the shared table.
    store.delete(node)
    assert scanned.id == node
    assert scanned.written == int(A_MONTH_AGO.timestamp() * 1000)


def test_it_is_now_where_the_old_store_cannot_tell(make_nodes, old, store, new_id):
    node = new_id()
    old.write(node, b'{"a":1}', A_MONTH_AGO)
    make_nodes(OLD, copy=True).get(node)
    (scanned,), _ = store.scan(start=node, limit=1)
    assert scanned.written > (datetime.now().timestamp() - 60) * 1000


def test_nothing_is_overwritten(copying, alone, old, new_id):
    node = new_id()
    old.write(node, b'{"a":"old"}')
    # Written by another process after Tablestore was found not to have it.
    old.meanwhile.append(lambda: alone.set(node, {"a": "new"}))
    assert copying.get(node) == {"a": "old"}
    assert alone.get(node) == {"a": "new"}


def test_a_node_deleted_meanwhile_does_not_come_back(copying, alone, old, new_id):
    ids = [new_id() for _ in range(3)]
    for node in ids:
        old.write(node, b'{"a":1}')
    old.meanwhile.append(lambda: copying.delete(ids[1]))
    assert copying.get_multi(ids) == {node: {"a": 1} for node in ids}
    assert [node for node in ids if alone.get(node)] == [ids[0], ids[2]]


def test_a_node_written_anew_in_the_old_store_is_not_copied_as_it_was(copying, alone, old, new_id):
    node = new_id()
    old.write(node, b'{"a":1}', A_MONTH_AGO)
    old.meanwhile.append(lambda: old.write(node, b'{"a":2}'))
    copying.get(node)
    assert alone.get(node) is None
    assert copying.get(node) == {"a": 2}
    assert alone.get(node) == {"a": 2}


def test_no_copy_stays_where_the_old_store_cannot_be_looked_at_again(
    copying, alone, old, caplog, new_id
):
    node = new_id()
    old.write(node, b'{"a":1}')
    away = OSError("the database is away")
    old.meanwhile.append(lambda: old.failures.update(_get_bytes_multi=away, times=away))
    assert copying.get(node) == {"a": 1}
    assert alone.get(node) is None
    assert "the database is away" in caplog.text


@pytest.mark.parametrize("lost", [1, -1])
def test_no_copy_stays_of_a_deleted_node_where_an_answer_is_lost(
    make_nodes, alone, old, server, new_id, lost
):
    """The copy's own row is then there already, or its request is said to have failed."""
    copying = make_nodes(DJANGO, copy=True, timeout=1)
    ids = [new_id() for _ in range(3)]
    for node in ids:
        old.write(node, b'{"a":1}')
    old.meanwhile.append(lambda: alone.delete(ids[1]) or old.nodes.pop(ids[1]))
    with server.failing({"operation": "BatchWriteRow", "action": "drop_after", "count": lost}):
        assert copying.get_multi(ids) == {node: {"a": 1} for node in ids}
    assert alone.get(ids[1]) is None
    assert alone.get(ids[0]) == alone.get(ids[2]) == {"a": 1}


def test_what_was_migrated_meanwhile_stays_where_the_old_store_cannot_be_looked_at(
    make_nodes, alone, old, store, new_id
):
    """It has the very time of the copy, and has been counted as moved."""
    node, away = new_id(), OSError("the database is away")
    old.write(node, b'{"a":1}', A_MONTH_AGO)
    moved = ImportedNode(node, b'{"a":1}', int(A_MONTH_AGO.timestamp() * 1000))

    def meanwhile():
        assert store.import_many([moved]) == ["written"]
        old.failures.update(_get_bytes_multi=away, times=away)

    old.meanwhile.append(meanwhile)
    assert make_nodes(DJANGO, copy=True).get(node) == {"a": 1}
    assert alone.get(node) == {"a": 1}
    store.delete(node)


def test_a_pickle_is_copied_as_json(copying, alone, old, new_id):
    node, broken = new_id(), new_id()
    old.write(node, b'pickle:{"a":1}')
    old.write(broken, b"pickle:{}")
    assert copying.get_multi([node, broken]) == {node: {"a": 1}, broken: {}}
    assert alone._get_bytes_multi([node, broken]) == {node: b'{"a":1}', broken: None}


def test_a_failing_copy_fails_no_read(
    backend, copying, alone, old, server, monkeypatch, caplog, counted, new_id
):
    module = sys.modules["sentry_tablestore.nodestore.read_through"]
    ids = [new_id() for _ in range(3)]
    for node in ids:
        old.write(node, b'{"a":1}')
    with server.failing(
        {"operation": "BatchWriteRow", "code": "OTSNoPermissionAccess", "count": -1},
        {"operation": "PutRow", "code": "OTSNoPermissionAccess", "count": -1},
    ):
        assert copying.get(ids[0]) == {"a": 1}
        assert copying.get(ids[1]) == {"a": 1}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    messages = [record.getMessage() for record in warnings]
    (warning,) = [message for message in messages if message.startswith("read_through")]
    assert warning.startswith("read_through could not copy 1 nodes from stand_in.old_store.")
    assert ids[0] in warning
    assert "OTSNoPermissionAccess" in warning
    if backend.layout != "bare":
        assert counted() == {"hit": 2, "copy_failed": 1}
    later = module.time.monotonic() + module._PAUSE
    monkeypatch.setattr(module.time, "monotonic", lambda: later)
    assert copying.get(ids[1]) == {"a": 1}
    assert alone.get(ids[0]) is None
    assert alone.get(ids[1]) == {"a": 1}


def test_nothing_is_copied_that_would_have_expired(make_nodes, alone, old, new_id):
    node = new_id()
    old.write(node, b'{"a":1}', A_MONTH_AGO)
    nodes = make_nodes(DJANGO, copy=True, default_ttl=timedelta(days=7))
    assert nodes.get(node) == {"a": 1}
    assert alone.get(node) is None


def test_nothing_is_copied_without_it(nodes, alone, old, new_id):
    node = new_id()
    old.write(node, b'{"a":1}')
    assert nodes.get(node) == {"a": 1}
    assert alone.get(node) is None
