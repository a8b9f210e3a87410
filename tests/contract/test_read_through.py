"""The store that was there before, read for what Tablestore does not have."""

import logging
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest
import running_sentry
from sentry_tablestore.errors import (
    TablestoreConnectionError,
    TablestoreOptionsError,
    TablestoreTimeoutError,
)

# On a busy machine the deadline may come before the refusal.
UNREACHABLE = (TablestoreConnectionError, TablestoreTimeoutError)
OLD = "stand_in.old_store.OldNodeStorage"
DJANGO = "stand_in.old_store.DjangoNodeStorage"
A_MONTH_AGO = datetime.now(timezone.utc).replace(microsecond=123000) - timedelta(days=30)


@pytest.fixture(params=running_sentry.LAYOUTS, scope="module")
def backend(request):
    """The backend's module, in each layout."""
    with running_sentry.layout(request.param) as module:
        module.layout = request.param
        yield module


@pytest.fixture
def old(backend):
    """The old store's module, empty."""
    import stand_in.old_store as module

    for kept in (module.nodes, module.times, module.calls, module.failures, module.meanwhile):
        kept.clear()
    state = sys.modules["sentry_tablestore.nodestore.read_through"]._State
    state.copying_from, state.reported_at, state.since_report = 0.0, 0.0, {}
    return module


@pytest.fixture
def make_nodes(backend, old, server, table):
    """Make a backend on the shared table that reads through to the old store."""

    def make(path=OLD, copy=False, **options):
        read_through = {"backend": path, "options": {}, "copy": copy}
        defaults = {"table": table, "read_through": read_through}
        return backend.TablestoreNodeStorage(**server.client_options(**dict(defaults, **options)))

    return make


@pytest.fixture
def nodes(make_nodes):
    made = make_nodes()
    made.validate()
    return made


@pytest.fixture
def counted(backend, old):
    """Tell how many nodes were counted since the last time, by result."""
    record = sys.modules["stand_in"].recorded
    del record[:]

    def count():
        counts = {}
        for entry in record:
            if entry[:2] == ("incr", "nodestore.tablestore.read_through"):
                result = entry[3]["result"]
                counts[result] = counts.get(result, 0) + entry[2]
        del record[:]
        return counts

    return count


def called(old):
    """Give the calls since the last time, but for those of the construction."""
    calls = [call for call in old.calls if call[0] not in ("__init__", "validate")]
    old.calls.clear()
    return calls


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


