"""Nothing runs at import, construction, `validate` and `setup`. Each look is at a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

LOOK = """
import json, os, sys
from datetime import timedelta

def look():
    files = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink("/proc/self/fd/" + fd))
        except OSError:
            pass  # the folder's own
    with open("/proc/self/maps") as maps:
        mapped = "_native" in maps.read()
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "mapped": mapped,
        "sockets": sum(name.startswith("socket:") for name in files),
        "modules": sorted(
            name for name in sys.modules
            if name.endswith("_native") or name.split(".")[0] in ("sentry", "django", "sentry_sdk",
            "tablestore")
        ),
    }

def tell(**more):
    print(json.dumps(dict(look(), **more)))

options = json.loads(sys.argv[1])
"""

SCRIPTS = {
    "import": "import sentry_tablestore\ntell()",
    "import of all": """
import sentry_tablestore.errors, sentry_tablestore.loader, sentry_tablestore.kvstore.tablestore
tell()""",
    "construction": """
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
store = TablestoreKVStorage("sentry", "t", options, default_ttl=timedelta(days=1))
repr(store)
store.close()
list(store.get_many([]))
tell()""",
    "a refused argument": """
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
store = TablestoreKVStorage("sentry", "t", options)
for call in (lambda: store.get(""), lambda: store.set("a", "text"), lambda: store.bootstrap()):
    try:
        call()
    except (TypeError, ValueError):
        continue
    raise AssertionError
tell()""",
    "validate and setup": """
from sentry_tablestore.nodestore.backend import TablestoreNodeStorage
nodes = TablestoreNodeStorage(automatic_expiry=True, default_ttl=timedelta(days=1), **options)
nodes.validate()
nodes.setup()
tell()""",
}

ONE_OPERATION = """
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
TablestoreKVStorage("sentry", sys.argv[2], options).get("x")
tell()
"""


def run(script, *arguments):
    path = [HERE.parent / "python", HERE / "stand_ins" / "old", HERE / "stand_ins" / "shared"]
    done = subprocess.run(
        [sys.executable, "-c", LOOK + script, *arguments],
        env={"PYTHONPATH": ":".join(map(str, path))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_nothing_is_started(server, script):
    seen = run(script, json.dumps(server.client_options()))
    assert (seen["threads"], seen["mapped"], seen["sockets"]) == (1, False, 0)
    if "nodestore" not in script:
        assert seen["modules"] == []


def test_the_first_operation_starts_it(server, table):
    """That the look above sees an engine when there is one."""
    seen = run(ONE_OPERATION, json.dumps(server.client_options()), table)
    assert seen["threads"] > 1
    assert seen["mapped"]
    assert seen["sockets"] > 0
    # Nor is it left where a forked child would find it.
    assert seen["modules"] == []
