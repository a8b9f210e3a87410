"""What the running Sentry is told, in every layout that Sentry has had: docs/metrics.md."""

import importlib
import sys
import types

import pytest
from sentry_tablestore.errors import TablestoreError, TablestorePermissionError

NODE = {"message": "x" * 2000}
SIZE = 2014
NOWHERE = {"end_point": "http://127.0.0.1:9", "timeout": 0.5}


@pytest.fixture
def nodes(make_nodes):
    """A backend that compresses, on the shared table."""
    return make_nodes(compression="zstd")


def of_kind(recorded, *kinds):
    return [entry for entry in recorded if entry[0] in kinds]


def counted(recorded, key, operation):
    """Sum what was recorded by this name for this operation."""
    return sum(
        value
        for kind, name, value, tags in of_kind(recorded, "incr", "distribution", "timing")
        if name == "nodestore.tablestore." + key and tags == {"operation": operation}
    )


@pytest.mark.parametrize("backend", ["old", "moved", "newest"], indirect=True)
def test_metrics_of_each_call(backend, nodes, recorded, new_id):
    node, other = new_id(), new_id()
    nodes.set(node, NODE)
    nodes.get(node)
    nodes.get_multi([node, other])
    nodes.delete(node)
    nodes.delete_multi([node, other])
    assert [name for _, name, *_ in of_kind(recorded, "timing") if name.endswith("duration")] == [
        "nodestore.tablestore.duration"
    ] * 5
    for operation in ("set", "get", "get_many", "delete", "delete_many"):
        assert 0 < counted(recorded, "duration", operation) < 10
        assert counted(recorded, "requests", operation) == 1
        assert counted(recorded, "retries", operation) == 0
    for operation in ("set", "get", "get_many"):
        assert counted(recorded, "size.raw", operation) == SIZE
        assert 20 < counted(recorded, "size.stored", operation) < 200
    assert counted(recorded, "missing", "get_many") == 1
    # What is not there is not recorded.
    names = {name for kind, name, *_ in of_kind(recorded, "incr", "distribution", "timing")}
    assert names == {
        "nodestore.tablestore." + name
        for name in ("duration", "requests", "size.raw", "size.stored", "missing")
    }
    kind = "timing" if backend.layout == "old" else "distribution"
    assert {entry[0] for entry in recorded if "size" in str(entry[1])} == {kind}


@pytest.mark.parametrize("backend", ["old", "newest"], indirect=True)
def test_retries_throttling_and_split_values(server, nodes, make_nodes, recorded, new_id):
    node = new_id()
    with server.failing({"code": "OTSServerBusy", "count": 2}):
        nodes.set(node, NODE)
    assert counted(recorded, "retries", "set") == 2
    assert counted(recorded, "requests", "set") == 3
    with server.failing({"code": "OTSNotEnoughCapacityUnit", "count": 1}):
        nodes.get(node)
    assert counted(recorded, "throttled", "get") == 1
    del recorded[:]
    make_nodes()._set_bytes(node, b"x" * (3 << 20))
    assert counted(recorded, "split", "set") == 1


@pytest.mark.parametrize("backend", ["old", "moved", "newest"], indirect=True)
def test_failures_are_counted_by_their_class(server, make_nodes, recorded):
    nodes = make_nodes()
    with server.failing({"code": "OTSNoPermissionAccess", "count": -1}):
        for call in (lambda: nodes.delete("a"), lambda: nodes.get("a")):
            with pytest.raises(TablestorePermissionError):
                call()
    assert [entry for entry in recorded if entry[1] == "nodestore.tablestore.failed"] == [
        (
            "incr",
            "nodestore.tablestore.failed",
            1,
            {"operation": operation, "error": "TablestorePermissionError"},
        )
        for operation in ("delete", "get")
    ]


@pytest.mark.parametrize("backend", ["old", "newest"], indirect=True)
def test_a_sentry_without_metrics_is_told_nothing(nodes, recorded, new_id, monkeypatch):
    nodes.set(new_id(), NODE)
    played = sys.modules["sentry.utils.metrics"]
    dummy = sys.modules["stand_in.metrics"].DummyMetricsBackend()
    wrapper = sys.modules["stand_in.metrics"].Wrapper
    for backend in (dummy, wrapper(dummy)):
        monkeypatch.setattr(played, "backend", backend)
        del recorded[:]
        nodes.set(new_id(), NODE)
        assert of_kind(recorded, "incr", "distribution", "timing") == []


@pytest.mark.parametrize("backend", ["newest"], indirect=True)
def test_sentrys_own_measurements_of_storage(nodes, make_nodes, recorded, new_id):
    node = new_id()
    nodes.set(node, NODE)
    nodes.get(node)
    nodes.get_multi([node])
    nodes.delete(node)
    nodes.delete_multi([node, node])
    measures = [entry[1:] for entry in recorded if entry[0] == "measure"]
    assert [(name, usecase) for name, usecase, _ in measures] == [
        (name, "nodestore") for name in ("put", "get", "get-multi", "delete", "delete-multi")
    ]
    sizes = [sizes for _, _, sizes in measures]
    stored = sizes[0][1][0]
    assert 20 < stored < 200
    assert sizes == [[SIZE, (stored, "zstd")], [(stored, "zstd"), SIZE], [], [], []]
    del recorded[:]
    make_nodes().set(node, NODE)
    assert [entry[3] for entry in recorded if entry[0] == "measure"] == [[SIZE]]


