"""What Sentry expects of its nodestore, in every layout that Sentry has had."""

import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest
from sentry_tablestore.errors import TablestoreConnectionError, TablestoreTimeoutError

# On a busy machine the deadline may come before the refusal.
UNREACHABLE = (TablestoreConnectionError, TablestoreTimeoutError)


@pytest.fixture
def nodes(make_nodes):
    """A backend on the shared table."""
    made = make_nodes()
    made.validate()
    made.setup()
    return made


def test_a_node_is_read_back(nodes, new_id):
    node = new_id()
    assert nodes.get(node) is None
    nodes.set(node, {"message": "\u4e2d\u6587", "n": [1, 2.5, None]})
    assert nodes.get(node) == {"message": "\u4e2d\u6587", "n": [1, 2.5, None]}
    nodes.set(node, {"message": "again"})
    assert nodes.get(node) == {"message": "again"}


def test_subkeys(nodes, new_id):
    node = new_id()
    nodes.set_subkeys(node, {None: {"a": 1}, "unprocessed": {"b": 2}, "other": {"c": 3}})
    assert nodes.get(node) == {"a": 1}
    assert nodes.get(node, subkey="unprocessed") == {"b": 2}
    assert nodes.get(node, subkey="other") == {"c": 3}
    assert nodes.get(node, subkey="none") is None
    assert nodes.get_multi([node, new_id()], subkey="other")[node] == {"c": 3}
    nodes.set(node, {"a": 2})
    assert nodes.get(node, subkey="unprocessed") is None


def test_the_base_class_gets_real_bytes(nodes, new_id):
    node = new_id()
    nodes.set(node, {})
    assert type(nodes._get_bytes(node)) is bytes
    assert type(nodes._get_bytes_multi([node])[node]) is bytes


def test_many_nodes_come_in_the_order_asked_for_with_none_for_missing(nodes, new_id):
    ids = [new_id() for _ in range(120)]
    for node in ids[::3]:
        nodes.set(node, {"id": node})
    found = nodes._get_bytes_multi(ids)
    assert isinstance(found, dict)
    assert list(found) == ids
    assert [value is not None for value in found.values()] == [n % 3 == 0 for n in range(120)]
    assert nodes.get_multi(ids)[ids[3]] == {"id": ids[3]}
    assert nodes._get_bytes_multi([]) == {}
    assert nodes.get_multi([]) == {}


def test_parameters_go_by_position_and_by_name(nodes, new_id):
    node = new_id()
    nodes._set_bytes(node, b"1", None)
    nodes._set_bytes(node, b"2", ttl=timedelta(days=1))
    nodes._set_bytes(node, b"3", timedelta(days=1))
    assert nodes._get_bytes(node) == b"3"


@pytest.mark.parametrize("backend", ["newest"], indirect=True)
def test_the_wrappers_of_the_newest_base_class(nodes, new_id):
    node = new_id()
    nodes.set_bytes(node, b'{"a":1}', timedelta(days=14))
    assert nodes.get_bytes(node) == b'{"a":1}'


def test_a_ttl(nodes, new_id):
    node = new_id()
    nodes.set(node, {"a": 1}, ttl=timedelta(milliseconds=1))
    while nodes.get(node) is not None:
        pass
    nodes.set(node, {"a": 1}, ttl=timedelta(days=14))
    assert nodes.get(node) == {"a": 1}


def test_deletes(nodes, new_id):
    ids = [new_id() for _ in range(10)]
    for node in ids:
        nodes.set(node, {"a": 1})
    nodes.delete(ids[0])
    nodes.delete_multi(ids[1:2])
    nodes.delete_multi(ids[2:6] + ids[2:4] + [new_id()])
    nodes.delete_multi([])
    nodes.delete(new_id())
    assert [node for node in ids if nodes.get(node)] == ids[6:]


@pytest.mark.parametrize("backend", ["newest"], indirect=True)
def test_ten_thousand_deletes(nodes, new_id):
    ids = [new_id() for _ in range(10000)]
    for node in ids[::1000]:
        nodes.set(node, {"a": 1})
    nodes.delete_multi(ids)
    assert not any(nodes._get_bytes_multi(ids).values())


def test_the_cached_item_goes_even_when_the_delete_fails(backend, make_nodes):
    nodes = make_nodes(end_point="http://127.0.0.1:9", timeout=0.05)
    nodes.cache = sys.modules["stand_in"].Cache(a=1, b=2, c=3)
    with pytest.raises(UNREACHABLE):
        nodes.delete("a")
    with pytest.raises(UNREACHABLE):
        nodes.delete_multi(["b", "c"])
    assert nodes.cache == {}


def test_an_unreachable_store_is_not_a_missing_node(make_nodes):
    nodes = make_nodes(end_point="http://127.0.0.1:9", timeout=0.05)
    for call in (
        lambda: nodes.get("a"),
        lambda: nodes.get_multi(["a"]),
        lambda: nodes.set("a", {}),
        lambda: nodes.delete("a"),
    ):
        with pytest.raises(UNREACHABLE):
            call()


def test_sentry_cleanup_leaves_alone_what_the_table_expires(make_nodes, monkeypatch, new_id):
    node = new_id()
    make_nodes().set(node, {"a": 1})
    monkeypatch.setenv("_SENTRY_CLEANUP", "1")
    expiring = make_nodes(automatic_expiry=True, default_ttl=timedelta(days=1))
    expiring.delete(node)
    expiring.delete_multi([node])
    expiring.cleanup(datetime.now(timezone.utc) + timedelta(days=1))
    assert expiring.get(node) == {"a": 1}
    make_nodes().delete(node)
    assert make_nodes().get(node) is None


def test_cleanup_deletes_where_nothing_else_does(request, make_nodes, new_id):
    nodes = make_nodes(table="cleanup_" + new_id().replace("-", "_"))
    nodes.bootstrap()
    request.addfinalizer(nodes.store.destroy)  # the server has room for 64 tables
    nodes.bootstrap()
    node = new_id()
    nodes.set(node, {"a": 1})
    nodes.cleanup(datetime.now(timezone.utc) - timedelta(days=90))
    assert nodes.get(node) == {"a": 1}
    nodes.cleanup(datetime.now(timezone.utc) + timedelta(days=1))
    assert nodes.get(node) is None


def test_every_thread_constructs_it_again(nodes, new_id):
    ids = [new_id() for _ in range(8)]
    stores, failed = set(), []

    def use(node):
        try:
            nodes.set(node, {"id": node})
            assert nodes.get(node) == {"id": node}
            stores.add(id(nodes.store))
        except Exception as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=use, args=(node,)) for node in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert nodes.get_multi(ids) == {node: {"id": node} for node in ids}


def test_a_tool_that_takes_other_parameters_fails_nothing(backend, nodes, monkeypatch, new_id):
    def changed(*, everything, is_different):
        raise AssertionError("not callable so")

    found = sys.modules["sentry_tablestore.nodestore.sentry"]._found
    for tool in ("span", "base_span", "measure", "report"):
        monkeypatch.setitem(found, tool, changed)
    node = new_id()
    nodes.set(node, {"a": 1})
    nodes.delete(node)
    assert nodes.get(node) is None
