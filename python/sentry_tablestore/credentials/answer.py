"""What a provider answers, checked, without a credential in any message or frame."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any, Mapping, Optional, Tuple, Union

from ..secret import Secret

ACCEPTABLE = re.compile(r"[\x21-\x7e]+\Z")
"""What the parts of an access key are made of."""

_NAMES = (
    ("access_key_id", ("access_key_id", "AccessKeyId", "accessKeyId")),
    ("access_key_secret", ("access_key_secret", "AccessKeySecret", "accessKeySecret")),
    (
        "security_token",
        ("security_token", "sts_token", "SecurityToken", "securityToken"),
    ),
    ("expiration", ("expiration", "Expiration")),
)

_ISO_8601 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?"
    r"(?:([Zz])|([+-])(\d\d):?(\d\d))?\Z"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)
# Seconds of the year 5138: an epoch above it is in milliseconds.
_LARGEST_SECONDS = 100000000000


class Credentials:
    """An access key with its token, and when it expires. They do not change.

    :ivar expires: Seconds since 1970; None: unknown.
    """

    __slots__ = ("_id", "_secret", "_token", "expires")

    def __init__(self, id: str, secret: str, token: str, expires: Optional[float]) -> None:
        self._id = Secret(id)
        self._secret = Secret(secret)
        self._token = Secret(token)
        self.expires = expires

    def give_to(self, native: Any, handle: int) -> Any:
        """Make a client of the engine sign with these from now on, and give the engine's answer.

        :param native: The extension module.
        """
        return native.set_credentials(handle, *[part.encode("ascii") for part in self._parts()])

    def same_key(self, other: "Credentials") -> bool:
        """Whether both are one key with one token."""
        return self._parts() == other._parts()

    def hide_in(self, text: str) -> str:
        """Give the text without any part of these credentials that stands in it."""
        for part in self._parts():
            if part:
                text = text.replace(part, "<secret>")
        return text

    def _parts(self) -> Tuple[str, str, str]:
        return self._id.reveal(), self._secret.reveal(), self._token.reveal()

    def __repr__(self) -> str:
        return f"<Credentials that expire {moment(self.expires)}>"


def moment(seconds: Optional[float]) -> str:
    """Give a moment (seconds since 1970) for a message."""
    if seconds is None:
        return "at an unknown time"
    return "at " + (_EPOCH + timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")


def of_answer(answer: Any) -> Union[Credentials, str]:
    """Make credentials of a provider's answer, or tell what is wrong with it.

    An error monitor records the local variables of a traceback's frames, and those here hold the
    secret. So no Exception is raised, whatever the answer's own code does; and what else may be
    raised meanwhile, such as the deadline of a task, goes on without these frames.

    :param answer: (id, secret), (id, secret, token) or (id, secret, token, expiration); or a
        mapping or an object with `access_key_id`, `access_key_secret`, perhaps `security_token` or
        `sts_token`, and `expiration`. The names as the metadata service and the SDKs write them
        (`AccessKeyId`, `get_access_key_id()`) are taken too. The expiration is a datetime (UTC
        where it has no time zone), seconds or milliseconds since 1970, ISO 8601 text, or None.
    """
    try:
        return _made_of(answer)
    except Exception as error:  # noqa: BLE001 - told, but not its text: that may be the answer's
        return f"its answer cannot be read: {type(error).__name__}"
    except BaseException as error:  # noqa: BLE001 - raised again
        raise error.with_traceback(None)  # noqa: B904 - it is the same one
    finally:
        answer = None


def _made_of(answer: Any) -> Union[Credentials, str]:
    if isinstance(answer, (tuple, list)):
        if not 2 <= len(answer) <= 4:
            return (
                "a tuple must be (id, secret), (id, secret, token) or (id, secret, token, "
                f"expiration), and this one has {len(answer)} items"
            )
        found = dict(zip([name for name, _ in _NAMES], answer))
    elif answer is None or isinstance(answer, (str, bytes, int, float)):
        return f"it answered with {type(answer).__name__}, not with credentials"
    else:
        found = {name: _member(answer, aliases) for name, aliases in _NAMES}
    for name in ("access_key_id", "access_key_secret", "security_token"):
        problem = _problem(name, found.get(name))
        if problem:
            return problem
    expires = _seconds(found.get("expiration"))
    if isinstance(expires, str):
        return expires
    return Credentials(
        found["access_key_id"],
        found["access_key_secret"],
        found.get("security_token") or "",
        expires,
    )


def _member(answer: Any, aliases: Tuple[str, ...]) -> Any:
    """Look a member up by its names: key, attribute, or the getter of an SDK's class."""
    for name in aliases:
        if isinstance(answer, Mapping):
            value = answer.get(name)
        else:
            value = getattr(answer, name, None)
            if value is None:
                getter = getattr(answer, "get_" + name, None)
                value = getter() if callable(getter) else None
        if value is not None:
            return value
    return None


def _problem(name: str, value: Any) -> str:
    if name == "security_token" and (value is None or value == ""):
        return ""
    if value is None or value == "":
        return f"its answer has no {name}"
    if not isinstance(value, str):
        return f"{name} in its answer must be a str, not {type(value).__name__}"
    if not ACCEPTABLE.match(value):
        return (
            f"{name} in its answer holds a space, a line break or another character that no access "
            "key has"
        )
    return ""


def _seconds(given: Any) -> Union[float, str, None]:
    """Give an expiration in seconds since 1970, None for None, or what is wrong with it.

    Those of another time are moved to its ends: "never" is written as the last day of 9999.
    """
    seconds = _unbounded_seconds(given)
    if seconds is None or isinstance(seconds, str):
        return seconds
    return max(0.0, min(seconds, float(_LARGEST_SECONDS)))


def _unbounded_seconds(given: Any) -> Union[float, str, None]:
    if given is None or given == "":
        return None
    if isinstance(given, datetime):
        zoned = given if given.utcoffset() is not None else given.replace(tzinfo=timezone.utc)
        return (zoned - _EPOCH) / _SECOND
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        # Also not a NaN.
        if not 0 < given < _LARGEST_SECONDS * 1000:
            return f"its expiration {given!r} is no number of seconds since 1970"
        return float(given) if given < _LARGEST_SECONDS else given / 1000
    if isinstance(given, str):
        found = _ISO_8601.match(given.strip())
        if found is None:
            return "its expiration is no ISO 8601 text such as 2026-11-23T18:00:00Z"
        numbers = [int(number or 0) for number in found.group(1, 2, 3, 4, 5, 6)]
        try:
            written = datetime(*numbers, tzinfo=timezone.utc)  # type: ignore[arg-type,misc]
        except ValueError as error:
            return f"its expiration is no time: {error}"
        offset = timedelta(hours=int(found.group(9) or 0), minutes=int(found.group(10) or 0))
        if found.group(8) == "-":
            offset = -offset
        return (written - _EPOCH) / _SECOND - offset / _SECOND
    return f"its expiration must be a datetime, a number or text, not {type(given).__name__}"
