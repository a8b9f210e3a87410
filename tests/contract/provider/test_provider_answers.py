"""What a provider of credentials may answer."""

from datetime import datetime, timedelta, timezone, tzinfo

import pytest
from provided import NOON, SECRET, Attributes, Getters, Native
from sentry_tablestore.credentials import Credentials, Rotation
from sentry_tablestore.credentials.answer import of_answer
from sentry_tablestore.credentials.provider import Provider
from sentry_tablestore.errors import TablestoreAuthenticationError

HOURS = timedelta(hours=1)


class Deadline(BaseException):
    """As that of a task of Sentry's, which a signal raises."""


class Raising:
    """An answer that has a secret and raises when it is asked for the token."""

    access_key_id = "id"

    def __init__(self, failure):
        self.access_key_secret = SECRET
        self.failure = failure

    @property
    def security_token(self):
        raise self.failure


class Listed(dict):
    """An answer whose keys raise."""

    def get(self, name, default=None):
        raise KeyError(SECRET)


class Zone(tzinfo):
    def utcoffset(self, moment):
        raise OSError("no file of zones")


@pytest.mark.parametrize(
    ("answer", "expires"),
    [
        (("id", SECRET, "token", NOON), NOON),
        (["id", SECRET, "token", None], None),
        (("id", SECRET, "token"), None),
        (
            {
                "access_key_id": "id",
                "access_key_secret": SECRET,
                "security_token": "token",
                "expiration": int(NOON),
            },
            NOON,
        ),
        ({"access_key_id": "id", "access_key_secret": SECRET, "sts_token": "token"}, None),
        (
            {
                "AccessKeyId": "id",
                "AccessKeySecret": SECRET,
                "SecurityToken": "token",
                "Expiration": "2027-01-15T08:00:00Z",
            },
            NOON,
        ),
        (Attributes(), NOON),
        (Getters(), None),
    ],
)
def test_forms(answer, expires):
    made = of_answer(answer)
    assert isinstance(made, Credentials), made
    native = Native()
    made.give_to(native, 7)
    assert native.given == [(7, b"id", SECRET.encode(), b"token")]
    assert made.expires == expires


@pytest.mark.parametrize("token", [None, ""])
def test_no_token(token):
    native = Native()
    of_answer(("id", SECRET, token)).give_to(native, 1)
    of_answer(("id", SECRET)).give_to(native, 1)
    assert native.given == [(1, b"id", SECRET.encode(), b"")] * 2


@pytest.mark.parametrize(
    "expiration",
    [
        NOON,
        int(NOON),
        NOON * 1000,
        datetime(2027, 1, 15, 8, tzinfo=timezone.utc),
        datetime(2027, 1, 15, 16, tzinfo=timezone(timedelta(hours=8))),
        datetime(2027, 1, 15, 8),
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00Z",
        "2027-01-15T08:00:00.000Z",
        "2027-01-15 08:00:00",
        "2027-01-15T16:00:00+08:00",
        "2027-01-15T03:00:00-0500",
    ],
)
def test_expirations(expiration):
    assert of_answer(("id", SECRET, "", expiration)).expires == NOON


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "NoneType"),
        ("id:" + SECRET, "answered with str"),
        (("id",), "1 items"),
        (("id", SECRET, "", NOON, 5), "5 items"),
        (("id", ""), "no access_key_secret"),
        (("id", SECRET + "\n"), "line break"),
        (("id", SECRET.encode()), "must be a str, not bytes"),
        ({"access_key_id": "id"}, "no access_key_secret"),
        (object(), "no access_key_id"),
        (("id", SECRET, "", "tomorrow"), "ISO 8601"),
        (("id", SECRET, "", "2027-13-01T00:00:00Z"), "no time"),
        (("id", SECRET, "", True), "not bool"),
        (("id", SECRET, "", float("nan")), "seconds since 1970"),
        (("id", SECRET, "", [NOON]), "not list"),
        (Raising(RuntimeError("token " + SECRET)), "cannot be read: RuntimeError"),
        (Listed(), "cannot be read: KeyError"),
        (("id", SECRET, "", datetime(2027, 1, 1, tzinfo=Zone())), "cannot be read: OSError"),
    ],
)
def test_what_is_none_is_told_without_the_secret(answer, told):
    problem = of_answer(answer)
    assert isinstance(problem, str)
    assert told in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    ("expiration", "kept"),
    [
        ("9999-12-31T23:59:59-01:00", "at 5138-11-16T09:46:40Z"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(-HOURS)), "at 5138-11-16T09:46:40Z"),
        ("0001-01-01T00:00:00+01:00", "at 1970-01-01T00:00:00Z"),
        (datetime(1, 1, 1, tzinfo=timezone(HOURS)), "at 1970-01-01T00:00:00Z"),
    ],
)
def test_expirations_that_no_datetime_holds(expiration, kept):
    made = of_answer(("id", SECRET, "", expiration))
    assert repr(made) == f"<Credentials that expire {kept}>"


@pytest.mark.parametrize("failure", [RuntimeError("sealed"), Deadline()])
def test_what_its_answer_raises_shows_no_frame_with_it(failure):
    provider = Provider("a provider", "raising", lambda: Raising(failure))
    with pytest.raises((TablestoreAuthenticationError, Deadline)) as caught:
        Rotation(provider, 1).current(1)
    error = caught.value
    assert error.__cause__ is error.__context__ is None
    step = error.__traceback__
    while step is not None:
        frame = step.tb_frame
        if "/credentials/" in frame.f_code.co_filename:
            held = frame.f_locals.values()
            assert not any(isinstance(one, Raising) for one in held), frame.f_code.co_name
            assert SECRET not in repr(list(held)), frame.f_code.co_name
        step = step.tb_next
