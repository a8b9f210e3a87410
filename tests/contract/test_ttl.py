"""How long values live. What the table's own clock decides is in `test_expiry.py`."""

from datetime import datetime, timedelta, timezone

import pytest


def until_gone(store, key):
    """Read until the value is hidden: the test's time limit is the only one."""
    while store.get(key) is not None:
        pass


def test_a_call_has_a_ttl_of_its_own(store, new_id):
    short, long, none = new_id(), new_id(), new_id()
    store.set(short, b"short", timedelta(milliseconds=1))
    store.set(long, b"long", timedelta(days=14))
    store.set(none, b"none")
    until_gone(store, short)
    assert dict(store.get_many([short, long, none])) == {long: b"long", none: b"none"}


@pytest.mark.parametrize("ttl", [timedelta(days=106752), timedelta(days=213504), timedelta.max])
def test_a_ttl_of_centuries(store, make_store, new_id, ttl):
    """Of more nanoseconds than 63 bits hold, and a little more than 64 bits."""
    one, many, kept = new_id(), new_id(), new_id()
    store.set(one, b"1", ttl)
    store.set_many({many: b"2"}, ttl)
    centuries = 3 * 100 * 365 * 86400 * 1000
    assert all(node.expires > centuries for node in store.scan_many([one, many]))
    keeping = make_store(default_ttl=ttl)
    keeping.set(kept, b"3", timedelta(days=100000))
    found = keeping.get_many([one, many, kept])
    assert dict(found) == {one: b"1", many: b"2", kept: b"3"}


def test_many_values_with_a_ttl(store, new_id):
    keys = [new_id() for _ in range(250)]
    store.set_many({key: b"1" for key in keys}, timedelta(milliseconds=1))
    for key in keys:
        until_gone(store, key)
    store.set_many({key: b"2" for key in keys}, ttl=timedelta(hours=1))
    assert len(dict(store.get_many(keys))) == 250


def test_the_next_write_forgets_a_ttl(store, new_id):
    key = new_id()
    store.set(key, b"1", timedelta(milliseconds=1))
    until_gone(store, key)
    store.set(key, b"2")
    assert store.get(key) == b"2"


def test_a_large_value_with_a_ttl(store, new_id):
    key = new_id()
    store.set(key, b"x" * 3000000, timedelta(days=1))
    assert len(store.get(key)) == 3000000
    store.set(key, b"x" * 3000000, timedelta(milliseconds=1))
    until_gone(store, key)


def test_a_read_hides_what_is_older_than_default_ttl(make_store, new_id):
    key = new_id()
    make_store().set(key, b"1")
    until_gone(make_store(default_ttl=timedelta(milliseconds=1)), key)
    assert make_store(default_ttl=timedelta(hours=1)).get(key) == b"1"
    assert make_store().get(key) == b"1"


def test_a_longer_ttl_than_the_default_is_capped_and_said_once(make_store, new_id, caplog):
    store = make_store(default_ttl=timedelta(hours=1), max_connection=7)
    with caplog.at_level("INFO", logger="sentry_tablestore.kvstore.tablestore"):
        for _ in range(3):
            key = new_id()
            store.set(key, b"1", timedelta(days=2))
            assert store.get(key) == b"1"
    assert len([record for record in caplog.records if "ttl" in record.getMessage()]) == 1


@pytest.mark.parametrize(
    "bad", [timedelta(0), timedelta(seconds=-1), timedelta(microseconds=999)], ids=repr
)
def test_a_ttl_below_a_millisecond_is_refused(store, new_id, bad):
    key = new_id()
    with pytest.raises(ValueError, match="ttl"):
        store.set(key, b"1", bad)
    with pytest.raises(ValueError, match="ttl"):
        store.set_many({key: b"1"}, bad)
    assert store.get(key) is None


@pytest.mark.parametrize("bad", [60, 1.5, "1d", True], ids=repr)
def test_a_ttl_of_another_type_is_refused(store, new_id, bad):
    with pytest.raises(TypeError, match="timedelta"):
        store.set(new_id(), b"1", bad)


def test_cleanup_deletes_what_was_written_before(make_store, server, new_id):
    store = make_store(table="cleanup_" + new_id().replace("-", "_"))
    store.bootstrap(automatic_expiry=False)
    keys = [new_id() for _ in range(450)]
    store.set_many({key: b"1" for key in keys})
    store.set(keys[0], b"x" * 3000000)
    # Time zones in which the clock on the wall says the opposite.
    past = (datetime.now(timezone.utc) - timedelta(hours=1)).astimezone(
        timezone(timedelta(hours=9))
    )
    assert store.cleanup(past) == 0
    assert len(dict(store.get_many(keys))) == 450
    future = (past + timedelta(hours=2)).astimezone(timezone(timedelta(hours=-9)))
    assert store.cleanup(future) == 450
    assert dict(store.get_many(keys)) == {}
    assert store.cleanup(future) == 0


def test_a_cutoff_without_a_time_zone_is_refused(store):
    with pytest.raises(ValueError, match="time zone"):
        store.cleanup(datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="datetime"):
        store.cleanup(1735689600)
