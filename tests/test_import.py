"""Nodes of another store, brought with the time at which they were written there."""

import base64
import time
import zlib
from datetime import timedelta

import pytest
from sentry_tablestore.errors import TablestoreInvalidIDError, TablestoreTableMissingError
from sentry_tablestore.kvstore.imported import ImportedNode

VALUE = b'{"event_id":"6b3c","level":"error"}'
AGO = int(time.time() * 1000) - 3_600_000


def django(value):
    """Encode as Django's table does."""
    return base64.b64encode(zlib.compress(value))


@pytest.mark.parametrize("compression", [False, "zlib", "zstd"])
def test_values_of_django_arrive_as_they_were(make_store, new_id, compression):
    """Whatever the target compresses with."""
    store, id = make_store(compression=compression), new_id()
    nodes = [ImportedNode(id, django(VALUE), AGO)]
    assert store.import_many(nodes, encoding="base64+zlib") == ["written"]
    assert store.get(id) == VALUE
    assert store.import_many(nodes, encoding="base64+zlib") == ["same"]


def test_what_became_of_each_is_told_in_order(make_store, new_id):
    """Also of those that are not written."""
    store = make_store(default_ttl=timedelta(days=1))
    ids = [new_id() for _ in range(5)]
    store.set(ids[1], b"newer")
    told = store.import_many(
        [
            ImportedNode(ids[0], django(VALUE), AGO),
            ImportedNode(ids[1], django(VALUE), AGO),
            ImportedNode(ids[2], django(b"\x80\x02}q\x01."), AGO),
            ImportedNode(ids[3], b"neither", AGO),
            ImportedNode(ids[4], django(VALUE), AGO - 86_400_000),
        ],
        encoding="base64+zlib",
    )
    assert told == ["written", "newer", "pickle", "broken", "expired"]
    assert dict(store.get_many(ids)) == {ids[0]: VALUE, ids[1]: b"newer"}


def test_only_missing_ones(store, new_id):
    """Whatever the time of the others."""
    here, missing = new_id(), new_id()
    store.set(here, b"here")
    nodes = [ImportedNode(here, b"x", 0), ImportedNode(missing, b"x", 0)]
    assert store.import_many(nodes, only_missing=True) == ["exists", "written"]
    assert store.get(here) == b"here"
    assert store.get(missing) == b"x"


def test_an_import_is_taken_back(store, new_id):
    """But not what was written since."""
    kept, gone = new_id(), new_id()
    store.import_many([ImportedNode(kept, b"x", AGO), ImportedNode(gone, b"x", AGO)])
    store.set(kept, b"since")
    assert store.discard_many([kept, gone], [AGO, AGO]) == 1
    assert store.get(gone) is None
    assert store.get(kept) == b"since"


def test_bad_arguments_are_refused(store, new_id):
    """Before anything is sent."""
    id = new_id()
    with pytest.raises(ValueError, match="different ids"):
        store.import_many([ImportedNode(id, b"", 1), ImportedNode(id, b"", 2)])
    with pytest.raises(ValueError, match="encoding"):
        store.import_many([ImportedNode(id, b"", 1)], encoding="gzip")
    with pytest.raises(ValueError, match="milliseconds"):
        store.import_many([ImportedNode(id, b"", -1)])
    with pytest.raises(TablestoreInvalidIDError):
        store.import_many([ImportedNode("", b"", 1)])
    with pytest.raises(ValueError, match="differ"):
        store.discard_many([id], [])
    with pytest.raises(ValueError, match="limit"):
        store.scan(limit=0)
    assert store.import_many([]) == []
    assert store.get(id) is None


def test_scan(server, make_store):
    """All nodes, in pages, with and without their values."""
    store = make_store(table="scanned", compression="zstd")
    store.bootstrap(automatic_expiry=False)
    values = {f"{i:03}": VALUE * (i + 1) for i in range(25)}
    store.set_many(values)
    for with_values in (True, False):
        found, start = [], ""
        while start is not None:
            nodes, start = store.scan(start, limit=10, values=with_values)
            found += nodes
        assert [node.id for node in found] == sorted(values)
        assert [node.size for node in found] == [len(values[node.id]) for node in found]
        assert {node.compression for node in found} == {"zstd"}
        assert all(0 < node.stored < 200 and not node.error for node in found)
        wanted = values if with_values else dict.fromkeys(values)
        assert {node.id: node.value for node in found} == wanted
    assert [node.id for node in store.scan("020")[0]] == sorted(values)[20:]


def test_describe(make_store):
    """The table as it is, or an error that it is not."""
    store = make_store(table="described", default_ttl=timedelta(days=7))
    with pytest.raises(TablestoreTableMissingError):
        store.describe()
    store.bootstrap(automatic_expiry=True)
    description = store.describe()
    assert description.name == "described"
    assert description.primary_key == [("id", "STRING")]
    assert description.time_to_live == 7 * 86400
    assert description.max_versions == 1
