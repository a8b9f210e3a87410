"""The RAM policies in docs/policies allow what each role does, and nothing else."""

import json
import logging
import os
import re
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from click.testing import CliRunner
from pages import REPOSITORY, blocks
from sentry_tablestore.cli.main import main
from sentry_tablestore.kvstore.imported import ImportedNode
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

POLICIES = REPOSITORY / "docs" / "policies"
LARGE = 5 << 20  # split over the columns of a row


@pytest.fixture
def sent(caplog):
    """Give the operations that were sent since the last time."""
    caplog.set_level(logging.DEBUG, logger="tablestore-client")

    def take():
        operations = {
            record.getMessage().split()[0]
            for record in caplog.records
            if record.name == "tablestore-client"
        }
        caplog.clear()
        return operations

    return take


def allowed(name):
    policy = json.loads((POLICIES / name).read_text(encoding="utf-8"))
    (statement,) = policy["Statement"]
    assert statement["Effect"] == "Allow"
    actions = statement["Action"]
    assert len(set(actions)) == len(actions)
    assert all(re.fullmatch(r"ots:[A-Z][A-Za-z]+", action) for action in actions)
    return {action[len("ots:") :] for action in actions}


def _use(store, new_id):
    """Do everything that Sentry does, but for its cleanup."""
    small, large, *several = (new_id() for _ in range(5))
    store.set(small, b"{}")
    store.set(large, bytes(LARGE))
    store.set_many(dict.fromkeys(several, b"{}"))
    assert store.get(small) == b"{}"
    assert len(store.get(large)) == LARGE
    assert len(list(store.get_many([small, large, *several]))) == 5
    store.delete(small)
    store.delete_many([large, *several])


def test_running_sentry(make_store, new_id, sent):
    store = make_store()
    sent()
    _use(store, new_id)

    assert sent() == allowed("run.json")


def test_running_sentry_that_cleans_up_itself(make_store, new_id, sent):
    store = make_store()
    sent()
    _use(store, new_id)
    store.cleanup(datetime(1971, 1, 1, tzinfo=timezone.utc))

    assert sent() == allowed("run-with-cleanup.json")


def test_bootstrap(server, new_id, sent):
    name = "b_" + new_id().replace("-", "_")
    for ttl in (None, timedelta(days=30)):
        store = TablestoreKVStorage("sentry", name, server.client_options(), default_ttl=ttl)
        store.bootstrap(automatic_expiry=ttl is not None)

    assert sent() == allowed("bootstrap.json")


def test_moving_and_looking(make_store, new_id, sent):
    old, new = 1_700_000_000_000, 1_750_000_000_000
    store = make_store(compression="zstd")
    sent()
    one, large, other = new_id(), new_id(), new_id()
    noise = os.urandom(LARGE)
    for written in (old, new):  # the second finds the first, which is older
        store.import_many([ImportedNode(one, b"{}", written), ImportedNode(large, noise, written)])
    store.import_many([ImportedNode(other, b"{}", old)])
    store.discard_many([other], [old])
    start = ""
    while start is not None:
        _, start = store.scan(start, values=True)
    assert len(store.get(one)) == 2
    assert list(store.get_many([one]))
    store.describe()
    store.cleanup(datetime(2025, 12, 1, tzinfo=timezone.utc))

    assert sent() == allowed("move-and-look.json")


