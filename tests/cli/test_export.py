"""`sentry-tablestore export` and `import`: nodes into a file and back."""

import gzip
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sentry_tablestore.kvstore.imported import ImportedNode
from sentry_tablestore.migration import node_file

DAY = 86400 * 1000
NOW = int(time.time() * 1000)
BIG = os.urandom(3 << 20)  # of several columns

NODES = [
    ImportedNode(
        "2dbc2fd2358e1ea1b7a6bc08ea647b9a", b'{"a":"\\u2603"}\nunprocessed\n{}', NOW - DAY
    ),
    ImportedNode("e-g-f:1", "{\u2603}".encode(), NOW - 30 * DAY),
    ImportedNode("i-o:2", b"\x80\x02}q\x00.", NOW - 60 * DAY, NOW + DAY),
    ImportedNode("large", BIG, NOW - 90 * DAY),
]


@pytest.fixture
def full(make_table):
    """A table with `NODES` in it."""
    store = make_table(compression="zstd")
    store.import_many(NODES)
    return store


def has_zstd():
    """Skip the test where this Python has no zstd."""
    try:
        node_file._zstd()
    except node_file.NodeFileError as error:
        pytest.skip(str(error))


def content(store):
    """Give all nodes of a table."""
    nodes, following = store.scan(values=True)
    assert following is None
    return [ImportedNode(node.id, node.value, node.written, node.expires) for node in nodes]


@pytest.mark.parametrize("name", ["nodes.jsonl", "nodes.jsonl.gz", "nodes.jsonl.zst"])
def test_nodes_go_to_a_file_and_into_another_table(run, full, make_table, tmp_path, name):
    if name.endswith(".zst"):
        has_zstd()
    file = tmp_path / name
    done = run("export", file, "--table", full.table_name, "--json")
    assert done.status == 0, done.stderr
    size = sum(len(node.value) for node in NODES)
    assert done.json() == {"nodes": 4, "bytes": size, "left_out": 0, "unreadable": []}
    assert f"Exported 4 nodes ({size:,} bytes) of table" in done.stderr
    assert stat.S_IMODE(os.stat(str(file)).st_mode) == 0o600
    assert set(os.listdir(str(tmp_path))) == {"options.json", name}

    other = make_table(compression="zlib")
    done = run("import", file, "--table", other.table_name, "--json")
    assert done.status == 0, done.stderr
    assert done.json() == {"written": 4}
    assert content(other) == NODES == content(full)

    done = run("import", file, "--table", other.table_name)
    assert done.status == 0
    assert "4 were there" in done.stderr


def test_through_pipes(run, full, make_table):
    done = run("export", "-", "--table", full.table_name)
    assert done.status == 0, done.stderr
    other = make_table()
    assert run("import", "-", "--table", other.table_name, input=done.stdout).status == 0
    assert content(other) == NODES


