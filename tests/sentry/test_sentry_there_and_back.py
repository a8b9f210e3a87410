"""The steps of docs/migration.md in a real Sentry with PostgreSQL: there, and the way back."""

import json
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from installation import Installation, Make, Nodestore
from tablestore_local import TablestoreLocal

DJANGO = "sentry.nodestore.django.DjangoNodeStorage"
SAMPLES = ("python", "javascript", "native", "transaction")
RETENTION = timedelta(days=90)


@pytest.fixture(scope="module")
def sentry(install: Make) -> Installation:
    """A Sentry with its Django nodestore."""
    return install(Nodestore())


def test_there_and_back(sentry: Installation, tablestore: TablestoreLocal, tmp_path: Path) -> None:
    def settings(**options: object) -> Nodestore:
        return tablestore.nodestore("there", default_ttl=RETENTION, compression="zlib", **options)

    # Before: events of today, one of a month ago, one that is too old, and a legacy pickle.
    with sentry.console() as inside:
        before = [inside.call("events.save", sample=sample) for sample in SAMPLES]
        aged, expired, legacy = (uuid.uuid4().hex for _ in range(3))
        inside.call("nodes.write_many", node_ids=[aged, expired])
        inside.call("django_nodes.age", node_ids=[aged], days=30)
        inside.call("django_nodes.age", node_ids=[expired], days=91)
        inside.call("django_nodes.write_pickle", node_id=legacy, data={"legacy": [1, "☃"]})
        written = inside.call("django_nodes.written", node_id=aged)

    # Step 1, with the options in a file, as Sentry's settings still name Django.
    options = dict(settings().options)
    options["default_ttl"] = "90d"
    file = tmp_path / "tablestore.json"
    file.write_text(json.dumps(options))
    done = sentry.tablestore("--options", str(file), "bootstrap")
    assert done.returncode == 0, done.stderr
    # A comparison now finds that all is missing, and says so.
    done = sentry.tablestore("--options", str(file), "verify", "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["missing"] == len(before) + 1
    assert json.loads(done.stdout)["pickle"] == 1

    # Step 3.
    sentry.switch(settings(read_through={"backend": DJANGO, "options": {}}))
    with sentry.console() as inside:
        after = [inside.call("events.save", sample=sample) for sample in SAMPLES]
        rewritten = before[0]["node_id"]
        inside.call("nodes.write", node_id=rewritten, data={"rewritten": 1})

    # Steps 4 and 5.
    done = sentry.tablestore(
        "migrate", "--checkpoint", str(tmp_path / "checkpoint"), "--allow-pickle"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = sentry.tablestore("verify", "--allow-pickle", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["complete"]
    assert (told["newer"], told["expired"]) == (1, 1)
    assert told["same"] == len(before) - 1 + 2
    assert told["nodes"] == len(before) + 3
    done = sentry.tablestore("verify", "--allow-pickle", "--sample", "100", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert 0 < json.loads(done.stdout)["nodes"] <= told["nodes"]

    # Step 6, and what repair is for: nodes that are lost from the table.
    sentry.switch(settings())
    with sentry.console() as inside:
        inside.call("nodes.delete_multi", node_ids=[aged, legacy])
    done = sentry.tablestore("verify", "--allow-pickle", "--repair", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["repaired"] == 2
    with sentry.console() as inside:
        assert inside.call("rows.written", node_id=aged) == written
        assert inside.call("nodes.get", node_id=legacy) == {"legacy": [1, "☃"]}
        assert inside.call("nodes.get", node_id=rewritten) == {"rewritten": 1}
        for event in (*before[1:], *after):
            read = inside.call("events.read", event_id=event["event_id"])
            assert read == json.loads(event["json"])

    # The way back.
    nodes = str(tmp_path / "nodes.jsonl.zst")
    since = (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%Y-%m-%d")
    done = sentry.tablestore("export", "--since", since, nodes)
    assert done.returncode == 0, done.stderr
    sentry.switch(Nodestore())
    with sentry.console() as inside:
        ids = [event["node_id"] for event in after]
        assert inside.call("django_nodes.present", node_ids=ids) == []
    done = sentry.tablestore("import", "--to-django", nodes, "--json")
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    # Those after the switch, and the one that was written anew.
    assert outcomes["written"] == len(after) + 1
    assert outcomes["same"] >= len(before) - 1
    with sentry.console() as inside:
        for event in (*before[1:], *after):
            read = inside.call("events.read", event_id=event["event_id"])
            assert read == json.loads(event["json"])
        assert inside.call("nodes.get", node_id=rewritten) == {"rewritten": 1}
        assert inside.call("django_nodes.written", node_id=aged) == written
        # A newer row of PostgreSQL stays.
        inside.call("nodes.write", node_id=ids[0], data={"newer": 1})
    done = sentry.tablestore("import", "--to-django", nodes, "--json")
    assert json.loads(done.stdout)["newer"] == 1
    assert "written" not in json.loads(done.stdout)
    done = sentry.tablestore("import", "--to-django", "--only-missing", nodes, "--json")
    assert list(json.loads(done.stdout)) == ["exists"]
    with sentry.console() as inside:
        assert inside.call("nodes.get", node_id=ids[0]) == {"newer": 1}


def test_a_database_that_fails_is_told_in_a_line(
    sentry: Installation, tablestore: TablestoreLocal, tmp_path: Path
) -> None:
    sentry.switch(tablestore.nodestore("there"))
    with sentry.console() as inside:
        inside.call("nodes.bootstrap")
        inside.call("nodes.write", node_id="x" * 41, data={})
    nodes = str(tmp_path / "nodes.jsonl")
    assert sentry.tablestore("export", nodes).returncode == 0
    done = sentry.tablestore("import", "--to-django", nodes)
    assert done.returncode == 1
    assert "Error: Sentry's nodestore_node: value too long for type" in done.stderr
    assert "INSERT" not in done.stderr
    done = sentry.tablestore("verify", "--source-table", "no_such_table")
    assert done.returncode == 1
    assert "no_such_table" in done.stderr
    done = sentry.tablestore("verify", "--database", "another")
    assert done.returncode == 1
    assert "DATABASES has no 'another'" in done.stderr
    assert "Traceback" not in done.stderr
