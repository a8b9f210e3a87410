"""Makes event payloads that look like Sentry's: compact, key-sorted ASCII JSON.

No two events are alike: ids, messages, paths, variables and times differ. What repeats within one,
as in real ones, are names of keys, modules and functions. The same seed gives the same bytes.

Run as a program it prints events, one a line: `python bench/events.py 10000 100`.
"""

# ruff: noqa: SIM905 - words are easier to read as text than as a list of one word a line
import json
import math
import random
import sys
from typing import Any, Dict, List

_VERBS = (
    "apply build cancel charge check collect commit compute dispatch encode ensure fetch flush "
    "format handle import invoke load merge notify parse persist publish quote refresh render "
    "reserve resolve schedule send serialize settle store submit sync update validate write"
).split()
_NOUNS = (
    "account address batch billing cart catalog checkout coupon currency customer delivery "
    "discount export gateway inventory invoice item ledger locale mailer message order payment "
    "policy price product profile queue receipt refund report request response schema session "
    "shipment stock subscription tax template tenant token upload user voucher warehouse webhook"
).split()
_APPS = (
    "shop payments accounts search notifications reports warehouse api core integrations".split()
)
_PACKAGES = (
    "django.core.handlers.base django.db.models.query celery.app.trace rest_framework.views "
    "requests.adapters urllib3.connectionpool sqlalchemy.engine.base redis.connection "
    "kombu.transport.redis botocore.client"
).split()
_ERRORS = (
    "ValueError KeyError TypeError ConnectionError TimeoutError IntegrityError ValidationError "
    "PermissionDenied DoesNotExist HTTPError"
).split()
_CODE = (
    "{noun} = self.{verb}_{noun}({other}, timeout={n})",
    "    return {verb}_{noun}(request, *args, **kwargs)",
    "if not {noun}.is_{other}_valid():",
    "    raise {error}('could not {verb} {noun} %s' % {other}_id)",
    "for {other} in {noun}.{other}_set.filter(status={n}):",
    "with transaction.atomic(using='{noun}'):",
    "    {other}.{verb}(force={n} > 3, {noun}_id={noun}.pk)",
    "logger.info('{verb}.{noun}', extra={{'{other}': {other}}})",
    "response = client.post(url, json={noun}_payload, headers=headers)",
    "",
    "@cached_property",
    "def {verb}_{noun}(self, {other}=None):",
)
_BROWSERS = ("Chrome", "Firefox", "Safari", "Edge", "Mobile Safari", "Chrome Mobile")
_FRAMEWORK_FRAMES = 400
_CATEGORIES = ("query", "http", "redis", "celery", "console", "auth", "template")
_TAGS = ("customer_type", "feature", "region", "shard", "team", "tenant", "transaction_kind")

# What an event with a stack trace holds besides its frames and breadcrumbs, and what a frame takes
# together with its share of breadcrumbs, in bytes.
_OVERHEAD = 2450
_FRAMES_PER_CRUMB = 4
_FRAME = 700
# Below this an event is a bare message without a stack trace.
_SMALL = 3000

# Of the JSON that Sentry hands over: the share of events up to this size in bytes. Between two
# points the logarithm of the size is linear, which gives a mean of 9.9 KB.
_SIZES = ((0.0, 2_000), (0.5, 5_700), (0.9, 13_500), (0.99, 65_000), (1.0, 320_000))


def make_events(size: int, count: int, seed: int = 1) -> List[bytes]:
    """Return events of about `size` bytes each."""
    return [make_event(size, seed * 1_000_003 + i) for i in range(count)]


def make_mix(count: int) -> List[bytes]:
    """Return events whose sizes are a realistic mix, the small ones first."""
    return [make_event(_size_at((i + 0.5) / count), i) for i in range(count)]


