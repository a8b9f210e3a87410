"""Each way to fail has its own exception, and is tried again only where that is right."""

import logging
import time
from datetime import timedelta

import local_server
import pytest
from sentry_tablestore import errors
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

ALWAYS = -1
READS = ("get", "get_many")
OPERATIONS = ("get", "get_many", "set", "set_many", "delete", "delete_many")


@pytest.fixture
def call(make_store, new_id):
    """Call an operation of a store with half a second of time, and give its result."""

    def run(operation, **options):
        store = make_store(**{"timeout": 0.5, **options})
        keys = [new_id() for _ in range(2)]
        calls = {
            "get": lambda: store.get(keys[0]),
            "get_many": lambda: list(store.get_many(keys)),
            "set": lambda: store.set(keys[0], b"1"),
            "set_many": lambda: store.set_many(dict.fromkeys(keys, b"1")),
            "delete": lambda: store.delete(keys[0]),
            "delete_many": lambda: store.delete_many(keys),
        }
        return calls[operation]()

    return run


def error_of(function, *arguments, **options):
    with pytest.raises(errors.TablestoreError) as caught:
        function(*arguments, **options)
    return caught.value


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"access_key_secret": "tests-only-wrong-secret"},
        {"access_key_id": "wrong"},
        {"region": "cn-hangzhou", "access_key_secret": "tests-only-wrong-secret"},
    ],
    ids=["secret", "id", "secret with V4"],
)
def test_a_wrong_key(call, operation, wrong):
    begun = time.monotonic()
    error = error_of(call, operation, timeout=30, **wrong)
    assert type(error) is errors.TablestoreAuthenticationError
    assert error.code == "OTSAuthFailed"
    assert error.http_status == 403
    assert error.request_id
    assert error.request_id in str(error)
    # It was not tried again.
    assert time.monotonic() - begun < 5


def test_a_clock_that_is_an_hour_off(caplog):
    with local_server.serving() as server:
        server.advance(timedelta(hours=1))
        store = TablestoreKVStorage("sentry", "nodes", server.client_options())
        error = error_of(store.get, "x")
    assert type(error) is errors.TablestoreAuthenticationError
    assert "x-ots-date" in str(error)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "this machine's clock is wrong" in record.getMessage()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_permission_is_not_retried(server, call, operation):
    with server.failing({"code": "OTSNoPermissionAccess", "count": ALWAYS}):
        error = error_of(call, operation)
        assert server.hits() == [1]
    assert type(error) is errors.TablestorePermissionError
    assert error.code == "OTSNoPermissionAccess"
    assert error.request_id


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_table(call, operation):
    error = error_of(call, operation, table="not_there")
    assert type(error) is errors.TablestoreTableMissingError
    assert error.table == "not_there"
    assert error.code
    assert error.request_id
    assert "sentry upgrade --with-nodestore" in str(error)


@pytest.mark.parametrize(
    "rule",
    [
        {"code": "OTSObjectNotExist", "status": 404},
        {"code": "OTSParameterInvalid", "status": 400, "message": "Request table not exist"},
    ],
    ids=lambda rule: rule["code"],
)
def test_both_ways_to_say_that_a_table_is_missing(server, call, rule):
    with server.failing({"count": ALWAYS, **rule}):
        assert type(error_of(call, "get")) is errors.TablestoreTableMissingError
        assert server.hits() == [1]


TEMPORARY = [
    ("OTSNotEnoughCapacityUnit", errors.TablestoreThrottledError),
    ("OTSFlowControl", errors.TablestoreThrottledError),
    ("OTSServerUnavailable", errors.TablestoreUnavailableError),
    ("OTSInternalServerError", errors.TablestoreUnavailableError),
    ("OTSPartitionUnavailable", errors.TablestoreUnavailableError),
    ("OTSRowOperationConflict", errors.TablestoreUnavailableError),
    ("OTSTableNotReady", errors.TablestoreTableNotReadyError),
]


