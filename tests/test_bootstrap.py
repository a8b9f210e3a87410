"""The table: created, brought up to date, left alone, refused, by one process or several."""

from datetime import timedelta

import forking
import pytest
from sentry_tablestore import errors

DAY = timedelta(days=1)
KEY = [["id", "STRING"]]


@pytest.fixture
def new_table(new_id):
    """The name of a table that is not there."""
    return "t_" + new_id().replace("-", "_")


def no_changes():
    """Rules under which every change of a table fails."""
    operations = ("CreateTable", "UpdateTable", "DeleteTable")
    return [
        {"operation": name, "code": "OTSNoPermissionAccess", "count": -1} for name in operations
    ]


def test_it_creates_a_table_that_keeps_everything(sdk, make_store, new_table, new_id):
    store = make_store(table=new_table)
    store.bootstrap(automatic_expiry=False)
    table = sdk.describe(new_table)
    assert table["primary_key"] == KEY
    assert table["time_to_live"] == -1
    assert table["max_version"] == 1
    key = new_id()
    store.set(key, b"1")
    assert store.get(key) == b"1"


def test_it_creates_a_table_that_expires(sdk, make_store, new_table):
    make_store(table=new_table, default_ttl=30 * DAY).bootstrap()
    assert sdk.describe(new_table)["time_to_live"] == 30 * 86400


def test_a_default_ttl_without_automatic_expiry_is_not_the_tables(sdk, make_store, new_table):
    make_store(table=new_table, default_ttl=timedelta(hours=1)).bootstrap(automatic_expiry=False)
    assert sdk.describe(new_table)["time_to_live"] == -1


def test_the_deviation_lets_migrated_rows_keep_their_times(sdk, make_store, new_table):
    make_store(table=new_table, default_ttl=90 * DAY).bootstrap()
    assert sdk.describe(new_table)["max_time_deviation"] >= 90 * 86400


@pytest.mark.parametrize(("before", "after"), [(30, 90), (90, 30), (None, 30), (30, None)])
def test_it_updates_the_time_to_live(sdk, server, make_store, new_table, new_id, before, after):
    stores = {
        days: make_store(table=new_table, **({"default_ttl": days * DAY} if days else {}))
        for days in (before, after)
    }
    key = new_id()
    stores[before].bootstrap(automatic_expiry=before is not None)
    stores[before].set(key, b"1")
    stores[after].bootstrap(automatic_expiry=after is not None)
    expected = after * 86400 if after else -1
    assert sdk.describe(new_table)["time_to_live"] == expected
    assert stores[after].get(key) == b"1"


def test_the_second_time_changes_nothing(server, make_store, new_table):
    store = make_store(table=new_table, default_ttl=30 * DAY)
    store.bootstrap()
    with server.failing(*no_changes()):
        store.bootstrap()
        assert server.hits() == [0, 0, 0]


def test_one_update_is_enough(server, make_store, new_table):
    make_store(table=new_table).bootstrap(automatic_expiry=False)
    with server.failing({"operation": "UpdateTable", "action": "delay", "count": -1}):
        make_store(table=new_table, default_ttl=30 * DAY).bootstrap()
        assert server.hits() == [1]


@pytest.mark.parametrize(
    "primary_key",
    [[["id", "INTEGER"]], [["key", "STRING"]], [["id", "STRING"], ["n", "INTEGER"]]],
    ids=["another type", "another name", "two columns"],
)
def test_a_table_with_another_primary_key_is_refused(
    sdk, server, make_store, new_table, primary_key
):
    sdk.create(new_table, primary_key)
    before = sdk.describe(new_table)
    store = make_store(table=new_table, default_ttl=30 * DAY)
    with server.failing(*no_changes()):
        with pytest.raises(errors.TablestoreTableMismatchError) as caught:
            store.bootstrap()
        assert server.hits() == [0, 0, 0]
    assert new_table in str(caught.value)
    assert sdk.describe(new_table) == before


def test_a_table_of_the_published_package_is_taken_over(sdk, make_store, new_table):
    sdk.create(new_table, KEY)
    make_store(table=new_table, default_ttl=30 * DAY).bootstrap()
    assert sdk.describe(new_table)["time_to_live"] == 30 * 86400


def test_several_processes_at_once(sdk, server, make_store, new_table):
    store = make_store(table=new_table, default_ttl=30 * DAY)
    # Every process has seen that there is no table before the first has made it.
    slow = [
        {"operation": name, "action": "delay", "delay_ms": 300, "count": -1}
        for name in ("CreateTable", "DescribeTable")
    ]
    with server.failing(*slow):
        waits = [forking.start_child(store.bootstrap) for _ in range(4)]
        for wait in waits:
            wait()
        assert server.hits()[0] > 1
    assert sdk.describe(new_table)["time_to_live"] == 30 * 86400


def test_it_waits_for_a_table_that_is_not_ready(server, make_store, new_table, new_id):
    store = make_store(table=new_table)
    with server.failing({"operation": "GetRow", "code": "OTSTableNotReady", "count": 3}):
        store.bootstrap(automatic_expiry=False)
        assert server.hits() == [3]
    store.set(new_id(), b"1")


def test_only_a_missing_table_is_created(server, make_store, new_table):
    """That a table cannot be described does not say that it is not there."""
    store = make_store(table=new_table)
    rules = [{"operation": "DescribeTable", "code": "OTSNoPermissionAccess", "count": -1}]
    with server.failing(*rules, *no_changes()):
        with pytest.raises(errors.TablestorePermissionError):
            store.bootstrap(automatic_expiry=False)
        assert server.hits()[1:] == [0, 0, 0]


def test_a_wrong_key_is_told_at_once(make_store, new_table):
    with pytest.raises(errors.TablestoreAuthenticationError):
        make_store(table=new_table, access_key_secret="wrong").bootstrap(automatic_expiry=False)


def test_table_operations_that_come_too_often_are_sent_again(server, make_store, new_table):
    too_often = {"code": "OTSQuotaExhausted", "message": "Too frequent table operations."}
    with server.failing({"operation": "CreateTable", "status": 403, "count": 2, **too_often}):
        make_store(table=new_table).bootstrap(automatic_expiry=False)
        assert server.hits() == [2]


def test_a_full_instance_is_told(server, make_store, new_table):
    full = {"code": "OTSQuotaExhausted", "message": "Number of tables exceeded the quota."}
    with server.failing({"operation": "CreateTable", "status": 403, "count": -1, **full}):
        with pytest.raises(errors.TablestoreError, match="exceeded the quota") as caught:
            make_store(table=new_table).bootstrap(automatic_expiry=False)
        assert server.hits() == [1]
    assert caught.value.code == "OTSQuotaExhausted"


def test_destroy(make_store, new_table, new_id):
    store = make_store(table=new_table)
    store.bootstrap(automatic_expiry=False)
    store.set(new_id(), b"1")
    store.destroy()
    with pytest.raises(errors.TablestoreTableMissingError):
        store.get(new_id())
    store.destroy()
    store.bootstrap(automatic_expiry=False)
    assert store.get(new_id()) is None
