"""What time does to values: on a server of its own, whose clock the tests move."""

import contextlib
import uuid
from datetime import datetime, timedelta, timezone

import local_server
import pytest
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def clocked():
    """A server that takes requests whatever the date in them."""
    with local_server.serving(clock_skew="-1s") as running:
        yield running


@pytest.fixture
def make_store(clocked):
    table = "t_" + uuid.uuid4().hex

    def make(**parameters):
        return TablestoreKVStorage("sentry", table, clocked.client_options(), **parameters)

    return make


@contextlib.contextmanager
def at(server, offset):
    """Make it another time for the server."""
    server.advance(offset)
    try:
        yield
    finally:
        server.advance(-offset)


def test_a_table_with_automatic_expiry_forgets_by_itself(clocked, make_store):
    store = make_store(default_ttl=2 * DAY, automatic_expiry=True)
    store.bootstrap()
    store.set_many({"a": b"1", "b": b"x" * 3000000})
    with at(clocked, 2 * DAY - timedelta(minutes=1)):
        store.set("late", b"2")
        assert set(dict(store.get_many(["a", "b", "late"]))) == {"a", "b", "late"}
    with at(clocked, 2 * DAY + timedelta(minutes=1)):
        assert list(store.get_many(["a", "b", "late"])) == [("late", b"2")]


def test_a_ttl_shorter_than_the_tables(clocked, make_store):
    store = make_store(default_ttl=30 * DAY, automatic_expiry=True)
    store.bootstrap()
    store.set("short", b"1", timedelta(milliseconds=1))
    store.set("long", b"2", 60 * DAY)
    while store.get("short") is not None:
        pass
    with at(clocked, 29 * DAY):
        assert store.get("long") == b"2"
    with at(clocked, 31 * DAY):
        assert store.get("long") is None


def test_reads_hide_what_the_table_keeps(clocked, make_store):
    keeps = make_store()
    hides = make_store(default_ttl=30 * DAY)
    hides.bootstrap(automatic_expiry=False)
    with at(clocked, -31 * DAY):
        keeps.set_many({"old": b"1", "old and large": b"x" * 3000000})
    with at(clocked, -29 * DAY):
        keeps.set("young", b"2")
    keys = ["old", "old and large", "young"]
    assert dict(hides.get_many(keys)) == {"young": b"2"}
    assert hides.get("old") is None
    assert len(dict(keeps.get_many(keys))) == 3
    # A write makes it young again.
    hides.set("old", b"3")
    assert hides.get("old") == b"3"


def test_cleanup_deletes_what_was_last_written_before(clocked, make_store):
    store = make_store()
    store.bootstrap(automatic_expiry=False)
    values = {f"old{n}": b"1" for n in range(300)}
    with at(clocked, -40 * DAY):
        store.set_many({**values, "written again": b"1", "large": b"x" * 3000000})
    with at(clocked, -20 * DAY):
        store.set_many({"young": b"2", "written again": b"2"})
    now = datetime.now(timezone.utc)
    assert store.cleanup(now - 50 * DAY) == 0
    assert store.cleanup(now - 30 * DAY) == 301
    assert dict(store.get_many([*values, "large", "young", "written again"])) == {
        "young": b"2",
        "written again": b"2",
    }


def test_cleanup_leaves_a_table_that_expires_by_itself(clocked, make_store):
    store = make_store(default_ttl=30 * DAY, automatic_expiry=True)
    store.bootstrap()
    store.set("a", b"1")
    assert store.cleanup(datetime.now(timezone.utc) + DAY) == 0
    assert store.get("a") == b"1"
