"""What a migration leaves on the disk is for its owner's eyes, wherever it is put."""

import hashlib
import io
import os
import stat

import pytest
from sentry_tablestore.migration import private_file
from sentry_tablestore.migration.checkpoint import Checkpoint, CheckpointError
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.export import new_file
from sentry_tablestore.migration.node_file import NodeFileError
from sentry_tablestore.migration.report import write_failures
from sentry_tablestore.migration.sources.id_list import spooled
from sentry_tablestore.migration.sources.source import Part
from sentry_tablestore.migration.tally import Failure, Tally


@pytest.fixture(autouse=True)
def _a_lax_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def migrated(folder):
    """Leave the files of a migration with one failure in a folder."""
    keeper = FileKeeper(str(folder / "checkpoint"))
    keeper.lock()
    checkpoint = Checkpoint(keeper, {"source": "a"})
    checkpoint.plan([Part(None, None)])
    failures = [Failure("a", "broken", "what it said")]
    tally = Tally()
    tally.fail(failures)
    checkpoint.advance(0, "b", tally, failures)
    checkpoint.send(0, {"a": 1})
    write_failures(checkpoint, str(folder / "failed"))
    checkpoint.close()


def exported(folder):
    with new_file(str(folder / "nodes"), replace=False) as file:
        file.write(b"nodes")


def piped(folder):
    spooled(io.BytesIO(b"a\nb\n"), str(folder / "ids"))


WRITERS = {
    migrated: [
        "checkpoint",
        "checkpoint.journal",
        "checkpoint.lock",
        "checkpoint.sent.0",
        "failed",
    ],
    exported: ["nodes"],
    piped: ["ids." + hashlib.sha256(b"a\nb\n").hexdigest()[:16]],
}


@pytest.mark.parametrize("write", WRITERS)
def test_only_the_owner_reads_them(tmp_path, write):
    write(tmp_path)
    assert sorted(os.listdir(str(tmp_path))) == WRITERS[write]
    for name in WRITERS[write]:
        assert stat.S_IMODE(os.stat(str(tmp_path / name)).st_mode) == 0o600, name


@pytest.mark.parametrize(
    ("write", "planted"),
    [
        (migrated, "checkpoint.partial"),
        (migrated, "checkpoint.sent.0.partial"),
        (migrated, "failed.partial"),
        (exported, "nodes.partial"),
        (piped, "ids.{pid}.partial"),
    ],
)
def test_a_link_that_was_planted_is_not_written_through(tmp_path, write, planted):
    folder, treasure = tmp_path / "shared", tmp_path / "treasure"
    folder.mkdir()
    treasure.write_bytes(b"mine")
    (folder / planted.format(pid=os.getpid())).symlink_to(treasure)
    write(folder)
    assert treasure.read_bytes() == b"mine"


@pytest.mark.parametrize("planted", ["checkpoint.journal", "checkpoint.lock"])
def test_a_link_where_a_file_is_kept_is_refused(tmp_path, planted):
    (tmp_path / "treasure").write_bytes(b"mine")
    (tmp_path / planted).symlink_to(tmp_path / "treasure")
    with pytest.raises(CheckpointError, match="cannot be"):
        migrated(tmp_path)
    assert (tmp_path / "treasure").read_bytes() == b"mine"


def test_a_file_that_was_planted_and_lies_open_is_not_written_to(tmp_path):
    planted = tmp_path / "nodes.partial"
    planted.write_bytes(b"")
    os.chmod(str(planted), 0o666)
    with planted.open("rb") as spy:
        exported(tmp_path)
        assert spy.read() == b""


def test_a_name_that_comes_back_at_once_is_an_error(tmp_path, monkeypatch):
    # Somebody plants it again between the removal and the creation.
    monkeypatch.setattr(private_file.os, "unlink", lambda path: None)
    (tmp_path / "nodes.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NodeFileError, match="cannot be written"):
        exported(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
