"""`sentry-tablestore migrate` in a real Sentry: what it refuses, its checkpoints, other sources."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import migrating
import pytest
import services
from migrating import Migrate, Switched
from tablestore_local import TablestoreLocal

ROWS = 1200
DJANGO = migrating.DJANGO


@pytest.fixture(scope="module")
def switched(
    sentry_environment: Path,
    postgresql: services.PostgreSQL,
    redis: services.Redis,
    tablestore: TablestoreLocal,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Switched]:
    folder = tmp_path_factory.mktemp("switched")
    with migrating.switched("switched", ROWS, folder, postgresql, redis, tablestore) as made:
        yield made


def test_wrong_input_is_refused_and_changes_nothing(switched: Switched, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    migrate = Migrate(switched.sentry, checkpoint)
    config = str(switched.sentry.folder)
    for arguments, said in (
        (["--source-table", "sentry_organization"], "does not exist"),
        (["--source-table", "no_such_table"], "does not exist"),
        (["--database", "replica"], "DATABASES has no 'replica'"),
        (["--table", "no_such_table"], "no_such_table"),
        (["--config", config, "--end-point", "http://127.0.0.1:1", "--timeout", "1"], "refused"),
        (["--ids", "somewhere"], "are for --source CLASS"),
        (["--source", "no.such.Storage", "--ids", os.devnull], "there is no class"),
        (["--source", DJANGO], "--ids"),
        (["--rate", "fast"], "a rate is"),
    ):
        ended = migrate.run(*arguments)
        assert ended.status in (1, 2), (arguments, ended)
        assert "Traceback" not in ended.stderr, ended.stderr
        assert said in ended.stderr, (arguments, ended.stderr)
    assert not checkpoint.exists()
    other = {"format": 1, "identity": {"source": {"table": "x"}}, "journal": 0, "parts": []}
    checkpoint.write_text(json.dumps(other))
    ended = migrate.run()
    assert ended.status == 1
    assert "another migration" in ended.stderr
    assert json.loads(checkpoint.read_text()) == other


def test_a_dry_run_writes_nothing_and_estimates(switched: Switched, tmp_path: Path) -> None:
    migrate = Migrate(switched.sentry, tmp_path / "checkpoint")
    ended = migrate.run("--dry-run")
    assert ended.status == 0, ended.stderr
    assert "nothing was written" in ended.stdout
    for word in ("rows", "bytes in the target", "capacity units", "time"):
        assert word in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_may_be_in_the_database(switched: Switched, tmp_path: Path) -> None:
    migrate = Migrate(switched.sentry, tmp_path / "unused")
    table = ["--checkpoint", "table", "--failed", str(tmp_path / "failed")]
    ended = migrate.run(*table, "--since", "2020-01-01")
    assert ended.status == 1, ended.stderr
    assert len((tmp_path / "failed").read_text().splitlines()) == (
        ended.counts()["broken"] + ended.counts()["pickle"]
    )
    again = migrate.run(*table, "--since", "2020-01-01")
    assert again.counts() == ended.counts()
    other = migrate.run(*table)
    assert other.status == 1
    assert "another migration" in other.stderr


def test_nodes_of_another_class_are_moved_by_their_ids(switched: Switched, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    ids = [f"file{n:04}" for n in range(50)]
    listed = tmp_path / "ids"
    listed.write_text("\n".join([*ids, "missing"]))
    with switched.sentry.console() as inside:
        inside.call("migrating.write_files", folder=str(files), node_ids=ids)
    migrate = Migrate(switched.sentry, tmp_path / "checkpoint")
    ended = migrate.run(
        "--source",
        "inside.migrating.Files",
        "--source-options",
        json.dumps({"path": str(files)}),
        "--ids",
        str(listed),
    )
    counts = ended.counts()
    assert (counts["read"], counts["moved"]) == (51, 50), ended.stdout + ended.stderr
    for id in ids:
        assert switched.store.get(id) == b'{"file":"%s"}' % id.encode()
