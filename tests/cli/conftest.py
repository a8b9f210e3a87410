"""Runs `sentry-tablestore` within the test's process. Runs on CPython 3.6 and click 7.0."""

import json
import logging
import os
import uuid
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from sentry_tablestore.cli.main import main


class Done(NamedTuple):
    """What a run of the command left."""

    status: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    """No options of whoever runs the tests, and no `~/.sentry`."""
    for name in list(os.environ):
        if name.startswith(("SENTRY_", "ALIBABA_CLOUD_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def bare():
    """Run the command with these arguments, and nothing else that says where the table is."""

    def run(*arguments, input=None):
        try:
            runner = CliRunner(mix_stderr=False)
        except TypeError:  # click 8.2 and newer never mix them
            runner = CliRunner()
        result = runner.invoke(
            main, [str(one) for one in arguments], input=input, prog_name="sentry-tablestore"
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        # Not `stderr`, which click 7.0 refuses where it is empty.
        said = (result.stderr_bytes or b"").decode("utf-8")
        return Done(result.exit_code, result.stdout, said)

    return run


@pytest.fixture
def options_file(server, table, tmp_path):
    """Write a file of options that reach the shared table of the tests' server."""

    def write(**others):
        path = tmp_path / "options.json"
        path.write_text(json.dumps(server.client_options(**dict({"table": table}, **others))))
        return str(path)

    return write


@pytest.fixture
def run(bare, options_file):
    """Run the command on the shared table."""
    path = options_file()
    return lambda *arguments, **others: bare("--options", path, *arguments, **others)


@pytest.fixture
def make_table(make_store):
    """Make a store with an empty table of its own, which goes with the test: there is a quota."""
    made = []

    def make(**options):
        store = make_store(table="t_" + uuid.uuid4().hex, **options)
        made.append(store)
        store.bootstrap(automatic_expiry=False)
        return store

    yield make
    for store in made:
        store.destroy()


@pytest.fixture(autouse=True)
def _loggers_as_before():
    """Undo what --verbose does to the loggers of the process, which is the tests' own here."""
    loggers = [
        logging.getLogger(name)
        for name in ("sentry_tablestore.kvstore.tablestore", "tablestore-client")
    ]
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
