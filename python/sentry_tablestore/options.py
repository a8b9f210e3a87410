"""The options of a store: their names, defaults and rules, checked without touching any network.

| Option | Meaning | Default |
|---|---|---|
| `end_point` | `http(s)://host[:port]` of the instance | none |
| `instance` | the instance's name | first label of an instance endpoint's host, else `sentry` |
| `table` | the table's name | `nodestore` |
| `access_key_id`, `access_key_secret` | the access key | environment variables, below |
| `sts_token` | the token of a temporary key | environment variable, with a key from there |
| `credentials_provider` | gives keys that change: see docs/credentials.md | none |
| `region` | signs requests with V4 for this region, such as `cn-hangzhou` | none: V2 |
| `default_ttl` | how long a value lives, a `timedelta` | None: for ever |
| `automatic_expiry` | `default_ttl` is the table's TimeToLive: whole seconds, from a day | False |
| `compression` | of new values: False/None, True or `'zlib'`, `'zstd'` | False |
| `timeout` | seconds that a call may take with all its attempts | 10 |
| `max_connection` | requests in flight at once, in one process | 64 |
| `reserved_throughput` | capacity units to reserve, (read, write) | (0, 0) |
| `logger_name` | logger of the requests | `tablestore-client` |
| `metrics` | who is told of each call: a callable, its path, `textfile:/PATH.prom` | none |

The environment variables are `ALIBABA_CLOUD_ACCESS_KEY_ID`, `ALIBABA_CLOUD_ACCESS_KEY_SECRET` and
`ALIBABA_CLOUD_SECURITY_TOKEN`; they are not looked at where there is a `credentials_provider`, and
no provider is asked that the option does not name. `socket_timeout`, the Python SDK's limit of one
attempt, is taken for `timeout` where that is not given. The SDK's other options mean nothing here
and are named in one warning.
"""

import difflib
import json
import logging
import math
import os
import re
from datetime import timedelta
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from .credentials.answer import ACCEPTABLE
from .credentials.provider import provider_of
from .credentials.rotation import Rotation, rotation_of
from .endpoint import check_endpoint, instance_of, is_open
from .errors import TablestoreOptionsError
from .metrics import callback_of
from .secret import Secret

logger = logging.getLogger("sentry_tablestore.kvstore.tablestore")

DEFAULT_TABLE = "nodestore"
DEFAULT_TIMEOUT = 10
DEFAULT_MAX_CONNECTION = 64
DEFAULT_LOGGER_NAME = "tablestore-client"

KEY_ID_VARIABLE = "ALIBABA_CLOUD_ACCESS_KEY_ID"
KEY_SECRET_VARIABLE = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
TOKEN_VARIABLE = "ALIBABA_CLOUD_SECURITY_TOKEN"

KNOWN = (
    "end_point",
    "instance",
    "table",
    "access_key_id",
    "access_key_secret",
    "sts_token",
    "credentials_provider",
    "region",
    "default_ttl",
    "automatic_expiry",
    "compression",
    "timeout",
    "socket_timeout",
    "max_connection",
    "reserved_throughput",
    "logger_name",
    "metrics",
)

# Parameters of the tablestore SDK's OTSClient (6.4.8) that have no meaning for this engine.
WITHOUT_MEANING = (
    "encoding",
    "retry_policy",
    "ssl_version",
    "enable_native",
    "native_fallback",
    "extra_headers",
    "sign_date",
    "auto_update_v4_sign",
)

# TableOptions.time_to_live: at least a day by the service's rule, at most what an int32 holds.
_MIN_TIME_TO_LIVE = timedelta(days=1)
_MAX_TIME_TO_LIVE = timedelta(seconds=2**31 - 1)
_MILLISECOND = timedelta(milliseconds=1)
_MAX_CAPACITY_UNITS = 100000
_MAX_TIMEOUT = 86400

_TABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\Z")
# The service wants 3 to 16 letters, digits and hyphens. Only what could never be a header is
# refused here, so that the service stays the judge of its names.
_INSTANCE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?\Z")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}\Z")

_warned: Set[Tuple[str, ...]] = set()


