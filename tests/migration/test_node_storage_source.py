"""Nodes of any NodeStorage class for a list of ids."""

import io
import os
from typing import ClassVar

import pytest
from sentry_tablestore.migration.carry import Carrier
from sentry_tablestore.migration.checkpoint import Checkpoint
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.run import FAILED, FINISHED, Migration
from sentry_tablestore.migration.sources import source
from sentry_tablestore.migration.sources.id_list import IDList, spooled
from sentry_tablestore.migration.sources.node_storage import NodeStorageSource
from sentry_tablestore.migration.sources.source import SourceError, SourceUnavailableError


class MemoryStorage:
    """Holds nodes as other backends do; ids that begin with `broken` cannot be read."""

    nodes: ClassVar = {}

    def __init__(self, prefix=""):
        self.prefix = prefix

    def _get_bytes(self, id):
        if id.startswith("broken"):
            raise OSError("this object is\ndamaged")
        return self.nodes.get(self.prefix + id)

    def _get_bytes_multi(self, ids):
        return {id: self._get_bytes(id) for id in ids}


PATH = f"{__name__}.MemoryStorage"


def ids_in(tmp_path, *ids):
    """Write a list of ids."""
    path = tmp_path / "ids"
    path.write_text("".join(id + "\n" for id in ids))
    return IDList(str(path))


def test_every_id_is_read_once_whatever_the_parts(tmp_path):
    ids = [f"{n:x}" * (n % 5 + 1) for n in range(1000)]
    of = ids_in(tmp_path, *ids)
    for count in (1, 3, 50):
        found, parts = [], of.parts(count)
        for part in parts:
            cursor = None
            while True:
                some, cursor = of.page(part, cursor, 7)
                found += some
                if cursor is None:
                    break
        assert found == ids
        assert len(parts) == count


def test_empty_lines_and_a_missing_last_line_break_are_fine(tmp_path):
    path = tmp_path / "ids"
    path.write_text("a\n\n b \n\nc")
    of = IDList(str(path))
    assert of.page(of.parts(1)[0], None, 10) == (["a", "b", "c"], None)


def test_ids_of_a_pipe_are_kept(tmp_path):
    path = spooled(io.BytesIO(b"a\nb\n"), str(tmp_path / "kept"))
    assert IDList(path).digest == ids_in(tmp_path, "a", "b").digest
    assert IDList(path).digest != ids_in(tmp_path, "a", "c").digest


def test_another_list_through_a_pipe_leaves_that_of_a_running_migration_alone(tmp_path):
    running = IDList(spooled(io.BytesIO(b"a\nb\n"), str(tmp_path / "kept")))
    other = IDList(spooled(io.BytesIO(b"c\n"), str(tmp_path / "kept")))
    assert running.page(running.parts(1)[0], None, 10)[0] == ["a", "b"]
    assert other.page(other.parts(1)[0], None, 10)[0] == ["c"]
    # The next run gets the same list in the same place.
    assert spooled(io.BytesIO(b"a\nb\n"), str(tmp_path / "kept")) == running.path


def test_values_missing_ids_and_failures_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(MemoryStorage, "nodes", {"pa": b"{}", "pc": b"{} "})
    ids = ids_in(tmp_path, "a", "b", "broken", "c")
    of = NodeStorageSource(PATH, {"prefix": "p"}, ids)
    of.check()
    page = of.reader().page(of.parts(1)[0], None, 100, 1 << 20)
    assert page.cursor is None
    assert [(row.id, row.value, row.trouble) for row in page.rows] == [
        ("a", b"{}", ""),
        ("b", None, source.GONE),
        ("broken", None, source.UNREADABLE),
        ("c", b"{} ", ""),
    ]
    assert page.rows[2].detail == "OSError: this object is damaged"


class FileStorage:
    """Holds each node in a file, as Sentry's backend for files does."""

    def __init__(self, path):
        self.path = path

    def _get_bytes(self, id):
        with open(os.path.join(self.path, id), "rb") as file:
            return file.read()

    def _get_bytes_multi(self, ids):
        return {id: self._get_bytes(id) for id in ids}