class TestCopies:
    """`'copy': True`."""

    @pytest.fixture(params=[OLD, DJANGO])
    def copying(self, request, make_nodes):
        """A backend that copies, from an old store that knows when it wrote and one that does
        not.
        """
        return make_nodes(request.param, copy=True)

    @pytest.fixture
    def alone(self, make_nodes):
        """The same table without the old store."""
        return make_nodes(read_through=None)

    def test_what_was_read_is_written_back(self, backend, copying, alone, old, counted, new_id):
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

    def test_the_time_of_the_last_write_is_kept(self, make_nodes, old, store, new_id):
        node = new_id()
        old.write(node, b'{"a":1}', A_MONTH_AGO)
        make_nodes(DJANGO, copy=True).get(node)
        (scanned,), _ = store.scan(start=node, limit=1)
        # Another test counts the old nodes of the shared table.
        store.delete(node)
        assert scanned.id == node
        assert scanned.written == int(A_MONTH_AGO.timestamp() * 1000)

    def test_it_is_now_where_the_old_store_cannot_tell(self, make_nodes, old, store, new_id):
        node = new_id()
        old.write(node, b'{"a":1}', A_MONTH_AGO)
        make_nodes(OLD, copy=True).get(node)
        (scanned,), _ = store.scan(start=node, limit=1)
        assert scanned.written > (datetime.now().timestamp() - 60) * 1000

    def test_nothing_is_overwritten(self, copying, alone, old, new_id):
        node = new_id()
        old.write(node, b'{"a":"old"}')
        # Written by another process after Tablestore was found not to have it.
        old.meanwhile.append(lambda: alone.set(node, {"a": "new"}))
        assert copying.get(node) == {"a": "old"}
        assert alone.get(node) == {"a": "new"}

    def test_a_node_deleted_meanwhile_does_not_come_back(self, copying, alone, old, new_id):
        ids = [new_id() for _ in range(3)]
        for node in ids:
            old.write(node, b'{"a":1}')
        old.meanwhile.append(lambda: copying.delete(ids[1]))
        assert copying.get_multi(ids) == {node: {"a": 1} for node in ids}
        assert [node for node in ids if alone.get(node)] == [ids[0], ids[2]]

    def test_a_node_written_anew_in_the_old_store_is_not_copied_as_it_was(
        self, copying, alone, old, new_id
    ):
        node = new_id()
        old.write(node, b'{"a":1}', A_MONTH_AGO)
        old.meanwhile.append(lambda: old.write(node, b'{"a":2}'))
        copying.get(node)
        assert alone.get(node) is None
        assert copying.get(node) == {"a": 2}
        assert alone.get(node) == {"a": 2}

    def test_no_copy_stays_where_the_old_store_cannot_be_looked_at_again(
        self, copying, alone, old, caplog, new_id
    ):
        node = new_id()
        old.write(node, b'{"a":1}')
        away = OSError("the database is away")
        old.meanwhile.append(lambda: old.failures.update(_get_bytes_multi=away, times=away))
        assert copying.get(node) == {"a": 1}
        assert alone.get(node) is None
        assert "the database is away" in caplog.text

    def test_a_pickle_is_copied_as_json(self, copying, alone, old, new_id):
        node, broken = new_id(), new_id()
        old.write(node, b'pickle:{"a":1}')
        old.write(broken, b"pickle:{}")
        assert copying.get_multi([node, broken]) == {node: {"a": 1}, broken: {}}
        assert alone._get_bytes_multi([node, broken]) == {node: b'{"a":1}', broken: None}

    def test_a_failing_copy_fails_no_read(
        self, backend, copying, alone, old, server, monkeypatch, caplog, counted, new_id
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

    def test_nothing_is_copied_that_would_have_expired(self, make_nodes, alone, old, new_id):
        node = new_id()
        old.write(node, b'{"a":1}', A_MONTH_AGO)
        nodes = make_nodes(DJANGO, copy=True, default_ttl=timedelta(days=7))
        assert nodes.get(node) == {"a": 1}
        assert alone.get(node) is None

    def test_nothing_is_copied_without_it(self, nodes, alone, old, new_id):
        node = new_id()
        old.write(node, b'{"a":1}')
        assert nodes.get(node) == {"a": 1}
        assert alone.get(node) is None


class TestOptions:
    """What `validate` refuses, and with it every operation."""

    @pytest.fixture
    def refused(self, make_nodes, old):
        """Give the message with which these are refused."""

        def refuse(read_through, **options):
            nodes = make_nodes(read_through=read_through, **options)
            with pytest.raises(TablestoreOptionsError) as caught:
                nodes.validate()
            text = str(caught.value)
            assert text.startswith("SENTRY_NODESTORE_OPTIONS: read_through")
            assert caught.value.exit_code == 1
            for use in (nodes.get, nodes.delete):
                with pytest.raises(TablestoreOptionsError, match="read_through"):
                    use("in neither store")
            return text

        return refuse

    @pytest.mark.parametrize("given", [7, "sentry.nodestore.django.DjangoNodeStorage", [], True])
    def test_another_type(self, refused, given):
        assert "must be a dict such as {'backend'" in refused(given)

    def test_unknown_keys(self, refused):
        assert "no key 'copied': did you mean 'copy'?" in refused({"backend": OLD, "copied": True})
        assert "no key 'end_point': known: backend" in refused({"backend": OLD, "end_point": ""})

    @pytest.mark.parametrize("path", [None, "", "Django", "a..b", "a/b.c", 7, "a.b\n"])
    def test_no_path(self, refused, path):
        assert "needs 'backend', the path of a class" in refused({"backend": path})

    @pytest.mark.parametrize("options", [7, "x", ["colour"], {1: 2}])
    def test_bad_options(self, refused, options):
        assert "'options' must be a dict of the old" in refused(
            {"backend": OLD, "options": options}
        )

    @pytest.mark.parametrize("copy", [1, "yes", None])
    def test_bad_copy(self, refused, copy):
        assert "'copy' must be True or False" in refused({"backend": OLD, "copy": copy})

    @pytest.mark.parametrize(
        "path", ["no_such.Storage", "stand_in.no_such.Storage", "stand_in.old_store.NoSuch"]
    )
    def test_what_cannot_be_imported(self, refused, path):
        assert f"the backend '{path}' cannot be imported: " in refused({"backend": path})

    @pytest.mark.parametrize("name", ["Unrelated", "write", "nodes"])
    def test_what_is_no_nodestore(self, refused, name):
        path = "stand_in.old_store." + name
        assert "is no backend of Sentry's nodestore" in refused({"backend": path})

    def test_what_the_old_backend_refuses(self, refused):
        for options in ({"color": "secret-value"}, {"colour": "secret-value"}):
            text = refused({"backend": OLD, "options": options})
            assert "refuses its options: " in text
            assert "secret-value" not in text

    def test_its_own_table(self, backend, refused, server, table):
        own = {
            "backend": "sentry_tablestore.nodestore.backend.TablestoreNodeStorage",
            "options": server.client_options(table=table),
        }
        nodes = backend.TablestoreNodeStorage(
            **server.client_options(table=table, read_through=own)
        )
        with pytest.raises(TablestoreOptionsError, match="names this very table"):
            nodes.validate()

    def test_another_table_is_a_store_like_any(self, backend, server, table, make_store, new_id):
        other = "other_" + new_id().replace("-", "_")
        make_store(table=other).bootstrap(automatic_expiry=False)
        options = server.client_options(table=other)
        before = backend.TablestoreNodeStorage(**options)
        node = new_id()
        before.set(node, {"a": 1})
        path = "sentry_tablestore.nodestore.backend.TablestoreNodeStorage"
        read_through = {"backend": path, "options": options}
        after = backend.TablestoreNodeStorage(
            **server.client_options(table=table, read_through=read_through)
        )
        after.validate()
        assert after.get(node) == {"a": 1}
        after.delete(node)
        assert before.get(node) is None

    @pytest.mark.parametrize("backend", ["moved", "newest"], indirect=True)
    def test_a_path_from_before_sentry_moved_its_backends(self, backend, make_nodes, monkeypatch):
        """The option may stay through an upgrade of Sentry."""
        name = "sentry.services.nodestore.django"
        module = type(sys)(name)
        module.DjangoNodeStorage = type("DjangoNodeStorage", (backend.NodeStorage,), {})
        monkeypatch.setitem(sys.modules, name, module)
        nodes = make_nodes("sentry.nodestore.django.DjangoNodeStorage")
        nodes.validate()
        assert type(nodes._read_through.backend) is module.DjangoNodeStorage

    def test_nothing_is_imported_before_it_is_needed(self, make_nodes):
        make_nodes("stand_in.not_there.Storage")
        with pytest.raises(TablestoreOptionsError, match="cannot be imported"):
            make_nodes("stand_in.not_there.Storage").get("a")