@pytest.mark.parametrize("operation", ["get", "get_many", "set", "delete_many"])
@pytest.mark.parametrize(("code", "exception"), TEMPORARY, ids=[code for code, _ in TEMPORARY])
def test_what_is_temporary_is_tried_again(server, call, operation, code, exception):
    with server.failing({"code": code, "count": 2}):
        call(operation, timeout=10)
        assert server.hits() == [2]


@pytest.mark.parametrize("operation", ["get", "set_many"])
@pytest.mark.parametrize(("code", "exception"), TEMPORARY, ids=[code for code, _ in TEMPORARY])
def test_what_stays_temporary_ends_with_the_deadline(server, call, operation, code, exception):
    with server.failing({"code": code, "count": ALWAYS}):
        begun = time.monotonic()
        error = error_of(call, operation)
        took = time.monotonic() - begun
        assert server.hits()[0] > 1
    assert type(error) is exception
    assert isinstance(error, errors.TablestoreUnavailableError)
    assert error.code == code
    assert error.request_id
    assert took < 1.5


@pytest.mark.parametrize("code", ["OTSParameterInvalid", "OTSOutOfRowSizeLimit", "OTSNovel"])
@pytest.mark.parametrize("operation", ["get", "set", "delete_many"])
def test_any_other_code_is_told_at_once(server, call, operation, code):
    rule = {"code": code, "status": 400, "message": "Something is wrong.", "count": ALWAYS}
    with server.failing(rule):
        error = error_of(call, operation)
        assert server.hits() == [1]
    assert type(error) is errors.TablestoreServiceError
    assert (error.code, error.http_status) == (code, 400)
    assert "Something is wrong." in str(error)


def test_nothing_listens_there(call):
    for operation in OPERATIONS:
        error = error_of(call, operation, end_point="http://127.0.0.1:9")
        assert type(error) is errors.TablestoreConnectionError
        assert (error.code, error.request_id, error.http_status) == ("", "", 0)
        assert "end_point" in str(error)


def test_https_where_there_is_none(server, call):
    error = error_of(call, "get", end_point=server.end_point.replace("http:", "https:"))
    assert type(error) is errors.TablestoreConnectionError


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
def test_a_connection_that_breaks_is_tried_again(server, call, operation, action):
    # A write that may have been applied is one that may be repeated.
    with server.failing({"action": action, "count": 2}):
        call(operation, timeout=10)
        assert server.hits() == [2]


def test_connections_that_keep_breaking(server, call):
    with server.failing({"action": "drop_before", "count": ALWAYS}):
        assert type(error_of(call, "set")) is errors.TablestoreConnectionError


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_answer_in_time(server, call, operation):
    with server.failing({"action": "delay", "delay_ms": 1500, "count": ALWAYS}):
        begun = time.monotonic()
        error = error_of(call, operation)
        took = time.monotonic() - begun
    assert type(error) is errors.TablestoreTimeoutError
    assert isinstance(error, TimeoutError)
    assert 0.4 < took < 1.4
    assert "timeout" in str(error)


CORRUPTIONS = ["corrupt_body", "corrupt_md5", "corrupt_signature", "truncate"]


@pytest.mark.parametrize("action", CORRUPTIONS)
@pytest.mark.parametrize("region", ["", "cn-hangzhou"], ids=["V2", "V4"])
def test_a_corrupt_answer_is_asked_for_again(server, make_store, new_id, action, region):
    store = make_store(region=region)
    values = {new_id(): b"x" * 10000 for _ in range(3)}
    store.set_many(values)
    for key, value in values.items():
        with server.failing({"action": action, "count": 2}):
            assert store.get(key) == value
            assert server.hits() == [2]
    with server.failing({"action": action, "count": 2}):
        assert dict(store.get_many(values)) == values
        assert server.hits() == [2]


