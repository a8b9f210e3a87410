"""What the store's methods take, checked before anything is sent."""

from datetime import datetime, timedelta, timezone
from typing import Any, Iterable, List, Optional

from ..errors import TablestoreInvalidIDError

MAX_ID_BYTES = 1024
"""The service's limit of a STRING primary key, in bytes of UTF-8."""

NO_TTL = -1
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def checked_id(key: Any) -> str:
    """Give the id.

    :raises TypeError: unless it is a str.
    :raises TablestoreInvalidIDError: for an empty id, over 1,024 bytes of UTF-8, or one with lone
        surrogates.
    """
    if not isinstance(key, str):
        raise TypeError(f"an id must be a str, not {type(key).__name__}")
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        raise TablestoreInvalidIDError(
            f"the id {key!a} holds a lone surrogate and is no valid text"
        ) from None
    if not 0 < size <= MAX_ID_BYTES:
        raise TablestoreInvalidIDError(
            "an id must be 1 to {:,} bytes of UTF-8, and this one is {:,}: {!a}".format(
                MAX_ID_BYTES, size, key if size <= 80 else key[:80] + "…"
            )
        )
    return key


def checked_ids(keys: Iterable[Any]) -> List[str]:
    """Give the ids, each once, in the order in which they first appear.

    :raises TypeError: for a single str, whose characters would be taken for ids.
    """
    if isinstance(keys, (str, bytes)):
        raise TypeError(f"ids must be a sequence of str, not one {type(keys).__name__}")
    return list(dict.fromkeys(checked_id(key) for key in keys))


def checked_value(value: Any) -> bytes:
    """Give the value as bytes.

    :raises TypeError: unless it is bytes, bytearray or memoryview.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"a value must be bytes, not {type(value).__name__}")


def ttl_milliseconds(ttl: Optional[timedelta]) -> int:
    """Give a call's ttl in milliseconds, -1 for None.

    :raises TypeError: unless it is a timedelta or None.
    :raises ValueError: below a millisecond.
    """
    if ttl is None:
        return NO_TTL
    if not isinstance(ttl, timedelta):
        raise TypeError(f"a ttl must be a datetime.timedelta or None, not {type(ttl).__name__}")
    if ttl < _MILLISECOND:
        raise ValueError(f"a ttl must be at least a millisecond, not {ttl!r}")
    return ttl // _MILLISECOND


def cutoff_milliseconds(cutoff: datetime) -> int:
    """Give a moment in milliseconds since 1970.

    :raises TypeError: unless it is a datetime.
    :raises ValueError: for one without a time zone: which rows to delete must not depend on the
        machine's.
    """
    if not isinstance(cutoff, datetime):
        raise TypeError(f"a cutoff must be a datetime.datetime, not {type(cutoff).__name__}")
    if cutoff.utcoffset() is None:
        raise ValueError(f"a cutoff must have a time zone: {cutoff!r}")
    return (cutoff - _EPOCH) // _MILLISECOND
