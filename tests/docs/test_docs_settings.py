"""Settings that the pages show are accepted."""

import datetime
import os

import pytest
from pages import blocks
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
from sentry_tablestore.nodestore.read_through import ReadThrough


def _with_options():
    for block in blocks("python", "yaml"):
        if "SENTRY_NODESTORE_OPTIONS" in block.text:
            yield block


@pytest.mark.parametrize("block", list(_with_options()), ids=str)
def test_nodestore_options_are_accepted(block, monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("ALIBABA_CLOUD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
    options = dict(_settings(block)["SENTRY_NODESTORE_OPTIONS"])
    old = options.pop("read_through", None)
    if old is not None:
        ReadThrough(old)
    of_the_store = {
        name: options.pop(name)
        for name in ("default_ttl", "compression", "reserved_throughput", "automatic_expiry")
        if name in options
    }
    TablestoreKVStorage(
        options.pop("instance", None), options.pop("table", "nodestore"), options, **of_the_store
    )


def _settings(block):
    """Run the settings as Sentry does, with what stands before them in its own file."""
    text = block.text
    if block.language == "yaml":
        lines = text.splitlines()
        at = next(i for i, line in enumerate(lines) if line.rstrip().endswith("sentryConfPy: |"))
        indent = len(lines[at]) - len(lines[at].lstrip())
        inside = []
        for line in lines[at + 1 :]:
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            inside.append(line)
        text = "\n".join(line[indent + 2 :] for line in inside)
    text = text.replace("…", "x")  # a key, which the reader has
    settings = {
        "os": os,
        "env": lambda name, default="": os.environ.get(name, default) or "90",
        "CACHES": {"default": {"BACKEND": "x", "LOCATION": [], "OPTIONS": {}}},
        "SENTRY_OPTIONS": {"system.event-retention-days": 90},
        "LOGGING": {"loggers": {}, "handlers": {}},
        "datetime": datetime,
    }
    if "SENTRY_NODESTORE_OPTIONS[" in text:
        settings["SENTRY_NODESTORE_OPTIONS"] = {
            "end_point": "https://i.cn-hangzhou.ots.aliyuncs.com"
        }
    exec(compile(text, str(block), "exec"), settings)
    options = settings["SENTRY_NODESTORE_OPTIONS"]
    # A block that shows a part of them only.
    options.setdefault("end_point", "https://i.cn-hangzhou.ots.aliyuncs.com")
    return settings
