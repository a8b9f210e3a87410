"""The option `metrics`: a callable that is told of each call."""

import logging
import sys
import threading

import pytest
import running_sentry
from sentry_tablestore import metrics as metrics_module
from sentry_tablestore.errors import TablestoreInvalidIDError, TablestorePermissionError

NOTHING = dict.fromkeys(metrics_module.COUNTS, 0)


@pytest.fixture
def told():
    """The calls that a callback was told of, as (operation, seconds, counts, error)."""
    return []


@pytest.fixture
def observed(make_store, told):
    """Make a store whose calls a callback is told of."""
    return lambda **options: make_store(metrics=lambda *call: told.append(call), **options)


def test_each_call_is_told_with_its_counts(observed, told, new_id):
    store, key, other = observed(compression="zlib"), new_id(), new_id()
    value = b"x" * 5000
    store.set(key, value)
    assert store.get(key) == value
    assert store.get(other) is None
    assert dict(store.get_many([key, other])) == {key: value}
    store.set_many({key: value, other: value})
    store.delete(key)
    store.delete_many([key, other])
    assert [(operation, error) for operation, _, _, error in told] == [
        (operation, None)
        for operation in ("set", "get", "get", "get_many", "set_many", "delete", "delete_many")
    ]
    for _, seconds, counts, _ in told:
        assert 0 < seconds < 10
        assert set(counts) == set(metrics_module.COUNTS)
        assert all(type(count) is int for count in counts.values())
        assert counts["requests"] == 1
        assert counts["sent"] > 0
        assert counts["received"] > 0
    shown = [
        {name: count for name, count in counts.items() if name in ("raw", "missing") and count}
        for _, _, counts, _ in told
    ]
    one = {"raw": 5000}
    assert shown == [one, one, {"missing": 1}, {"raw": 5000, "missing": 1}, {"raw": 10000}, {}, {}]
    assert 0 < told[0][2]["stored"] < 200
    assert told[0][2]["stored"] == told[1][2]["stored"]


def test_a_failed_call_is_told_with_the_class_of_its_error(observed, told, server):
    rules = {"code": "OTSServerBusy", "count": 1}, {"code": "OTSNoPermissionAccess"}
    with server.failing(*rules), pytest.raises(TablestorePermissionError):
        observed().get("a")
    ((operation, seconds, counts, error),) = told
    assert (operation, error) == ("get", "TablestorePermissionError")
    assert 0 < seconds < 10
    assert (counts["requests"], counts["retries"]) == (2, 1)


def test_what_is_refused_before_it_is_sent_is_no_call(observed, told):
    with pytest.raises(TablestoreInvalidIDError):
        observed().get("")
    assert told == []


def test_a_call_that_a_signal_ends_is_told_with_the_class_of_that(observed, told, server):
    import signal

    class Deadline(BaseException):
        pass

    def end(number, frame):
        raise Deadline

    before = signal.signal(signal.SIGALRM, end)
    store = observed()
    store.get("warm")
    del told[:]
    try:
        with server.failing({"action": "delay", "delay_ms": 3000, "count": 1}):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(Deadline):
                store.get("a")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [(operation, counts, error) for operation, _, counts, error in told] == [
        ("get", {}, "Deadline")
    ]


def test_what_a_callback_raises_fails_no_call_and_is_said_once(make_store, new_id, caplog):
    def broken(operation, seconds, counts, error):
        raise ZeroDivisionError("by nought")

    store, key = make_store(metrics=broken), new_id()
    with caplog.at_level(logging.WARNING):
        store.set(key, b"1")
        for _ in range(5):
            assert store.get(key) == b"1"
    (record,) = caplog.records
    assert record.name == "sentry_tablestore.kvstore.tablestore"
    assert "broken raised ZeroDivisionError: by nought" in record.getMessage()


def test_what_a_callback_raises_does_not_hide_the_error_of_a_call(make_store, server):
    def broken(operation, seconds, counts, error):
        raise ZeroDivisionError

    store = make_store(metrics=broken)
    refused = server.failing({"code": "OTSNoPermissionAccess"})
    with refused, pytest.raises(TablestorePermissionError):
        store.get("a")


def test_several_may_observe_a_store_and_one_that_fails_is_alone_with_that(make_store, new_id):
    first, second = [], []

    def broken(*call):
        raise ZeroDivisionError

    store = make_store(metrics=lambda *call: first.append(call))
    store.observers.add(broken)
    store.observers.add(lambda *call: second.append(call))
    store.get(new_id())
    assert len(first) == 1
    assert first == second


def test_a_dotted_path(make_store, new_id, told, monkeypatch):
    monkeypatch.setattr(
        sys.modules[__name__], "by_path", lambda *call: told.append(call), raising=False
    )
    monkeypatch.setitem(sys.modules, "some_metrics", sys.modules[__name__])
    make_store(metrics="some_metrics.by_path").get(new_id())
    assert [operation for operation, *_ in told] == ["get"]


def test_it_runs_in_the_thread_of_the_call(make_store, new_id):
    threads = []
    store = make_store(metrics=lambda *call: threads.append(threading.current_thread()))
    thread = threading.Thread(target=store.get, args=(new_id(),))
    thread.start()
    thread.join()
    assert threads == [thread]


@pytest.mark.parametrize("layout", ["old", "newest"])
def test_reads_of_the_old_store_are_told_too(server, table, told, new_id, layout):
    with running_sentry.layout(layout) as backend:
        nodes = backend.TablestoreNodeStorage(
            read_through={"backend": "stand_in.old_store.OldNodeStorage"},
            metrics=lambda *call: told.append(call),
            **server.client_options(table=table),
        )
        nodes.validate()
        old = sys.modules["stand_in.old_store"]
        node = new_id()
        old.nodes[node] = b'{"a":1}'
        assert nodes.get_multi([node, new_id()])[node] == {"a": 1}
        (many, _, _, _), (operation, seconds, counts, error) = told
        assert (many, operation, error) == ("get_many", "read_through", None)
        assert 0 < seconds < 5
        assert counts == {"read_through_hit": 1, "read_through_miss": 1}
        old.failures["_get_bytes_multi"] = OSError("down")
        del told[:]
        with pytest.raises(OSError, match="down"):
            nodes.get(new_id())
        assert [(operation, error) for operation, _, _, error in told] == [
            ("get", None),
            ("read_through", "OSError"),
        ]
