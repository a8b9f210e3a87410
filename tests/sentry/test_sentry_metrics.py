"""A real Sentry's metrics and spans tell of calls of the nodestore."""

import uuid

import pytest
from console import Console

RAW = 5014


@pytest.fixture(scope="module")
def observed(inside: Console) -> dict:
    """What it was told of a write, reads and a delete."""
    return inside.call("observed.calls", node_id=uuid.uuid4().hex, missing_id=uuid.uuid4().hex)


def test_metrics(observed: dict) -> None:
    found = {}
    for key, value, tags in observed["metrics"]:
        found.setdefault((key, tags.get("operation")), []).append(value)
    prefix = "nodestore.tablestore."
    assert len(found[prefix + "duration", "get"]) == 2
    for operation in ("set", "get_many", "delete_many"):
        (seconds,) = found[prefix + "duration", operation]
        assert 0 < seconds < 10
        assert found[prefix + "requests", operation] == [1]
    assert found[prefix + "size.raw", "set"] == [RAW]
    assert 0 < found[prefix + "size.stored", "set"][0] < 200
    assert found[prefix + "missing", "get_many"] == [1]
    assert not [key for key in found if key[0] == prefix + "failed"]


def test_spans(observed: dict) -> None:
    # `set_subkeys` had an op of its own at first.
    assert [op.replace("nodestore.set_subkeys", "nodestore") for op, _ in observed["spans"]] == [
        "nodestore",
        "nodestore.get",
        "nodestore.get_multi",
        "nodestore.tablestore.get",
        "nodestore.tablestore.delete_multi",
    ]
    for op, tags in observed["spans"]:
        assert tags["requests"] == 1, op
        if op != "nodestore.tablestore.delete_multi":
            assert tags["bytes.raw"] == RAW, op
    assert observed["spans"][2][1]["missing"] == 1
