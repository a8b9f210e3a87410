"""The exceptions themselves: what they say, what they are, and that they survive a pickle."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from sentry_tablestore import errors

HERE = Path(__file__).resolve().parent

FULL = {
    "operation": "set",
    "table": "nodestore",
    "code": "OTSServerBusy",
    "message": "Server\n is busy.",
    "request_id": "0005-7a",
    "http_status": 503,
    "ids": ["a", "b"],
    "failures": [
        {"id": "a", "kind": "throttled", "code": "OTSServerBusy", "message": "m", "request_id": "r"}
    ],
}
KINDS = [
    "options",
    "invalid_id",
    "value_too_large",
    "corrupt_row",
    "corrupt_answer",
    "authentication",
    "permission",
    "table_missing",
    "table_mismatch",
    "table_not_ready",
    "throttled",
    "unavailable",
    "connection",
    "certificate",
    "timeout",
    "service",
    "partial",
    "closed",
    "internal",
]


def of_kind(kind, **others):
    return errors.from_engine(json.dumps({**FULL, "kind": kind, **others}).encode())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_own_exception(kind):
    error = of_kind(kind)
    assert isinstance(error, errors.TablestoreError)
    assert error.kind == kind
    assert [other for other in KINDS if type(of_kind(other)) is type(error)] == [kind]


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_everything_on_one_line(kind):
    text = str(of_kind(kind))
    assert text.startswith("set on table 'nodestore': OTSServerBusy: Server is busy.")
    assert "(HTTP 503, request id 0005-7a, ids 'a', 'b')" in text
    assert "\n" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_its_attributes(kind):
    error = of_kind(kind)
    assert error.operation == "set"
    assert error.table == "nodestore"
    assert error.code == "OTSServerBusy"
    assert error.message == "Server\n is busy."
    assert error.request_id == "0005-7a"
    assert error.http_status == 503
    assert error.ids == ("a", "b")
    assert error.failures == (errors.Failure("a", "throttled", "OTSServerBusy", "m", "r"),)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_survives_a_pickle(kind, protocol):
    error = of_kind(kind)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.failures == error.failures


def test_bare_ones():
    error = errors.from_engine(b'{"kind":"timeout","ids":null,"failures":null}')
    assert isinstance(error, errors.TablestoreTimeoutError)
    assert (error.ids, error.failures, error.http_status, error.code) == ((), (), 0, "")
    assert str(errors.TablestoreError()) == "TablestoreError"
    assert str(errors.TablestoreError("went wrong")) == "went wrong"


def test_a_kind_that_is_not_known_is_not_lost():
    error = of_kind("novel")
    assert isinstance(error, errors.TablestoreInternalError)
    assert "'novel'" in str(error)
    assert error.code == "OTSServerBusy"


def test_many_ids_and_long_messages_are_cut():
    error = of_kind("service", ids=[str(n) for n in range(12)], message="x" * 5000)
    assert "'4' and 7 more" in str(error)
    assert len(str(error)) < 1300
    assert len(error.message) == 5000


def test_what_they_are_as_well():
    for kind in ("options", "invalid_id", "value_too_large"):
        assert isinstance(of_kind(kind), ValueError)
    assert isinstance(of_kind("connection"), ConnectionError)
    # Sentry tries again what is unavailable: a certificate does not get better by that.
    assert isinstance(of_kind("certificate"), ConnectionError)
    assert not isinstance(of_kind("certificate"), errors.TablestoreUnavailableError)
    assert isinstance(of_kind("timeout"), TimeoutError)
    for kind in ("throttled", "connection", "table_not_ready"):
        assert isinstance(of_kind(kind), errors.TablestoreUnavailableError)
    for kind in ("table_missing", "table_mismatch", "table_not_ready"):
        assert isinstance(of_kind(kind), errors.TablestoreTableError)
    for kind in ("authentication", "permission"):
        assert isinstance(of_kind(kind), errors.TablestoreAccessError)
    for kind in ("corrupt_row", "corrupt_answer"):
        assert isinstance(of_kind(kind), errors.TablestoreCorruptionError)


def test_the_docstring_draws_every_exception():
    drawn = set(errors.__doc__.split())
    names = {name for name, value in vars(errors).items() if name.startswith("Tablestore")}
    assert names <= drawn


def test_the_predecessors_place_of_the_base():
    from sentry_tablestore.kvstore.tablestore import TablestoreError

    assert TablestoreError is errors.TablestoreError


WITH_GOOGLE = """
import pickle
from google.api_core import exceptions
from sentry_tablestore import errors

for kind in ("unavailable", "throttled", "connection", "table_not_ready"):
    assert issubclass(errors._BY_KIND[kind], exceptions.ServiceUnavailable), kind
assert issubclass(errors.TablestoreTimeoutError, exceptions.DeadlineExceeded)
assert issubclass(errors.TablestoreTimeoutError, TimeoutError)
assert not issubclass(errors.TablestoreAuthenticationError, exceptions.GoogleAPICallError)
assert exceptions.registered[503] is exceptions.ServiceUnavailable
for cls in (errors.TablestoreConnectionError, errors.TablestoreTimeoutError):
    error = cls("boom", operation="get", code="OTSx", request_id="r", ids=["a"])
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls and str(again) == str(error), again
    assert error.code == again.code == "OTSx" and error.message == "boom"
    assert str(error).startswith("get: OTSx: boom (request id r, id 'a')"), str(error)
    # The bases' own properties work.
    assert error.errors == [] and error.details == [] and error.response is None
print("fine")
"""


@pytest.mark.parametrize("state", ["there", "broken"])
def test_sentry_can_retry_on_them(state):
    """Sentry retries on exceptions of google.api_core, where that can be imported."""
    script = WITH_GOOGLE if state == "there" else "import sentry_tablestore.errors; print('fine')"
    folder = HERE / "stand_ins" / ("google" if state == "there" else "google_broken")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": f"{folder}:{HERE.parent / 'python'}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "fine\n", done.stderr
