"""The store that was there before, read for what Tablestore does not have."""

import logging
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest
from old_nodestore import OLD, called
from sentry_tablestore.errors import TablestoreConnectionError, TablestoreTimeoutError

# On a busy machine the deadline may come before the refusal.
UNREACHABLE = (TablestoreConnectionError, TablestoreTimeoutError)


def test_a_node_of_the_old_store_is_read(nodes, old, new_id):
    here, there = new_id(), new_id()
    nodes.set(here, {"here": 1})
    old.write(there, b'{"there":1}\nunprocessed\n{"raw":1}')
    assert nodes.get(here) == {"here": 1}
    assert called(old) == []
    assert nodes.get(there) == {"there": 1}
    assert nodes.get(there, subkey="unprocessed") == {"raw": 1}
    assert nodes.get(there, subkey="none") is None
    assert nodes.get(new_id()) is None
    assert type(nodes._get_bytes(there)) is bytes


def test_what_both_have_is_read_from_tablestore(nodes, old, new_id):
    node = new_id()
    old.write(node, b'{"a":"old"}')
    nodes.set(node, {"a": "new"})
    assert nodes.get(node) == {"a": "new"}
    assert nodes.get_multi([node]) == {node: {"a": "new"}}
    assert called(old) == []


def test_many_nodes_take_one_call_and_keep_their_order(nodes, old, new_id):
    ids = [new_id() for _ in range(60)]
    for n, node in enumerate(ids):
        if n % 3 == 0:
            nodes.set(node, {"n": n})
        elif n % 3 == 1:
            old.write(node, b'{"n":%d}' % n)
    assert list(nodes._get_bytes_multi(ids)) == ids
    assert called(old) == [("_get_bytes_multi", [id for n, id in enumerate(ids) if n % 3])]
    found = nodes.get_multi(ids)
    assert found == {id: {"n": n} if n % 3 < 2 else None for n, id in enumerate(ids)}
    assert nodes.get_multi([]) == {}


def test_a_legacy_pickle_is_decoded_by_its_own_backend(nodes, old, new_id):
    node = new_id()
    old.write(node, b'pickle:{"a":1}')
    assert nodes.get(node) == {"a": 1}
    assert nodes.get(node, subkey="unprocessed") is None
    assert nodes.get_multi([node]) == {node: {"a": 1}}


def test_a_failing_old_store_is_not_a_missing_node(nodes, old, new_id):
    old.failures["_get_bytes_multi"] = OSError("the database is away")
    for read in (lambda: nodes.get(new_id()), lambda: nodes.get_multi([new_id()])):
        with pytest.raises(OSError, match="the database is away"):
            read()


def test_a_failing_tablestore_is_not_answered_from_the_old_store(make_nodes, old, new_id):
    nodes = make_nodes(end_point="http://127.0.0.1:9", timeout=0.05)
    old.write("a", b'{"stale":1}')
    for read in (lambda: nodes.get("a"), lambda: nodes.get_multi(["a"])):
        with pytest.raises(UNREACHABLE):
            read()
    assert called(old) == []


def test_a_missing_node_is_not_cached_as_missing(nodes, old, new_id):
    nodes.cache = sys.modules["stand_in"].Cache()
    node = new_id()
    old.write(node, b'{"a":1}')
    old.failures["_get_bytes_multi"] = OSError("the database is away")
    with pytest.raises(OSError, match="the database is away"):
        nodes.get_multi([node])
    assert nodes.cache == {}
    old.failures.clear()
    assert nodes.get_multi([node]) == {node: {"a": 1}}
    assert nodes.cache == {node: {"a": 1}}


def test_deletes_go_to_both(nodes, make_nodes, old, new_id):
    ids = [new_id() for _ in range(6)]
    for node in ids:
        nodes.set(node, {"a": 1})
        old.write(node, b'{"a":1}')
    nodes.delete(ids[0])
    nodes.delete_multi(ids[1:4])
    nodes.delete_multi([])
    assert called(old) == [("delete", ids[0]), ("delete_multi", ids[1:4]), ("delete_multi", [])]
    assert [node for node in ids if nodes.get(node)] == ids[4:]
    assert [node for node in ids if node in old.nodes] == ids[4:]


def test_deletes_go_to_both_even_if_the_old_store_fails(nodes, old, new_id):
    ids = [new_id() for _ in range(3)]
    for node in ids:
        nodes.set(node, {"a": 1})
    old.failures.update(delete=OSError("one"), delete_multi=OSError("many"))
    with pytest.raises(OSError, match="one"):
        nodes.delete(ids[0])
    with pytest.raises(OSError, match="many"):
        nodes.delete_multi(ids[1:])
    assert not any(nodes._get_bytes_multi(ids).values())