def test_a_pipe_that_takes_little_at_a_time(full, options_file, tmp_path):
    """As in Sentry's images, where PYTHONUNBUFFERED is set."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2] / "python")
    command = [sys.executable, "-c", "from sentry_tablestore.cli.main import main; main()"]
    command += ["--options", options_file(), "export", "-", "--compress", "gzip"]
    program = subprocess.Popen(
        command + ["--table", full.table_name], env=environment, stdout=subprocess.PIPE
    )
    data = program.stdout.read()
    program.stdout.close()
    assert program.wait() == 0
    assert len(gzip.decompress(data).splitlines()) == 6


def test_only_nodes_of_a_time(run, full):
    def ids(*arguments):
        done = run("export", "-", "--table", full.table_name, *arguments)
        assert done.status == 0, done.stderr
        nodes = [json.loads(line) for line in done.stdout.splitlines()]
        return [node["id"] for node in nodes if "id" in node]

    day = time.strftime("%Y-%m-%d", time.gmtime(NOW // 1000 - 45 * 86400))
    assert ids("--since", "2d") == [NODES[0].id]
    assert ids("--until", "45d") == ["i-o:2", "large"]
    assert ids("--since", day) == [NODES[0].id, "e-g-f:1"]
    assert ids("--since", "61d", "--until", day + "T12:00Z") == ["i-o:2"]


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "30", "", "1763900000"])
def test_no_moment(run, moment):
    done = run("export", "-", "--since", moment)
    assert done.status == 2
    assert "is no moment: give a date" in done.stderr


def test_nothing_could_be_in_between(run):
    done = run("export", "-", "--since", "1d", "--until", "2d")
    assert done.status == 2
    assert "--since must be before --until" in done.stderr


def test_a_file_is_replaced_only_when_asked_for(run, full, tmp_path):
    file = tmp_path / "nodes.jsonl"
    file.write_text("mine")
    done = run("export", file, "--table", full.table_name)
    assert done.status == 1
    assert f"{file} is there already" in done.stderr
    assert file.read_text() == "mine"
    assert run("export", file, "--table", full.table_name, "--force").status == 0
    assert file.read_text().startswith('{"format"')


def test_a_file_that_cannot_be_written(run, tmp_path):
    done = run("export", tmp_path / "missing" / "nodes.jsonl")
    assert done.status == 1
    assert "nodes.jsonl.partial cannot be written: No such file or directory" in done.stderr


def test_a_failing_table_leaves_no_file(run, server, full, tmp_path):
    file = tmp_path / "nodes.jsonl"
    rule = {"operation": "GetRange", "code": "OTSNoPermissionAccess", "count": -1}
    with server.failing(rule):
        done = run("export", file, "--table", full.table_name)
    assert done.status == 1
    assert "OTSNoPermissionAccess" in done.stderr
    assert os.listdir(str(tmp_path)) == ["options.json"]


def test_a_table_that_is_not_there(run, full, tmp_path):
    done = run("export", tmp_path / "nodes.jsonl", "--table", "no_such_table")
    assert done.status == 1
    assert "no_such_table" in done.stderr
    assert os.listdir(str(tmp_path)) == ["options.json"]
    assert run("export", tmp_path / "nodes.jsonl", "--table", full.table_name).status == 0
    done = run("import", tmp_path / "nodes.jsonl", "--table", "no_such_table")
    assert done.status == 1
    assert "no_such_table" in done.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the SDK's program wants a newer CPython")
def test_an_unreadable_node_is_named_and_the_others_are_exported(run, full, request, tmp_path):
    columns = {"data": {"type": "BINARY", "base64": "bm9uc2Vuc2U="}, "flags": 2}
    request.getfixturevalue("sdk").put(full.table_name, "broken", columns)
    file = tmp_path / "nodes.jsonl"
    done = run("export", file, "--table", full.table_name, "--json")
    assert done.status == 1
    assert "node 'broken' cannot be decoded and is not in the file: " in done.stderr
    assert "1 nodes cannot be decoded; the file has all others" in done.stderr
    assert done.json()["unreadable"] == ["broken"]
    assert json.loads(file.read_text().splitlines()[-1])["unreadable"] == 1


def test_a_truncated_file_is_noticed_before_anything_is_written(run, full, make_table, tmp_path):
    file = tmp_path / "nodes.jsonl"
    assert run("export", file, "--table", full.table_name).status == 0
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    other = make_table()
    done = run("import", file, "--table", other.table_name)
    assert done.status == 1
    assert f"Error: {file} is not complete: it ends after 3 nodes" in done.stderr
    assert content(other) == []
    # A pipe cannot be read twice: here it is noticed at the end.
    done = run("import", "-", "--table", other.table_name, input=data[: len(data) // 2])
    assert done.status == 1
    assert "stdin is not complete: it ends after 3 nodes" in done.stderr
    assert content(other) == NODES[:3] or content(other) == []


def test_nothing_newer_is_overwritten(run, full, make_table, tmp_path):
    file = tmp_path / "nodes.jsonl"
    assert run("export", file, "--table", full.table_name).status == 0
    other = make_table()
    newer, older = (
        ImportedNode(NODES[0].id, b"{}", NOW),
        ImportedNode("e-g-f:1", b"{}", NOW - 99 * DAY),
    )
    other.import_many([newer, older])
    done = run("import", file, "--table", other.table_name, "--only-missing", "--json")
    assert done.json() == {"exists": 2, "written": 2}
    done = run("import", file, "--table", other.table_name, "--json")
    assert done.json() == {"newer": 1, "written": 1, "same": 2}
    assert content(other) == [newer, *NODES[1:]]


def test_what_has_expired_is_not_imported(run, full, make_table, tmp_path, options_file):
    file = tmp_path / "nodes.jsonl"
    assert run("export", file, "--table", full.table_name).status == 0
    other = make_table()
    brief = options_file(default_ttl="31d", table=other.table_name)
    done = run("--options", brief, "import", file, "--json")
    assert done.status == 0, done.stderr
    assert done.json() == {"written": 2, "expired": 2}
    assert content(other) == NODES[:2]


@pytest.mark.parametrize("text", [b"", b"hello\n", b"\x1f\x8bnonsense", b"{}\n"])
def test_no_exported_file(run, text, tmp_path):
    file = tmp_path / "nodes.jsonl"
    file.write_bytes(text)
    done = run("import", file)
    assert done.status == 1
    assert done.stderr.startswith(f"Error: {file} ")
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there(run, tmp_path):
    done = run("import", tmp_path / "nodes.jsonl")
    assert done.status == 2
    assert "does not exist" in done.stderr


def test_a_failing_write_fails_the_import_which_can_be_repeated(
    run, server, full, make_table, tmp_path
):
    file = tmp_path / "nodes.jsonl"
    assert run("export", file, "--table", full.table_name).status == 0
    other = make_table()
    rules = [
        {"operation": operation, "code": "OTSNoPermissionAccess", "count": -1}
        for operation in ("BatchWriteRow", "PutRow", "UpdateRow")
    ]
    with server.failing(*rules):
        done = run("import", file, "--table", other.table_name)
    assert done.status == 1
    assert "OTSNoPermissionAccess" in done.stderr
    assert run("import", file, "--table", other.table_name).status == 0
    assert content(other) == NODES


def test_a_service_that_is_away_is_no_matter_of_the_file(run, full, tmp_path, monkeypatch):
    """Connection errors are OSErrors, too."""
    monkeypatch.setattr("sentry_tablestore.migration.patience.time.sleep", lambda seconds: None)
    file = tmp_path / "nodes.jsonl"
    assert run("export", file, "--table", full.table_name).status == 0
    for arguments in (("import", file), ("export", tmp_path / "more.jsonl")):
        done = run(*arguments, "--end-point", "http://127.0.0.1:9", "--timeout", "0.05")
        assert done.status == 1
        assert "check end_point" in done.stderr, done.stderr
        assert "None" not in done.stderr
    assert not [name for name in os.listdir(str(tmp_path)) if name.startswith("more")]


def test_an_import_needs_a_file_that_can_be_read_twice(run, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(str(pipe))
    writer = os.open(str(pipe), os.O_RDWR)  # so that opening it to read does not wait
    try:
        done = run("import", pipe)
    finally:
        os.close(writer)
    assert (done.status, 'cannot be read twice: give "-"' in done.stderr) == (2, True)


def test_an_export_waits_while_it_is_asked_to_slow_down(run, server, full, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(
        "sentry_tablestore.migration.patience.time.sleep",
        lambda seconds: pauses.append(seconds) or server.heal(),
    )
    monkeypatch.setattr("sentry_tablestore.migration.export._SCANNED", 2)
    file = tmp_path / "nodes.jsonl"
    busy = {"operation": "GetRange", "code": "OTSServerBusy", "skip": 1, "count": -1}
    with server.failing(busy):
        done = run("export", file, "--table", full.table_name, "--timeout", "2")
    assert done.status == 0, done.stderr
    assert pauses == [1]
    told = [json.loads(line).get("id") for line in file.read_text().splitlines()]
    assert {node.id for node in NODES} <= set(told)


@pytest.mark.parametrize("since", ["9999999d", "99999999999999d"])
def test_a_moment_before_all_years(run, full, tmp_path, since):
    done = run("export", tmp_path / "x", "--since", since, "--table", full.table_name)
    assert (done.status, "longer ago than any year" in done.stderr) == (2, True)


def test_an_import_waits_while_it_is_asked_to_slow_down(
    run, server, full, make_table, tmp_path, monkeypatch
):
    file = tmp_path / "nodes.jsonl"
    assert run("export", file, "--table", full.table_name).status == 0
    other = make_table()
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            server.heal()

    monkeypatch.setattr("sentry_tablestore.migration.patience.time.sleep", sleep)
    with server.failing({"operation": "BatchWriteRow", "code": "OTSServerBusy", "count": -1}):
        done = run("import", file, "--table", other.table_name, "--timeout", "0.2")
    assert done.status == 0, done.stderr
    assert pauses == [1, 2]
    assert content(other) == NODES