def test_commands_that_move_need_what_their_help_says(server, make_store, caplog, tmp_path):
    stores = [make_store(table="t_" + uuid.uuid4().hex, compression="zstd") for _ in range(2)]
    for store in stores:
        store.bootstrap(automatic_expiry=False)
    noise = os.urandom(LARGE)
    # In the source a row is newer than in the target, so that all kinds of requests are needed.
    for store, written in zip(stores, (1_750_000_000_000, 1_700_000_000_000)):
        nodes = [ImportedNode("one", b"{}", written), ImportedNode("large", noise, written)]
        assert store.import_many(nodes) == ["written"] * 2

    def done(store, logger, *arguments):
        options = tmp_path / (logger + ".json")
        parameters = {"table": store.table_name, "logger_name": logger}
        options.write_text(json.dumps(server.client_options(**parameters)))
        caplog.clear()
        for name in ("old-table", "new-table"):
            caplog.set_level(logging.DEBUG, logger=name)
        done = CliRunner().invoke(main, ["--options", str(options), *arguments])
        assert done.exit_code == 0, done.output
        records = [record for record in caplog.records if record.name.endswith("-table")]
        return [
            {record.getMessage().split()[0] for record in records if record.name == name}
            for name in ("old-table", "new-table")
        ]

    old, new = stores
    nodes = str(tmp_path / "nodes.jsonl")
    assert done(old, "old-table", "export", nodes)[0] == _named("export")
    assert done(new, "new-table", "import", nodes)[1] == _named("import")
    for store, written in ((old, 1_755_000_000_000), (old, 1_760_000_000_000)):
        store.import_many(
            [ImportedNode("one", b"{}", written), ImportedNode("large", noise, written)]
        )
    source = server.client_options(table=old.table_name, logger_name="old-table")
    from_table = ["--source", "sentry_tablestore.nodestore.backend.TablestoreNodeStorage"]
    from_table += ["--source-options", json.dumps(source)]
    checkpoint = ["--checkpoint", str(tmp_path / "checkpoint")]
    read, written = done(new, "new-table", "migrate", *from_table, *checkpoint)
    assert written == _named("migrate", 0)
    assert read == _named("migrate", 1)
    read, compared = done(new, "new-table", "verify", *from_table)
    assert compared <= _named("verify", 0)
    for store in stores:
        store.destroy()


def _named(command, clause=0):
    """Give the operations that a command's help names, in one clause of its sentence."""
    said = CliRunner().invoke(main, [command, "--help"]).output.partition("Needs")[2]
    return set(re.findall(r"ots:([A-Z][A-Za-z]+)", said.split(";")[clause]))


def test_check(server, table, sent, tmp_path):
    options = tmp_path / "options.json"
    options.write_text(json.dumps(server.client_options(table=table)))
    done = CliRunner().invoke(main, ["--options", str(options), "check", "--large"])

    assert done.exit_code == 0, done.output
    assert sent() == allowed("check.json")


def test_check_with_sentrys_own_rights_fails_where_the_guides_say(server, table, tmp_path):
    lacking = allowed("check.json") - allowed("run.json")
    options = tmp_path / "options.json"
    options.write_text(json.dumps(server.client_options(table=table)))
    rules = [{"operation": name, "code": "OTSNoPermissionAccess", "count": -1} for name in lacking]
    with server.failing(*rules):
        done = CliRunner().invoke(main, ["--options", str(options), "check", "--large", "--json"])

    assert done.exit_code == 1
    checks = json.loads(done.output)["checks"]
    failed = [one["name"] for one in checks if one["status"] == "failed"]
    assert failed == ["DescribeTable", "GetRange"]
    for page in ("self-hosted", "kubernetes", "tablestore"):
        text = (POLICIES.parent / f"{page}.md").read_text(encoding="utf-8")
        assert "`DescribeTable` and `GetRange`" in text


def test_the_one_that_the_guide_shows_is_the_file():
    (shown,) = (block for block in blocks("json") if "ots:GetRow" in block.text)
    assert json.loads(shown.text) == json.loads((POLICIES / "run.json").read_text(encoding="utf-8"))


def test_resources_are_one_table():
    paths = sorted(POLICIES.glob("*.json"))
    assert len(paths) == 5
    for path in paths:
        (statement,) = json.loads(path.read_text(encoding="utf-8"))["Statement"]
        assert statement["Resource"] == "acs:ots:REGION:ACCOUNT:instance/INSTANCE/table/nodestore"
