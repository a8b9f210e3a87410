"""`sentry-tablestore verify`, with another table as the source."""

import json
import os
import stat
import time
import uuid

import pytest
from sentry_tablestore.kvstore.imported import ImportedNode

NOW = int(time.time() * 1000)
CLASS = "sentry_tablestore.nodestore.backend.TablestoreNodeStorage"
NODES = [
    ImportedNode(f"{n:02x}{uuid.uuid4().hex[:20]}", b'{"n":%d}' % n, NOW - n * 1000)
    for n in range(0, 250, 5)
]


@pytest.fixture
def old(make_table):
    """The table that is the source."""
    store = make_table(compression="zlib")
    store.import_many(NODES)
    return store


@pytest.fixture
def new(make_table):
    """The table that is compared with it."""
    store = make_table(compression="zstd")
    store.import_many(NODES)
    return store


def test_findings_and_options_are_for_their_owner(verify, server, old, new, run, tmp_path):
    """Findings name nodes, and options hold a key: not on a command line, where all see it."""
    new.delete(NODES[0].id)
    planted, file = tmp_path / "planted", tmp_path / "findings"
    planted.write_text("as it was")
    file.symlink_to(planted)
    options = tmp_path / "source.json"
    options.write_text(json.dumps(server.client_options(table=old.table_name)))
    done = run(
        "verify", "--source", CLASS, "--source-options", f"@{options}", "--table", new.table_name,
        "--findings", file
    )  # fmt: skip
    assert done.status == 1
    assert NODES[0].id in file.read_text()
    assert planted.read_text() == "as it was"
    assert stat.S_IMODE(os.lstat(str(file)).st_mode) == 0o600
    piped = run(
        "verify", "--source", CLASS, "--source-options", f"@{options}", "--table", new.table_name,
        "--findings", "-"
    )  # fmt: skip
    assert NODES[0].id in piped.stdout
    done = run(
        "verify", "--source", CLASS, "--source-options", f"@{options}", "--findings", "/dev/null"
    )
    assert (done.status, 'is no file: give "-"' in done.stderr) == (1, True)
    assert not os.path.isfile("/dev/null")
    done = run("verify", "--source", CLASS, "--source-options", f"@{tmp_path}/none")
    assert (done.status, "No such file" in done.stderr) == (2, True)


@pytest.fixture
def verify(run, server, old, new):
    """Run the command on the two tables."""
    source = json.dumps(server.client_options(instance="sentry", table=old.table_name))

    def verify(*arguments):
        return run(
            "verify", "--source", CLASS, "--source-options", source, "--table", new.table_name,
            *arguments
        )  # fmt: skip

    return verify


def counts(done):
    told = done.json()
    names = "same", "newer", "expired", "deleted", "repaired", "missing", "different"
    return {name: told[name] for name in names if told[name]}


def test_a_complete_table(verify, old, new):
    done = verify()
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"Compared all of table {old.table_name} of instance sentry, 50 nodes, with table "
        f"{new.table_name} of instance sentry:",
        "  same                 50  as in the source",
        "Complete.",
    ]
    told = verify("--json").json()
    assert (told["complete"], told["nodes"], told["same"], told["findings"]) == (True, 50, 50, [])
    assert told["bytes"] == sum(len(node.value) for node in NODES)


def test_what_is_missing_or_different_is_told_and_repaired(verify, new, tmp_path):
    new.delete_many([node.id for node in NODES[:25]])
    new.delete(NODES[30].id)
    new.import_many([ImportedNode(NODES[30].id, b"{}", NODES[30].written)])
    new.set(NODES[40].id, b'{"by":"sentry"}')
    file = tmp_path / "findings"
    done = verify("--findings", file)
    assert done.status == 1
    assert "  missing              25  not in the table" in done.stdout
    assert "  different             1  with another payload in the table" in done.stdout
    assert done.stdout.endswith("Not complete.\n")
    assert done.stderr.count("missing '") + done.stderr.count("different '") == 20
    assert "… and 6 more: --findings FILE has all" in done.stderr
    findings = [line.split("\t") for line in file.read_text().splitlines()]
    assert sorted(id for id, kind, _ in findings if kind == "missing") == [
        node.id for node in NODES[:25]
    ]
    (detail,) = [detail for _, kind, detail in findings if kind == "different"]
    assert detail.startswith("sha256 ")
    assert counts(verify("--json")) == {"same": 23, "newer": 1, "missing": 25, "different": 1}

    done = verify("--repair", "--json")
    assert done.status == 0
    assert counts(done) == {"same": 23, "newer": 1, "repaired": 26}
    assert counts(verify("--json")) == {"same": 49, "newer": 1}
    assert new.get(NODES[40].id) == b'{"by":"sentry"}'
    (node,), _ = new.scan(NODES[30].id, 1)
    assert node.written == NODES[30].written


def test_a_sample(verify, new):
    new.delete_many([node.id for node in NODES])
    done = verify("--sample", 32, "--json")
    assert done.status == 1
    told = done.json()
    assert told["sample"] == 32
    assert 16 <= told["nodes"] <= 32
    assert told["missing"] == told["nodes"]
    assert len(told["findings"]) == min(20, told["nodes"])
    assert "Compared a sample of " in verify("--sample", 32).stdout


@pytest.mark.parametrize("sample", ["0", "-1", "many", "50001"])
def test_no_sample(verify, sample):
    done = verify("--sample", sample)
    assert done.status == 2
    assert "--sample" in done.stderr


def test_only_some_ids(verify, new, tmp_path):
    file = tmp_path / "ids"
    file.write_text("\n".join(node.id for node in NODES[:3]) + "\nnot-there\n")
    new.delete(NODES[0].id)
    done = verify("--ids", file, "--json")
    assert done.status == 1
    assert counts(done) == {"same": 2, "missing": 1, "deleted": 1}


def test_an_unreachable_source(run, server, new):
    options = server.client_options(end_point="http://127.0.0.1:9", table="t", timeout=0.05)
    done = run(
        "verify", "--source", CLASS, "--source-options", json.dumps(options),
        "--table", new.table_name, "--repair",
    )  # fmt: skip
    assert done.status == 1
    assert done.stderr.startswith("Error: the source: ")
    assert done.stdout == ""


def test_an_unreachable_or_missing_table(verify):
    done = verify("--end-point", "http://127.0.0.1:9", "--timeout", "0.05")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    done = verify("--table", "no_such_table")
    assert (done.status, done.stdout) == (1, "")
    assert "no_such_table" in done.stderr


def test_wrong_sources(run):
    done = run("verify", "--ids", "file")
    assert done.status == 2
    assert "--ids and --source-options are for --source CLASS" in done.stderr
    done = run("verify", "--source", CLASS, "--since", "2026-01-01")
    assert done.status == 2
    assert "--since and --until are for the source django" in done.stderr
    done = run("verify", "--source", CLASS, "--source-options", "[]")
    assert done.status == 2
    assert "--source-options must be a JSON object" in done.stderr


def test_a_source_without_any_node_is_not_complete(verify, old):
    old.delete_many([node.id for node in NODES])
    done = verify()
    assert done.status == 1
    assert done.stdout.splitlines()[-1] == (
        "Nothing was compared: the source has no nodes. Is it the right one?"
    )
    assert verify("--json").json()["complete"] is False
