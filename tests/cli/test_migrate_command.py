"""`sentry-tablestore migrate` as a process: Ctrl-C, and going on after it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid

import pytest
from sentry_tablestore.kvstore.imported import ImportedNode

PYTHON = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "python")
NOW = int(time.time() * 1000) - 60_000
ROWS = 3000


@pytest.fixture
def tables(make_store):
    """A table with rows, and an empty one."""
    stores = [make_store(table="t_" + uuid.uuid4().hex) for _ in range(2)]
    for store in stores:
        store.bootstrap(automatic_expiry=False)
    for at in range(0, ROWS, 1000):
        nodes = [ImportedNode(f"{n:032x}", b"{}", NOW) for n in range(at, at + 1000)]
        assert set(stores[0].import_many(nodes)) == {"written"}
    yield stores
    for store in stores:
        store.destroy()


def test_ctrl_c_ends_within_a_second_and_the_next_run_goes_on(server, tables, tmp_path):
    source, target = tables
    options = tmp_path / "options.json"
    options.write_text(json.dumps(server.client_options(table=target.table_name)))
    command = [sys.executable, "-c", "from sentry_tablestore.cli.main import main; main()"]
    command += ["--options", str(options), "migrate"]
    command += ["--source", "sentry_tablestore.nodestore.backend.TablestoreNodeStorage"]
    command += ["--source-options", json.dumps(server.client_options(table=source.table_name))]
    checkpoint = tmp_path / "checkpoint"
    command += ["--checkpoint", str(checkpoint)]

    def start(*arguments):
        return subprocess.Popen(
            [*command, *arguments],
            env=dict(os.environ, PYTHONPATH=PYTHON),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    run = start("--rate", "1000", "--workers", "2")
    end = time.monotonic() + 60
    while not (checkpoint.exists() and json.loads(checkpoint.read_text())["counts"]["moved"]):
        assert run.poll() is None, run.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    begun = time.monotonic()
    report, said = run.communicate()
    assert time.monotonic() - begun < 1
    assert run.returncode == 130
    assert "The same command goes on from here." in said
    assert "Traceback" not in said
    moved = _rows(report)
    assert 0 < moved < ROWS

    run = start()
    report, said = run.communicate()
    assert run.returncode == 0, said
    assert _rows(report) == ROWS
    assert f"{moved:,} of them by earlier runs" in report
    assert len(list(target.get_many([f"{n:032x}" for n in range(ROWS)]))) == ROWS


def _rows(report):
    return int(re.search(r"([\d,]+) rows read", report).group(1).replace(",", ""))