@pytest.mark.parametrize("action", CORRUPTIONS)
@pytest.mark.parametrize("operation", ["get", "get_many", "set"])
def test_answers_that_stay_corrupt(server, call, operation, action):
    with server.failing({"action": action, "count": ALWAYS}):
        error = error_of(call, operation)
    # An answer cut off half-way is a broken connection.
    broken = (errors.TablestoreCorruptAnswerError, errors.TablestoreConnectionError)
    assert type(error) in (broken if action == "truncate" else broken[:1])


# Answers on which the official SDK panics (facts A6), and others that are none.
NO_ANSWERS = {
    "empty": "",
    "no protobuf": "/////w==",
    "html": "PGh0bWw+PC9odG1sPg==",
    "consumed without read and write": "CgIKAA==",
    "row of a header only": "CgYKBAgBEAASBHUAAAA=",
}


NO_ANSWERS_BY_BODY = {body: name for name, body in NO_ANSWERS.items()}


def outcome(function, *arguments):
    """Give the exception of a call that may fail, or None."""
    try:
        function(*arguments)
    except errors.TablestoreError as error:
        return error
    return None


@pytest.mark.parametrize("body", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("operation", ["get", "get_many", "set", "delete_many"])
def test_an_answer_that_makes_no_sense_is_an_exception_and_no_crash(server, call, operation, body):
    rule = {"action": "raw", "status": 200, "body_base64": body, "count": ALWAYS}
    with server.failing(rule):
        error = outcome(call, operation)
    if error is None:
        # Only where the answer says what was asked, if oddly: a write has nothing to give.
        assert operation == "set"
        assert "consumed" in NO_ANSWERS_BY_BODY[body] or "header only" in NO_ANSWERS_BY_BODY[body]
    else:
        assert type(error) in (
            errors.TablestoreCorruptAnswerError,
            errors.TablestoreInternalError,
        )
    call(operation)


@pytest.mark.parametrize("status", [502, 503])
def test_a_proxys_answer_is_temporary(server, call, status):
    rule = {"action": "raw", "status": status, "body_base64": NO_ANSWERS["html"]}
    with server.failing({**rule, "count": 2}):
        call("get", timeout=10)
        assert server.hits() == [2]


class TestBatches:
    """Rows that fail one by one."""

    def test_only_the_failed_rows_are_sent_again(self, server, make_store, new_id):
        store = make_store()
        keys = [new_id() for _ in range(10)]
        rule = {"action": "rows", "rows": [1, 3], "code": "OTSServerBusy", "count": 2}
        with server.failing({"operation": "BatchWriteRow", **rule}):
            store.set_many({key: key.encode() for key in keys})
            # The second time there were rows 0 and 1 only, of which row 1 failed again.
            assert server.hits() == [2]
        with server.failing({"operation": "BatchGetRow", **rule}):
            assert list(store.get_many(keys)) == [(key, key.encode()) for key in keys]
        with server.failing({"operation": "BatchWriteRow", **rule}):
            store.delete_many(keys)
        assert list(store.get_many(keys)) == []

    def test_failures_of_one_kind_are_that_kind(self, server, make_store, new_id):
        store = make_store()
        keys = [new_id() for _ in range(6)]
        store.set_many(dict.fromkeys(keys, b"before"))
        rule = {"action": "rows", "rows": [1, 4], "code": "OTSNoPermissionAccess", "count": ALWAYS}
        with server.failing({"operation": "BatchWriteRow", **rule}):
            error = error_of(store.set_many, dict.fromkeys(keys, b"after"))
        assert type(error) is errors.TablestorePermissionError
        failed = [failure.id for failure in error.failures]
        assert len(failed) == 2
        assert {failure.code for failure in error.failures} == {"OTSNoPermissionAccess"}
        assert all(failure.kind == "permission" for failure in error.failures)
        # The others were written.
        values = dict(store.get_many(keys))
        assert {key for key in keys if values[key] == b"before"} == set(failed)

    def test_failures_of_several_kinds_are_partial(self, server, make_store, new_id):
        store = make_store()
        keys = [new_id() for _ in range(150)]
        rules = [
            {"operation": "BatchGetRow", "action": "rows", "rows": [0], "code": code}
            for code in ("OTSNoPermissionAccess", "OTSParameterInvalid")
        ]
        with server.failing(*rules):
            error = error_of(store.get_many, keys)
        assert type(error) is errors.TablestorePartialError
        assert {failure.code for failure in error.failures} == {
            "OTSNoPermissionAccess",
            "OTSParameterInvalid",
        }
        assert {failure.kind for failure in error.failures} == {"permission", "service"}
        assert "2 of 150" in str(error)

    def test_failures_of_several_temporary_kinds_are_worth_another_try(
        self, server, make_store, new_id
    ):
        store = make_store(timeout=0.5)
        keys = [new_id() for _ in range(1000)]
        slow = {"operation": "BatchWriteRow", "delay_ms": 2000, "count": 1}
        throttled = {"operation": "BatchWriteRow", "code": "OTSServerBusy", "count": ALWAYS}
        with server.failing(slow, throttled):
            error = error_of(store.delete_many, keys)
        assert type(error) is errors.TablestoreUnavailableError
        assert {failure.kind for failure in error.failures} == {"timeout", "throttled"}
        assert {failure.id for failure in error.failures} == set(keys)
        assert "1000 of 1000 nodes failed" in str(error)

    def test_a_failed_read_of_a_row_is_no_missing_row(self, server, make_store, new_id):
        store = make_store(timeout=0.5)
        keys = [new_id() for _ in range(3)]
        rule = {"action": "rows", "rows": [0, 1, 2], "code": "OTSServerBusy", "count": ALWAYS}
        with server.failing({"operation": "BatchGetRow", **rule}):
            error = error_of(store.get_many, keys)
        assert isinstance(error, errors.TablestoreUnavailableError)
        assert {failure.id for failure in error.failures} == set(keys)

    def test_a_batch_that_is_too_large_is_halved(self, server, make_store, new_id):
        store = make_store()
        values = {new_id(): b"x" * 1000 for _ in range(64)}
        too_large = {"code": "OTSRequestBodyTooLarge", "status": 413, "count": 3}
        with server.failing({"operation": "BatchWriteRow", **too_large}):
            store.set_many(values)
            assert server.hits() == [3]
        assert dict(store.get_many(values)) == values


class TestRecords:
    """One record a request on the client's logger, and the store's own on the project's."""

    PROJECT = "sentry_tablestore.kvstore.tablestore"

    def test_a_request_is_one_record(self, make_store, new_id, caplog):
        store = make_store()
        with caplog.at_level(logging.DEBUG):
            store.set(new_id(), b"12345")
        (record,) = [record for record in caplog.records if record.name == "tablestore-client"]
        assert record.levelno == logging.DEBUG
        for part in ("PutRow", "status=200", "request_id=", "attempt=1", "time="):
            assert part in record.getMessage()

    def test_each_attempt_is_one(self, server, make_store, new_id, caplog):
        store = make_store(logger_name="ots")
        with server.failing({"code": "OTSServerBusy", "count": 2}), caplog.at_level(logging.DEBUG):
            store.get(new_id())
        records = [record.getMessage() for record in caplog.records if record.name == "ots"]
        assert ["attempt=%d" % n in message for n, message in enumerate(records, 1)] == [True] * 3
        assert "OTSServerBusy" in records[0]
        assert any(record.name == self.PROJECT for record in caplog.records)

    def test_they_are_told_of_a_failed_call_too(self, server, make_store, new_id, caplog):
        store = make_store()
        with server.failing({"code": "OTSNoPermissionAccess"}), caplog.at_level(logging.DEBUG):
            error = error_of(store.get, new_id())
        assert any(error.request_id in record.getMessage() for record in caplog.records)

    def test_nothing_is_made_for_a_level_that_is_off(self, make_store, new_id, caplog):
        with caplog.at_level(logging.WARNING):
            make_store().set(new_id(), b"1")
        assert caplog.records == []
