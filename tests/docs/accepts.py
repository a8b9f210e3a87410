"""Runs settings from standard input and makes the backend that they ask for, as Sentry does.

A program of its own, for a Python path on which there is a stand-in for Sentry.
"""

import os
import sys


def main() -> None:
    """Fail as the backend does when it refuses its options."""
    # What stands before them in Sentry's own file.
    settings = {
        "CACHES": {"default": {"BACKEND": "x", "LOCATION": [], "OPTIONS": {}}},
        "LOGGING": {"loggers": {}, "handlers": {}},
        "SENTRY_OPTIONS": {"system.event-retention-days": 90},
        "env": os.environ.get,
    }
    text = sys.stdin.read()
    if "SENTRY_NODESTORE_OPTIONS[" in text:
        settings["SENTRY_NODESTORE_OPTIONS"] = {}
    exec(compile(text, "settings", "exec"), settings)
    options = settings["SENTRY_NODESTORE_OPTIONS"]
    # Where a page shows a part of them only.
    options.setdefault("end_point", "https://instance.cn-hangzhou.ots.aliyuncs.com")
    for name in ("credentials_provider", "metrics"):
        # The path of something that only the reader has.
        if "." in options.get(name, "") and not options[name].startswith("textfile:"):
            options[name] = print

    from sentry_tablestore.nodestore.backend import TablestoreNodeStorage

    assert TablestoreNodeStorage(**options).store


if __name__ == "__main__":
    main()