def test_deletes_go_to_both_even_if_tablestore_fails(make_nodes, old):
    nodes = make_nodes(end_point="http://127.0.0.1:9", timeout=0.05)
    old.write("a", b"{}")
    with pytest.raises(UNREACHABLE):
        nodes.delete("a")
    assert old.nodes == {}
    old.failures["delete"] = failure = OSError("one")
    with pytest.raises(UNREACHABLE) as caught:
        nodes.delete("a")
    assert caught.value.__cause__ is failure


def test_a_deadline_in_the_old_store_ends_the_delete_at_once(nodes, old, new_id):
    class Deadline(BaseException):
        """As Sentry's tasks raise it out of a signal handler."""

    node = new_id()
    nodes.set(node, {"a": 1})
    old.failures["delete"] = Deadline()
    with pytest.raises(Deadline):
        nodes.delete(node)
    assert nodes.get(node) == {"a": 1}


def test_sentry_cleanup_cleans_the_old_store_of_an_expiring_table(
    make_nodes, old, monkeypatch, new_id
):
    node = new_id()
    make_nodes().set(node, {"a": 1})
    monkeypatch.setenv("_SENTRY_CLEANUP", "1")
    expiring = make_nodes(automatic_expiry=True, default_ttl=timedelta(days=1))
    called(old)
    cutoff = datetime.now(timezone.utc) + timedelta(days=1)
    expiring.delete(node)
    expiring.delete_multi([node])
    expiring.cleanup(cutoff)
    assert called(old) == [("delete", node), ("delete_multi", [node]), ("cleanup", cutoff)]
    assert expiring.get(node) == {"a": 1}


@pytest.mark.parametrize("failure", [None, NotImplementedError(), OSError("the database is away")])
def test_cleanup_goes_to_both(request, make_nodes, old, new_id, failure):
    nodes = make_nodes(table="cleanup_" + new_id().replace("-", "_"))
    nodes.bootstrap()
    request.addfinalizer(nodes.store.destroy)  # the server has room for 64 tables
    node = new_id()
    nodes.set(node, {"a": 1})
    if failure is not None:
        old.failures["cleanup"] = failure
    cutoff = datetime.now(timezone.utc) + timedelta(days=1)
    if isinstance(failure, OSError):
        with pytest.raises(OSError, match="the database is away"):
            nodes.cleanup(cutoff)
    else:
        nodes.cleanup(cutoff)
    assert called(old) == [("cleanup", cutoff)]
    assert nodes.get(node) is None


def test_a_delete_that_an_old_store_does_not_have_fails(nodes, old):
    old.failures["delete"] = NotImplementedError()
    with pytest.raises(NotImplementedError):
        nodes.delete("a")


def test_each_thread_constructs_its_own_at_the_first_use(make_nodes, old, new_id):
    nodes = make_nodes()
    node = new_id()
    nodes.set(node, {"a": 1})
    nodes.get(node)
    assert old.calls == []
    old.write("in the old store", b'{"a":1}')
    seen = []

    def use():
        for _ in range(3):
            nodes.get(new_id())
        seen.append(nodes.get("in the old store"))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{"a": 1}] * 4
    assert [name for name, _ in old.calls].count("__init__") == 4


def test_nodes_are_counted(backend, nodes, old, counted, new_id):
    if backend.layout == "bare":
        pytest.skip("this Sentry has no metrics")
    ids = [new_id() for _ in range(5)]
    nodes.set(ids[0], {"a": 1})
    for node in ids[1:3]:
        old.write(node, b"{}")
    nodes.get(ids[0])
    assert counted() == {}
    nodes.get_multi(ids)
    nodes.get(ids[1])
    assert counted() == {"hit": 3, "miss": 2}
    old.failures["_get_bytes_multi"] = OSError("the database is away")
    with pytest.raises(OSError, match="the database is away"):
        nodes.get_multi(ids)
    assert counted() == {"failed": 4}


def test_the_log_tells_now_and_then_what_came_from_the_old_store(
    nodes, old, monkeypatch, caplog, new_id
):
    module = sys.modules["sentry_tablestore.nodestore.read_through"]
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    old.write("there", b"{}")
    with caplog.at_level(logging.INFO, "sentry_tablestore.kvstore.tablestore"):
        for _ in range(3):
            nodes.get("there")
        assert caplog.records == []
        now[0] += module._REPORT_INTERVAL
        nodes.get(new_id())
        nodes.get(new_id())
    assert [record.getMessage() for record in caplog.records] == [
        f"read_through from {OLD} in the last 300 seconds: hit 3, miss 1."
    ]
