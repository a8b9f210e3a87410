"""`sentry-tablestore` in Sentry's environment: Sentry's settings say which table."""

import json
import os
import uuid

from console import Console
from installation import Installation, Make, Nodestore
from tablestore_local import TablestoreLocal


def test_check_takes_the_options_of_sentrys_settings(sentry: Installation) -> None:
    done = sentry.tablestore("check", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert found["ok"]
    options = found["checks"][0]["message"]
    assert str(sentry.folder) in options
    assert "table nodestore" in options
    assert "zstd" in options


def test_the_settings_can_be_named(sentry: Installation) -> None:
    done = sentry.tablestore("--config", str(sentry.folder), "check", SENTRY_CONF="/not/there")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("All is well.\n")


def test_an_argument_goes_over_the_settings(sentry: Installation) -> None:
    done = sentry.tablestore("get", "x", "--table", "another")
    assert done.returncode == 1
    assert "on table 'another'" in done.stderr
    assert "Traceback" not in done.stderr


def test_bootstrap_finds_what_sentry_upgrade_made(sentry: Installation) -> None:
    done = sentry.tablestore("bootstrap", "--json")
    assert json.loads(done.stdout)["result"] == "unchanged"


def test_get_prints_the_json_of_an_event(sentry: Installation, inside: Console) -> None:
    event = inside.call("events.save", sample="python")

    project = json.loads(event["json"])["project"]

    done = sentry.tablestore("get", "--project", str(project), event["event_id"])

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["event_id"] == event["event_id"]


def test_sentry_reads_what_put_wrote(sentry: Installation, inside: Console) -> None:
    node = uuid.uuid4().hex
    assert sentry.tablestore("put", node, given='{"a": "\u00e9"}').returncode == 0
    assert sentry.tablestore("put", node, "--subkey", "more", given="[1]").returncode == 0
    assert inside.call("nodes.get", node_id=node) == {"a": "\u00e9"}
    assert inside.call("nodes.get", node_id=node, subkey="more") == [1]


def test_what_delete_deleted_is_gone(sentry: Installation, inside: Console) -> None:
    nodes = [uuid.uuid4().hex for _ in range(3)]
    inside.call("nodes.write_many", node_ids=nodes)
    done = sentry.tablestore("delete", "--ids", "-", given="\n".join(nodes[:2]))
    assert done.stderr.splitlines()[-1] == "Deleted 2 nodes."
    assert [data for _, data in inside.call("nodes.get_multi", node_ids=nodes)] == [
        None,
        None,
        {"node": nodes[2]},
    ]


def test_stats_counts_sentrys_events(sentry: Installation, inside: Console) -> None:
    inside.call("events.save", sample="python")
    found = json.loads(sentry.tablestore("stats", "--json").stdout)
    assert found["kinds"]["event"]["nodes"] >= 1
    assert found["undecodable"]["nodes_read"] == 0


def test_wrong_options_are_one_line(install: Make, tablestore: TablestoreLocal) -> None:
    sentry = install(tablestore.nodestore("nodestore", timout=3))
    done = sentry.tablestore("get", "x")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("Error: SENTRY_NODESTORE_OPTIONS: ")
    assert "did you mean 'timeout'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_before_sentry_is_switched_the_options_come_from_a_file(
    install: Make, tablestore: TablestoreLocal, tmp_path: os.PathLike[str]
) -> None:
    sentry = install(Nodestore())
    done = sentry.tablestore("check")
    assert done.returncode == 1
    assert "SENTRY_NODESTORE is sentry.nodestore.django.DjangoNodeStorage" in done.stdout

    path = os.path.join(tmp_path, "options.json")
    with open(path, "w") as file:
        json.dump(tablestore.nodestore("before").options, file)
    assert sentry.tablestore("--options", path, "bootstrap").returncode == 0
    assert sentry.tablestore("--options", path, "check").returncode == 0


def test_broken_settings_are_one_line(sentry: Installation, tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "sentry.conf.py"), "w") as file:
        file.write("from sentry.conf.server import *\nraise ValueError('broken on purpose')\n")
    done = sentry.tablestore("check", SENTRY_CONF=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "broken on purpose" in done.stdout
