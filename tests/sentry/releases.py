"""The releases of Sentry that can be installed for tests; newer ones are not on PyPI."""

import os
from dataclasses import dataclass, field

# Names another release than the one that `make test` and `make demo` use.
VARIABLE = "SENTRY_RELEASE"


@dataclass(frozen=True)
class Release:
    """A release of Sentry.

    :ivar python: The CPython that it runs on.
    :ivar sdk: File with the requirements of Aliyun's SDK that go with its own.
    :ivar replaced: What it requires that is gone from PyPI (a line of its metadata), and what it
        has in place of that.
    :ivar settings: Lines for its settings.
    """

    version: str
    python: str
    sdk: str = "requirements-tablestore-sdk.txt"
    replaced: dict[str, str] = field(default_factory=dict)
    settings: str = ""


RELEASES = {
    release.version: release
    for release in (
        Release(
            "21.9.0",
            "3.6",
            sdk="requirements-tablestore-sdk-21.9.0.txt",
            replaced={"sentry-relay (==0.8.8)": "sentry-relay (==0.8.24)"},
            # Its index of similar issues runs a Lua script that Redis 7 refuses.
            settings="SENTRY_SIMILARITY_INDEX_REDIS_CLUSTER = None",
        ),
        Release(
            "22.12.0",
            "3.8",
            sdk="requirements-tablestore-sdk-22.12.0.txt",
            replaced={"sentry-relay (==0.8.15)": "sentry-relay (==0.8.24)"},
        ),
        Release("23.7.1", "3.8"),
    )
}
CHOSEN = RELEASES[os.environ.get(VARIABLE) or "23.7.1"]