class TestSpans:
    @pytest.fixture
    def spans(self, recorded):
        return lambda: [(op, dict(tags)) for _, op, tags in of_kind(recorded, "span")]

    @pytest.mark.parametrize("backend", ["old", "moved"], indirect=True)
    def test_the_base_classs_own_get_the_attributes(self, backend, nodes, spans, new_id):
        node, other = new_id(), new_id()
        nodes.set(node, NODE)
        nodes.get(node)
        nodes.get_multi([node, other])
        (set_op, of_set), (_, of_get), (_, of_many) = spans()
        assert [op for op, _ in spans()] == [set_op, "nodestore.get", "nodestore.get_multi"]
        assert set_op == ("nodestore" if backend.layout == "old" else "function")
        stored = of_set.pop("bytes.stored")
        assert of_set == {"requests": 1, "bytes.raw": SIZE, "failed": False}
        expected = {"requests": 1, "bytes.raw": SIZE, "bytes.stored": stored, "failed": False}
        assert of_get == expected
        assert of_many == dict(expected, num_ids=2, missing=1)

    @pytest.mark.parametrize("backend", ["old"], indirect=True)
    def test_an_sdk_of_2022_is_asked_by_its_hub(self, backend, nodes, spans, new_id, monkeypatch):
        sdk = importlib.import_module("sentry_sdk")
        current_span = sdk.get_current_span

        class Scope:
            span = property(lambda self: current_span())

        class Hub:
            class current:
                scope = Scope()

        monkeypatch.setattr(sdk, "Hub", Hub, raising=False)
        monkeypatch.delattr(sdk, "get_current_span")
        monkeypatch.setattr(sys.modules["sentry_tablestore.nodestore.sentry"], "_found", {})
        node = new_id()
        nodes.set(node, NODE)
        nodes.get(node)
        assert [op for op, _ in spans()] == ["nodestore", "nodestore.get"]
        assert [tags["requests"] for _, tags in spans()] == [1, 1]

    @pytest.mark.parametrize("backend", ["old", "moved", "newest"], indirect=True)
    def test_where_it_makes_none_there_is_one_of_ours(self, server, nodes, spans, new_id):
        node = new_id()
        nodes._set_bytes(node, b"x" * 2000)
        with server.failing({"code": "OTSServerBusy", "count": 1}):
            nodes._get_bytes(node)
        nodes._get_bytes_multi([node, new_id()])
        assert [op for op, _ in spans()] == [
            "nodestore.tablestore." + name for name in ("set", "get", "get_multi")
        ]
        _, (_, of_get), (_, of_many) = spans()
        assert (of_get["requests"], of_get["retries"]) == (2, 1)
        assert (of_many["num_ids"], of_many["missing"]) == (2, 1)

    @pytest.mark.parametrize("backend", ["old", "moved", "newest"], indirect=True)
    def test_deletes(self, nodes, spans, new_id):
        nodes.delete(new_id())
        nodes.delete_multi([new_id(), new_id()])
        assert spans() == [
            ("nodestore.tablestore.delete", {"requests": 1, "failed": False}),
            ("nodestore.tablestore.delete_multi", {"num_ids": 2, "requests": 1, "failed": False}),
        ]

    @pytest.mark.parametrize("backend", ["old", "newest"], indirect=True)
    def test_a_failed_one(self, make_nodes, spans):
        nodes = make_nodes(**NOWHERE)
        with pytest.raises(TablestoreError):
            nodes.delete("a")
        ((op, tags),) = spans()
        assert op == "nodestore.tablestore.delete"
        assert tags["failed"] is True
        assert tags["retries"] >= 1

    @pytest.mark.parametrize("backend", ["newest"], indirect=True)
    def test_an_sdk_in_its_older_mode_is_not_used_in_the_newer_one(
        self, backend, nodes, spans, new_id, monkeypatch
    ):
        sdk = importlib.import_module("sentry_sdk")
        stand_in = sys.modules["stand_in"]
        utils = types.ModuleType("sentry_sdk.tracing_utils")
        utils.has_span_streaming_enabled = lambda options: options["streaming"]
        client = types.SimpleNamespace(options={"streaming": False})
        monkeypatch.setitem(sys.modules, "sentry_sdk.tracing_utils", utils)
        monkeypatch.setattr(sdk, "get_client", lambda: client, raising=False)
        monkeypatch.setattr(
            sdk, "start_span", lambda op: stand_in.Span("older " + op, "set_tag"), raising=False
        )
        monkeypatch.setattr(sys.modules["sentry_tablestore.nodestore.sentry"], "_found", {})
        nodes.delete(new_id())
        assert [op for op, _ in spans()] == ["older nodestore.tablestore.delete"]


@pytest.mark.parametrize("backend", ["bare"], indirect=True)
def test_without_any_tool_it_is_done_without(nodes, recorded, new_id):
    node = new_id()
    nodes.set(node, NODE)
    assert nodes.get(node) == NODE
    nodes.delete(node)
    assert nodes.get_multi([node]) == {node: None}
    assert recorded == []
