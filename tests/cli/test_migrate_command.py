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
DAY = 86_400_000


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


def test_rows_skipped_as_expired_are_not_forgotten_when_default_ttl_is_longer_later(
    server, tables, tmp_path, bare
):
    source, target = tables
    source.import_many([ImportedNode("old", b"{}", NOW - 20 * DAY)])

    def migrate(ttl, *arguments):
        options = tmp_path / "options.json"
        told = server.client_options(table=target.table_name, default_ttl=ttl)
        options.write_text(json.dumps(told))
        return bare(
            "--options", options, "migrate", "--checkpoint", tmp_path / "checkpoint",
            "--source", "sentry_tablestore.nodestore.backend.TablestoreNodeStorage",
            "--source-options", json.dumps(server.client_options(table=source.table_name)),
            *arguments
        )  # fmt: skip

    done = migrate("7d")
    assert done.status == 0, done.stderr
    assert "1  expired" in done.stdout
    done = migrate("90d")
    assert done.status == 1
    assert "default_ttl is '90 days, 0:00:00', and '7 days, 0:00:00' there" in done.stderr
    assert "--restart" in done.stderr
    assert migrate("90d", "--restart").status == 0
    assert target.get("old") == b"{}"


class Damaged:
    """A nodestore that has one node and fails to read all others."""

    def _get_bytes(self, id):
        if id != "good":
            raise OSError("this object is\ndamaged")
        return b"{}"

    def _get_bytes_multi(self, ids):
        return {id: self._get_bytes(id) for id in ids}


def test_the_first_ids_that_failed_are_shown_and_all_are_in_a_file(
    tables, run, tmp_path, monkeypatch
):
    monkeypatch.setattr("sentry_tablestore.migration.sources.node_storage.time.sleep", len)
    monkeypatch.setattr("sentry_tablestore.migration.sources.node_storage._ATTEMPTS", 1)
    target = tables[1]
    listed = tmp_path / "ids"
    listed.write_text("good\n" + "".join(f"bad{n:03}\n" for n in range(30)))

    def migrate(*arguments):
        return run(
            "migrate", "--table", target.table_name, "--checkpoint", tmp_path / "checkpoint",
            "--source", f"{__name__}.Damaged", "--ids", listed, *arguments
        )  # fmt: skip

    done = migrate()
    assert done.status == 1
    failed = tmp_path / "checkpoint.failed"
    assert f"The ids that failed, with their reasons, are in {failed}." in done.stdout
    assert len(failed.read_text().splitlines()) == 30
    shown = [line for line in done.stderr.splitlines() if line.startswith("unreadable ")]
    assert len(shown) == 20
    assert all(line.endswith("': OSError: this object is damaged") for line in shown)
    assert done.stderr.splitlines()[-1] == "… and 10 more"

    # A container may have no folder that can be written.
    done = migrate("--failed", tmp_path / "missing" / "failed")
    assert done.status == 1
    assert "30  unreadable" in done.stdout
    assert "failed cannot be written: [Errno 2] No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def _rows(report):
    return int(re.search(r"([\d,]+) rows read", report).group(1).replace(",", ""))


@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_moments_are_the_same_each_time(run, command):
    """A migration goes on where it was only if it is the same one."""
    done = run(command, "--since", "30d")
    assert (done.status, "'30d' is no moment: give a date (2026-11-23), or" in done.stderr) == (
        2,
        True,
    )
