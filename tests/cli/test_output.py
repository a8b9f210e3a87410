"""Only what a command answers is on stdout, whatever the Sentry around it writes there."""

import json
import os
import subprocess
import sys

import pytest

# A Sentry that prints while it is configured, and whose logs go to stdout, as real ones' do.
CONFIGURE = """
import logging, os, sys

def configure():
    if os.environ.get("DEBUG"):
        sys.stderr = os.fdopen(sys.stderr.fileno(), "w", 1)
        sys.stdout = os.fdopen(sys.stdout.fileno(), "w", 1)
    print("printed by settings")
    os.write(1, b"written by a library\\n")
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("sentry").warning("logged at the start")
"""
# Its log's handler asks structlog at each record, and that prints to stdout by default.
STRUCTLOG = """
import logging, sys

_factory = [lambda: sys.stdout]

def PrintLoggerFactory(file):
    return lambda: file

def configure(logger_factory):
    _factory[0] = logger_factory

class Handler(logging.Handler):
    def emit(self, record):
        print("by structlog: " + record.getMessage(), file=_factory[0]())

logging.getLogger().addHandler(Handler())
"""
BACKEND = """
import logging
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

class Backend:
    store_class = TablestoreKVStorage

    def __init__(self, table, **options):
        logging.getLogger("sentry.later").warning("logged later")
        self.store = TablestoreKVStorage(None, table, options)
"""
MODULES = {
    "sentry/__init__.py": "",
    "sentry/runner.py": CONFIGURE,
    "structlog.py": STRUCTLOG,
    "backend.py": BACKEND,
    "django/__init__.py": "",
    "django/conf.py": "import json, os, types\n"
    "settings = types.SimpleNamespace(**json.loads(os.environ['SETTINGS']))\n",
    "django/utils/__init__.py": "",
    "django/utils/module_loading.py": "def import_string(path):\n"
    "    from backend import Backend\n"
    "    return Backend\n",
}


@pytest.mark.parametrize("debug", ["", "1"])
def test_stdout_is_the_commands_own(server, table, store, new_id, tmp_path, debug):
    for name, text in MODULES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text)
    settings = {
        "SENTRY_NODESTORE": "backend.Backend",
        "SENTRY_NODESTORE_OPTIONS": server.client_options(table=table),
    }
    key = new_id()
    store.set(key, b'{"a":1}')
    package = os.path.dirname(os.path.dirname(sys.modules["sentry_tablestore"].__file__))

    done = subprocess.run(
        [sys.executable, "-c", "from sentry_tablestore.cli.main import main; main()", "get", key],
        env=dict(
            os.environ,
            PYTHONPATH=os.pathsep.join([str(tmp_path), package] + [p for p in sys.path if p]),
            SENTRY_CONF=str(tmp_path),
            SETTINGS=json.dumps(settings),
            DEBUG=debug,
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )

    assert (done.returncode, done.stdout) == (0, '{"a":1}\n'), done.stderr
    for said in (
        "printed by settings",
        "written by a library",
        "logged at the start",
        "logged later",
        "by structlog: logged later",
    ):
        assert said in done.stderr