class Options:
    """Checked options of one store. They do not change.

    :ivar rotation: The credentials of `credentials_provider`; None without one.
    :ivar places: Where access_key_id, access_key_secret and sts_token come from, in words.
    :ivar metrics: What the option of that name is told by; None without one.
    :raises TablestoreOptionsError: naming the first option that is missing, unknown or wrong.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        _check_names(given)
        self.end_point = check_endpoint(given.get("end_point"))
        self.instance = _instance(given.get("instance"), self.end_point)
        self.table = _matching("table", given.get("table"), DEFAULT_TABLE, _TABLE_NAME, _TABLE_RULE)
        self.rotation = _rotation(given)
        self._key_id, self._key_secret, self._token = _credentials(given, self.rotation)
        self.places = _places(given, self.rotation)
        self.region = _matching("region", given.get("region"), "", _REGION, _REGION_RULE)
        self.default_ttl = _default_ttl(given.get("default_ttl"))
        self.automatic_expiry = _boolean("automatic_expiry", given.get("automatic_expiry"))
        if self.automatic_expiry:
            check_time_to_live(self.default_ttl)
        self.compression = _compression(given.get("compression"))
        self.timeout = _timeout(given)
        self.max_connection = _max_connection(given.get("max_connection"))
        self.reserved_throughput = _reserved_throughput(given.get("reserved_throughput"))
        self.logger_name = given.get("logger_name") or DEFAULT_LOGGER_NAME
        if not isinstance(self.logger_name, str):
            raise TablestoreOptionsError(
                f"logger_name must be a str, not {_type(self.logger_name)}"
            )
        self.metrics = callback_of(given.get("metrics"))
        _warn_of_the_meaningless(given)
        _warn_of_plain_http(self.end_point)

    def to_engine(self, automatic_expiry: bool) -> Secret:
        """Give the JSON text that opens the engine's client (`_native.open`).

        With a provider it holds no key: the client must be given one before its first request.
        """
        fields = {
            "end_point": self.end_point,
            "instance": self.instance,
            "table": self.table,
            "access_key_id": self._key_id.reveal(),
            "access_key_secret": self._key_secret.reveal(),
            "sts_token": self._token.reveal(),
            "credentials_from": self.rotation.identity if self.rotation is not None else "",
            "region": self.region,
            "default_ttl_ms": (self.default_ttl or timedelta()) // _MILLISECOND,
            "automatic_expiry": automatic_expiry,
            "compression": self.compression,
            "timeout_ms": max(1, int(self.timeout * 1000)),
            "max_connection": self.max_connection,
            "reserved_read": self.reserved_throughput[0],
            "reserved_write": self.reserved_throughput[1],
        }
        return Secret(json.dumps(fields, sort_keys=True))

    def __repr__(self) -> str:
        shown = (
            "end_point",
            "instance",
            "table",
            "region",
            "default_ttl",
            "automatic_expiry",
            "compression",
        )
        return "Options({})".format(", ".join(f"{name}={getattr(self, name)!r}" for name in shown))


def check_time_to_live(ttl: Optional[timedelta]) -> None:
    """Refuse a `default_ttl` that the table itself cannot keep.

    :raises TablestoreOptionsError: for None, less than a day, parts of a second, over 2**31 - 1
        seconds.
    """
    if ttl is None:
        raise TablestoreOptionsError(
            "automatic_expiry needs default_ttl: it is the time that the table keeps values for"
        )
    if ttl.microseconds or not _MIN_TIME_TO_LIVE <= ttl <= _MAX_TIME_TO_LIVE:
        raise TablestoreOptionsError(
            "default_ttl with automatic_expiry must be whole seconds, at least 86,400 (a day, the "
            f"service's limit) and at most 2,147,483,647, not {ttl.total_seconds()} seconds"
        )


_TABLE_RULE = "1 to 255 letters, digits and underscores, not a digit first"
_INSTANCE_RULE = "letters, digits and hyphens"
_REGION_RULE = "a region's id such as 'cn-hangzhou'"


def _check_names(given: Mapping[str, Any]) -> None:
    for name in given:
        if name in KNOWN or name in WITHOUT_MEANING:
            continue
        nearest = difflib.get_close_matches(str(name), KNOWN, n=1)
        hint = (
            f"did you mean '{nearest[0]}'?" if nearest else "known are: {}".format(", ".join(KNOWN))
        )
        raise TablestoreOptionsError(f"unknown option '{name}': {hint}")


def _warn_of_the_meaningless(given: Mapping[str, Any]) -> None:
    names = tuple(name for name in WITHOUT_MEANING if given.get(name) is not None)
    # A nodestore is constructed again in every thread: one warning a process is enough.
    if names and names not in _warned:
        _warned.add(names)
        logger.warning(
            "These options were for the tablestore SDK, mean nothing here and are ignored: %s",
            ", ".join(names),
        )


def _warn_of_plain_http(end_point: str) -> None:
    if is_open(end_point) and (end_point,) not in _warned:
        _warned.add((end_point,))
        logger.warning(
            "end_point %s is plain http: whoever is on the way reads all events and the token of "
            "temporary credentials. Use https://, which the service has at the same name.",
            end_point,
        )


def _instance(given: Any, end_point: str) -> str:
    return _matching(
        "instance", given, instance_of(end_point) or "sentry", _INSTANCE_NAME, _INSTANCE_RULE
    )


def _matching(name: str, given: Any, default: str, pattern: Any, rule: str) -> str:
    if given is None or given == "":
        return default
    if not isinstance(given, str):
        raise TablestoreOptionsError(f"{name} must be a str, not {_type(given)}")
    if not pattern.match(given):
        raise TablestoreOptionsError(f"{name} must be {rule}, not {given!r}")
    return given


def _rotation(given: Mapping[str, Any]) -> Optional[Rotation]:
    if given.get("credentials_provider") is None:
        return None
    for name in ("access_key_id", "access_key_secret", "sts_token"):
        if given.get(name):
            raise TablestoreOptionsError(
                f"{name} and credentials_provider are both given: remove one of them"
            )
    return rotation_of(provider_of(given["credentials_provider"]))


def _credentials(
    given: Mapping[str, Any], rotation: Optional[Rotation]
) -> Tuple[Secret, Secret, Secret]:
    if rotation is not None:
        return Secret(""), Secret(""), Secret("")
    missing: List[str] = []
    found: Dict[str, Secret] = {}
    for name, variable in (
        ("access_key_id", KEY_ID_VARIABLE),
        ("access_key_secret", KEY_SECRET_VARIABLE),
    ):
        if given.get(name) or os.environ.get(variable):
            found[name] = _credential(name, given.get(name), variable)
        else:
            missing.append(f"{name} (or {variable} in the environment)")
    if missing:
        raise TablestoreOptionsError(
            "missing option {}, or credentials_provider".format(" and ".join(missing))
        )
    token = Secret("")
    # A token belongs to one key: the environment's must not go with a key of the options.
    from_environment = not given.get("access_key_id") and os.environ.get(TOKEN_VARIABLE)
    if given.get("sts_token") or from_environment:
        token = _credential("sts_token", given.get("sts_token"), TOKEN_VARIABLE)
    return found["access_key_id"], found["access_key_secret"], token


def _places(given: Mapping[str, Any], rotation: Optional[Rotation]) -> Dict[str, str]:
    places = {}
    for name, option, variable in (
        ("access_key_id", "access_key_id", KEY_ID_VARIABLE),
        ("access_key_secret", "access_key_secret", KEY_SECRET_VARIABLE),
        ("sts_token", "access_key_id", TOKEN_VARIABLE),  # from where the id is
    ):
        if rotation is not None:
            places[name] = f"the {name} that credentials_provider {rotation.name} gives"
        elif given.get(option):
            places[name] = f"the option {name}"
        else:
            places[name] = f"{variable} in the environment"
    return places


def _credential(name: str, given: Any, variable: str) -> Secret:
    """Check a credential without ever putting it into a message."""
    source = name if given else f"{variable} in the environment"
    text = given or os.environ[variable]
    if not isinstance(text, str):
        raise TablestoreOptionsError(f"{source} must be a str, not {_type(text)}")
    if not ACCEPTABLE.match(text):
        raise TablestoreOptionsError(
            f"{source} holds a space, a line break or another character that no access key has"
        )
    return Secret(text)


def _default_ttl(given: Any) -> Optional[timedelta]:
    if given is None:
        return None
    if not isinstance(given, timedelta):
        raise TablestoreOptionsError(
            f"default_ttl must be a datetime.timedelta, not {_type(given)}"
        )
    if given < _MILLISECOND:
        raise TablestoreOptionsError(f"default_ttl must be at least a millisecond, not {given!r}")
    return given


def _boolean(name: str, given: Any) -> bool:
    if given is None:
        return False
    if not isinstance(given, bool):
        raise TablestoreOptionsError(f"{name} must be True or False, not {given!r}")
    return given


def _compression(given: Any) -> str:
    if given is None or given is False:
        return ""
    if given is True:
        return "zlib"
    if given in ("zlib", "zstd"):
        return str(given)
    raise TablestoreOptionsError(
        f"compression must be False or None, True or 'zlib', or 'zstd', not {given!r}"
    )


def _timeout(given: Mapping[str, Any]) -> float:
    for name in ("timeout", "socket_timeout"):
        seconds = given.get(name)
        if seconds is None:
            continue
        # bool is an int: True would be a second.
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not number or not math.isfinite(seconds) or not 0 < seconds <= _MAX_TIMEOUT:
            raise TablestoreOptionsError(
                f"{name} must be seconds, above 0 and at most 86,400, not {seconds!r}"
            )
        return float(seconds)
    return float(DEFAULT_TIMEOUT)


def _max_connection(given: Any) -> int:
    if given is None:
        return DEFAULT_MAX_CONNECTION
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= 65535:
        raise TablestoreOptionsError(
            f"max_connection must be an int from 1 to 65535, not {given!r}"
        )
    return given


def _reserved_throughput(given: Any) -> Tuple[int, int]:
    """Take two ints, or an SDK's ReservedThroughput(CapacityUnit(read, write))."""
    if given is None:
        return 0, 0
    unit = getattr(given, "capacity_unit", None)
    pair = (
        (getattr(unit, "read", None), getattr(unit, "write", None)) if unit is not None else given
    )
    if (
        isinstance(pair, (tuple, list))
        and len(pair) == 2
        and all(
            isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= _MAX_CAPACITY_UNITS
            for n in pair
        )
    ):
        return pair[0], pair[1]
    raise TablestoreOptionsError(
        f"reserved_throughput must be two ints (read, write) from 0 to 100,000, not {given!r}"
    )


def _type(value: Any) -> str:
    return type(value).__name__