def test_a_missing_file_is_a_missing_node_but_a_missing_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "a").write_bytes(b"{}")
    of = NodeStorageSource(
        f"{__name__}.FileStorage", {"path": str(folder)}, ids_in(tmp_path, "a", "b")
    )
    rows = of.reader().fetch(["a", "b"])
    assert [(row.value, row.trouble) for row in rows] == [(b"{}", ""), (None, source.GONE)]
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(SourceUnavailableError, match="No such file or directory"):
        of.reader().fetch(["a", "b"])
    with pytest.raises(SourceUnavailableError, match="gives none of 2 nodes"):
        of.check()


def test_a_list_of_nothing_but_damaged_nodes_is_refused(tmp_path):
    of = NodeStorageSource(PATH, {}, ids_in(tmp_path, "broken1", "broken2"))
    with pytest.raises(SourceUnavailableError, match="OSError: this object is damaged"):
        of.check()


def test_an_outage_is_waited_for_and_costs_no_row(tmp_path, monkeypatch, store, new_id):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    ids = [new_id() for _ in range(3)]
    monkeypatch.setattr(MemoryStorage, "nodes", {id: b"{}" for id in ids})
    of = NodeStorageSource(PATH, {}, ids_in(tmp_path, *ids, "broken"))
    of.check()
    failures = [OSError("connection refused")] * 30

    def refuse(self, id, read=MemoryStorage._get_bytes):
        if failures:
            raise failures.pop()
        return read(self, id)

    monkeypatch.setattr(MemoryStorage, "_get_bytes", refuse)
    keeper = FileKeeper(str(tmp_path / "checkpoint"))
    keeper.lock()
    run = Migration(of, Carrier(of, store), Checkpoint(keeper, {"source": {}, "target": {}}))
    troubles = set()
    assert run.run(lambda status: troubles.add(status.trouble)) == FINISHED
    assert run.checkpoint.tally().moved == 3
    assert run.checkpoint.tally().failed == {"unreadable": 1}
    assert any("does not answer: OSError: connection refused" in trouble for trouble in troubles)


def test_an_outage_that_lasts_ends_it_with_the_reason(tmp_path, monkeypatch, store):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(MemoryStorage, "nodes", {"a": b"{}"})
    of = NodeStorageSource(PATH, {}, ids_in(tmp_path, "a"))
    of.check()
    monkeypatch.setattr(MemoryStorage, "_get_bytes", lambda self, id: 1 / 0)
    keeper = FileKeeper(str(tmp_path / "checkpoint"))
    keeper.lock()
    saved = Checkpoint(keeper, {"source": {}, "target": {}})
    run = Migration(of, Carrier(of, store), saved, patience=0.2)
    assert run.run(lambda status: None) == FAILED
    assert "does not answer: ZeroDivisionError" in str(run.failure)
    assert run.checkpoint.tally().rows == 0


def test_changed_tells_nodes_that_have_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(MemoryStorage, "nodes", {"a": b"{}", "b": b"{}"})
    of = NodeStorageSource(PATH, {}, ids_in(tmp_path, "a", "b"))
    reader = of.reader()
    rows = reader.fetch(["a", "b"])
    assert reader.changed(rows) == []
    del MemoryStorage.nodes["a"]
    assert [(row.id, row.trouble) for row in reader.changed(rows)] == [("a", source.GONE)]


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("no.such.module.Storage", {}, "there is no class no.such.module.Storage"),
        (f"{__name__}.NoSuchStorage", {}, "there is no class"),
        ("Storage", {}, "there is no class Storage"),
        (PATH, {"bucket": 1}, "refuses its options"),
    ],
)
def test_a_wrong_class_is_refused(tmp_path, path, options, said):
    with pytest.raises(SourceError, match=said):
        NodeStorageSource(path, options, ids_in(tmp_path))


def test_an_unreadable_list_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        IDList(str(tmp_path / "missing"))
    path = tmp_path / "ids"
    path.write_bytes(b"\xff\xfe\n")
    of = IDList(str(path))
    with pytest.raises(SourceError, match="no text"):
        of.page(of.parts(1)[0], None, 10)