def make_event(size: int, seed: int) -> bytes:
    """Return one event of about `size` bytes."""
    chance = random.Random(size * 7919 + seed)
    if size < _SMALL:
        event = _base(chance, tags=4)
        event["logentry"] = {"formatted": _message(chance), "message": "%s %s"}
    else:
        frames = max(1, round((size - _OVERHEAD) / _FRAME))
        crumbs = -(-frames // _FRAMES_PER_CRUMB)
        event = _base(chance, tags=10)
        event["breadcrumbs"] = {
            "values": [_breadcrumb(chance, event["timestamp"]) for _ in range(crumbs)]
        }
        # Chained exceptions of at most 50 frames, as SDKs cut them.
        chain = [min(50, frames - at) for at in range(0, frames, 50)]
        event["exception"] = {"values": [_exception(chance, length) for length in chain]}
        event["exception"]["values"][-1].update(event["metadata"])
        event["contexts"] = _contexts(chance)
        event["request"] = _request(chance)
        event["user"] = _user(chance)
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _size_at(share: float) -> int:
    """Give the size that this share of all events does not exceed."""
    for (low, small), (high, large) in zip(_SIZES, _SIZES[1:]):
        if share <= high:
            along = (share - low) / (high - low)
            return round(small * math.exp(along * math.log(large / small)))
    raise ValueError(f"{share} is no share")


def _hex(chance: random.Random, digits: int) -> str:
    return f"{chance.getrandbits(4 * digits):0{digits}x}"


def _path(chance: random.Random) -> str:
    return f"{chance.choice(_APPS)}/{chance.choice(_NOUNS)}/{chance.choice(_VERBS)}_{_noun(chance)}"


def _noun(chance: random.Random) -> str:
    return chance.choice(_NOUNS)


def _message(chance: random.Random) -> str:
    return (
        f"could not {chance.choice(_VERBS)} {_noun(chance)} {_hex(chance, 8)} of {_noun(chance)}: "
        f"{chance.choice(_ERRORS)} after {chance.randrange(9999)} ms"
    )


def _base(chance: random.Random, tags: int) -> Dict[str, Any]:
    release = f"{chance.choice(_APPS)}@{chance.randrange(40)}.{chance.randrange(90)}"
    transaction = f"/{_path(chance)}/"
    named = [
        ["environment", "production"],
        ["level", "error"],
        ["release", release],
        ["server_name", f"web-{chance.randrange(64)}.internal"],
        ["transaction", transaction],
    ] + [[name, f"{_noun(chance)}-{chance.randrange(999)}"] for name in _TAGS]
    metadata = {"type": chance.choice(_ERRORS), "value": _message(chance)}
    received = round(1_700_000_000 + chance.random() * 3e7, 6)
    return {
        "culprit": transaction,
        "errors": [],
        "event_id": _hex(chance, 32),
        "fingerprint": ["{{ default }}"],
        "grouping_config": {
            "enhancements": "eJybzDRxc15qeXFJZU6qlZGBkbGugaGuoeEEAHJMCAM",
            "id": "newstyle:2023-01-11",
        },
        "hashes": [_hex(chance, 32)],
        "key_id": str(chance.randrange(10**6)),
        "level": "error",
        "location": f"{_path(chance)}.py",
        "logger": f"{chance.choice(_APPS)}.{_noun(chance)}",
        "metadata": metadata,
        "platform": "python",
        "project": chance.randrange(500),
        "received": received,
        "release": release,
        "sdk": {"name": "sentry.python.django", "version": "1.40.6"},
        "tags": named[:tags],
        "timestamp": round(received - chance.random(), 3),
        "title": f"{metadata['type']}: {metadata['value']}",
        "transaction": transaction,
        "type": "error",
        "version": "7",
    }


def _code(chance: random.Random) -> str:
    return "        " + chance.choice(_CODE).format(
        verb=chance.choice(_VERBS),
        noun=_noun(chance),
        other=_noun(chance),
        error=chance.choice(_ERRORS),
        n=chance.randrange(60),
    )


def _frame(chance: random.Random) -> Dict[str, Any]:
    # Most frames are a framework's, and few of these are most: middleware calls middleware through
    # the same lines many times.
    in_app = chance.random() < 0.3
    source = chance if in_app else random.Random(int(_FRAMEWORK_FRAMES * chance.random() ** 6))
    path = _path(source) if in_app else source.choice(_PACKAGES).replace(".", "/")
    root = "/srv/app/" if in_app else "/usr/local/lib/python3.11/site-packages/"
    context = [_code(source) for _ in range(5)]
    return {
        "abs_path": f"{root}{path}.py",
        "context_line": context[2],
        "data": {"orig_in_app": -1 if in_app else 0},
        "filename": f"{path}.py",
        "function": f"{source.choice(_VERBS)}_{_noun(source)}",
        "in_app": in_app,
        "lineno": source.randrange(1, 1800),
        "module": path.replace("/", "."),
        "post_context": context[3:],
        "pre_context": context[:2],
        "vars": {
            "args": [],
            "self": f"<{path.replace('/', '.')} object at 0x7f3a9c{_hex(chance, 6)}>",
            f"{_noun(source)}_id": str(chance.randrange(10**6)),
        },
    }


def _exception(chance: random.Random, frames: int) -> Dict[str, Any]:
    return {
        "mechanism": {"handled": False, "type": "django"},
        "module": f"{chance.choice(_APPS)}.exceptions",
        "stacktrace": {"frames": [_frame(chance) for _ in range(frames)]},
        "type": chance.choice(_ERRORS),
        "value": _message(chance),
    }


def _breadcrumb(chance: random.Random, until: float) -> Dict[str, Any]:
    category = chance.choice(_CATEGORIES)
    message = {
        "query": f'SELECT "{_noun(chance)}"."id", "{_noun(chance)}"."status" FROM '
        f'"{_noun(chance)}" WHERE "{_noun(chance)}"."id" = %s LIMIT {chance.randrange(99)}',
        "http": f"GET https://api.example.com/v2/{_path(chance)}?id={_hex(chance, 8)}",
        "redis": f"GET '{_noun(chance)}:{chance.randrange(10**6)}'",
    }.get(category) or _message(chance)
    return {
        "category": category,
        "data": {"duration": chance.randrange(4000)},
        "level": "info",
        "message": message,
        "timestamp": round(until - chance.random() * 90, 3),
        "type": "default",
    }


def _contexts(chance: random.Random) -> Dict[str, Any]:
    return {
        "browser": {
            "name": chance.choice(_BROWSERS),
            "type": "browser",
            "version": f"{chance.randrange(60, 125)}.0.{chance.randrange(7000)}",
        },
        "os": {"name": "Linux", "type": "os", "version": f"5.15.{chance.randrange(160)}"},
        "runtime": {"name": "CPython", "type": "runtime", "version": "3.11.7"},
        "trace": {
            "op": "http.server",
            "parent_span_id": _hex(chance, 16),
            "span_id": _hex(chance, 16),
            "status": "internal_error",
            "trace_id": _hex(chance, 32),
            "type": "trace",
        },
    }


def _request(chance: random.Random) -> Dict[str, Any]:
    return {
        "cookies": [["sessionid", "[Filtered]"], ["csrftoken", "[Filtered]"]],
        "headers": [
            ["Accept", "application/json"],
            ["Host", "shop.example.com"],
            ["User-Agent", f"Mozilla/5.0 (X11; Linux x86_64) Gecko/{chance.randrange(10**8)}"],
            ["X-Forwarded-For", ".".join(str(chance.randrange(256)) for _ in range(4))],
            ["X-Request-Id", _hex(chance, 32)],
        ],
        "method": "POST",
        "query_string": [[_noun(chance), _hex(chance, 6)]],
        "url": f"https://shop.example.com/{_path(chance)}/",
    }


def _user(chance: random.Random) -> Dict[str, Any]:
    name = f"{_noun(chance)}.{chance.randrange(10**5)}"
    return {
        "email": f"{name}@example.com",
        "id": str(chance.randrange(10**7)),
        "ip_address": ".".join(str(chance.randrange(256)) for _ in range(4)),
        "username": name,
    }


def main() -> None:
    """Print events of the size and number on the command line."""
    size, count = int(sys.argv[1]), int(sys.argv[2])
    for event in make_events(size, count):
        sys.stdout.buffer.write(event + b"\n")


if __name__ == "__main__":
    main()
