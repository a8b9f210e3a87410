"""`stats`: counted, estimated with the error that it tells, and what cannot be decoded."""

import hashlib
import json
import math
import os
import pty
import random
import re
import subprocess
import sys
import time
import uuid

import local_server
import pytest
from sentry_tablestore.cli.survey import count_all, kind_of, sample
from sentry_tablestore.kvstore.imported import ImportedNode

DAY = 86400 * 1000


@pytest.fixture
def nodes(make_store):
    """A table of its own, bootstrapped."""
    stores = []

    def make(**options):
        store = make_store(table="t_" + uuid.uuid4().hex, **options)
        store.bootstrap(automatic_expiry=False)
        stores.append(store)
        return store

    yield make
    stores[0].destroy()


@pytest.fixture
def stats(bare, options_file):
    def run(store, *arguments):
        return bare("--options", options_file(table=store.table_name), "stats", *arguments)

    return run


def md5(number):
    return hashlib.md5(str(number).encode("ascii")).hexdigest()


def test_it_counts_by_kind_day_and_compression(nodes, stats, make_store):
    plain = nodes()
    zlib = make_store(table=plain.table_name, compression="zlib")
    zstd = make_store(table=plain.table_name, compression="zstd")
    today = int(time.time()) * 1000 // DAY * DAY
    value = b'{"a":"' + b"x" * 992 + b'"}'
    plain.import_many([ImportedNode(md5(n), value, today - 2 * DAY) for n in range(5)])
    zlib.import_many([ImportedNode("i-o:" + md5(n), value, today - DAY) for n in range(3)])
    zstd.import_many([ImportedNode("p-i-e:" + md5(n), value, today - DAY) for n in range(2)])
    plain.import_many([ImportedNode("e-g-f:" + md5(1), value, today - DAY)])
    plain.import_many([ImportedNode("0-by-hand", b'{"a":"' + b"y" * 5000 + b'"}', today)])

    found = stats(plain, "--json").json()

    assert found["exact"]
    assert found["total"]["nodes"] == 12
    assert found["total"]["raw"] == 11 * 1000 + 5008
    assert {name: one["nodes"] for name, one in found["kinds"].items()} == {
        "event": 5,
        "i-o:": 3,
        "p-i-e:": 2,
        "e-g-f:": 1,
        "other": 1,
    }
    days = [time.strftime("%Y-%m-%d", time.gmtime((today - n * DAY) / 1000)) for n in (2, 1, 0)]
    assert {name: one["nodes"] for name, one in found["days"].items()} == dict(zip(days, (5, 6, 1)))
    assert {name: one["nodes"] for name, one in found["compressions"].items()} == {
        "none": 7,
        "zlib": 3,
        "zstd": 2,
    }
    assert found["compressions"]["none"]["stored"] == found["compressions"]["none"]["raw"] == 11008
    assert 0 < found["compressions"]["zlib"]["stored"] < 200
    assert found["largest"][0]["id"] == "0-by-hand"
    assert found["largest"][0]["raw"] == 5008
    assert len(found["largest"]) == 10
    assert found["undecodable"] == {"nodes_read": 0, "first": []}
    assert found["oldest"].startswith(days[0])
    assert found["newest"].startswith(days[2])


def test_the_age_of_each_kind(nodes, stats):
    store = nodes()
    day = 1_790_000_000_000 // DAY * DAY  # 2026-09-21
    store.import_many(
        [
            ImportedNode(md5(1), b"{}", day),
            ImportedNode(md5(2), b"{}", day + 2 * DAY),
            ImportedNode(md5(3), b"{}", day + DAY),
            ImportedNode("i-o:" + md5(1), b"{}", day - DAY + 1000),
        ]
    )
    found = stats(store, "--json").json()
    assert {name: (one["oldest"], one["newest"]) for name, one in found["kinds"].items()} == {
        "event": ("2026-09-21T00:00:00Z", "2026-09-23T00:00:00Z"),
        "i-o:": ("2026-09-20T00:00:01Z", "2026-09-20T00:00:01Z"),
    }
    assert (found["oldest"], found["newest"]) == ("2026-09-20T00:00:01Z", "2026-09-23T00:00:00Z")
    lines = stats(store).stdout.splitlines()
    (heading,) = (line for line in lines if line.startswith("kind "))
    assert heading.split()[-2:] == ["oldest", "newest"]
    ages = {line.split()[0]: line.split()[-2:] for line in lines if "(" in line}
    assert ages == {"events": ["2026-09-21", "2026-09-23"], "issue": ["2026-09-20", "2026-09-20"]}


def test_the_text(nodes, stats):
    store = nodes(compression="zstd")
    store.set_many({md5(n): b'{"a":"' + b"x" * 992 + b'"}' for n in range(1200)})
    said = stats(store, "--top", "2").stdout
    assert "holds 1,200 nodes: " in said
    assert "1.2 MB raw." in said
    assert "events (32 hexadecimal digits)  1,200" in said
    assert said.count(" raw  ") == 2 + 3  # two largest nodes, three headings


def test_an_empty_table(nodes, stats):
    store = nodes()
    assert "holds no nodes" in stats(store).stdout
    found = stats(store, "--json", "--sample", "100").json()
    assert found["exact"]
    assert found["total"]["nodes"] == 0


@pytest.mark.skipif(sys.version_info < (3, 9), reason="the SDK's program needs a newer CPython")
def test_nodes_that_cannot_be_decoded(nodes, stats, sdk):
    import tablestore_sdk

    store = nodes()
    store.set(md5(1), b"{}")
    columns = {"data": tablestore_sdk.binary(b"no zlib stream"), "flags": 1}
    sdk.put(store.table_name, md5(2), columns)
    done = stats(store, "--json")
    assert done.status == 0
    found = done.json()
    assert found["total"]["nodes"] == 2
    assert found["undecodable"]["nodes_read"] == 1
    assert found["undecodable"]["first"][0]["id"] == md5(2)
    assert "cannot be decoded, the first:" in stats(store).stdout


def test_a_small_table_is_counted(nodes, stats):
    store = nodes()
    store.set_many({md5(n): b"{}" for n in range(500)})
    found = stats(store, "--sample", "100", "--json").json()
    assert found["exact"]
    assert found["total"]["nodes"] == 500


@pytest.fixture
def large(nodes):
    """12,000 nodes of three kinds, ages and sizes."""
    store = nodes()
    chance = random.Random(1)
    now = int(time.time()) * 1000
    made = []
    for n in range(12000):
        prefix = "" if n % 12 else "i-o:"
        value = b'{"a":"' + b"x" * int(chance.expovariate(1 / 300)) + b'"}'
        made.append(ImportedNode(prefix + md5(n), value, now - chance.randrange(5) * DAY))
    made += [ImportedNode(f"Other-{n}", b"{}", now) for n in range(30)]
    for start in range(0, len(made), 1000):
        store.import_many(made[start : start + 1000])
    return store


def quiet(part, nodes):
    assert 0 <= part <= 1


def test_the_estimate_is_right_as_often_as_it_says(large):
    """Over many samples, the totals lie in their intervals nearly 19 times out of 20."""
    true = count_all(large, 0, quiet)
    right = tries = 0
    errors = []
    for seed in range(40):
        survey = sample(large, 400, 0, random.Random(seed), quiet)
        assert not survey.exact
        assert survey.read < 900
        total, known = survey.of("all")[""], true.of("all")[""]
        errors.append(total.nodes.error / total.nodes.value)
        for group in ("all", "kind", "day"):
            expected = true.of(group)
            for name, amount in survey.of(group).items():
                for estimate, (value, _) in zip(amount, expected[name]):
                    tries += 1
                    right += abs(estimate.value - value) <= estimate.error
        assert survey.of("kind")["other"].nodes == (30, 0)
        assert abs(total.nodes.value - known.nodes.value) < 4 * total.nodes.error
    assert tries > 900
    assert 0.88 < right / tries <= 1.0
    # Neither too sure nor of no use: about 1.96 / sqrt(400) of the events.
    assert 0.5 < (sum(errors) / len(errors)) / (1.96 / math.sqrt(400)) < 2


@pytest.mark.skipif(sys.version_info < (3, 7), reason="click 7 hides it for half a second")
def test_a_bar_where_stderr_is_a_terminal(large, options_file):
    """It begins at nothing, moves on and ends full; stdout has the report alone."""
    screen, terminal = pty.openpty()
    try:
        done = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from sentry_tablestore.cli.main import main; main()",
                "--options",
                options_file(table=large.table_name),
                "stats",
                "--json",
            ],
            env=dict(os.environ, PYTHONPATH=os.path.join(local_server.REPOSITORY, "python")),
            stdout=subprocess.PIPE,
            stderr=terminal,
        )
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(screen, 4096)
            except OSError:  # as Linux says that nobody has the other end open
                break
            if not part:
                break
            shown += part
        report = done.stdout.read()
        assert done.wait() == 0
    finally:
        os.close(screen)
    assert json.loads(report.decode("utf-8"))["total"]["nodes"] == 12030
    percents = [int(found) for found in re.findall(rb"(\d+)%", shown)]
    assert b"Reading  [" in shown
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert len(set(percents)) > 5


def test_a_sample_as_text_and_json(large, stats):
    found = stats(large, "--sample", "1000", "--json").json()
    assert not found["exact"]
    assert found["complete"]
    total = found["total"]
    assert abs(total["nodes"] - 12030) < 4 * total["nodes_error"] < 4000
    said = stats(large, "--sample", "1000").stdout
    assert "±" in said
    assert "holds 19 times out of 20" in said


def test_a_sample_of_most_of_the_table_counts_it(large, stats):
    found = stats(large, "--sample", "9000", "--json").json()
    assert found["exact"]
    assert found["total"]["nodes"] == 12030


@pytest.mark.parametrize(
    ("id", "kind"),
    [
        (md5(1), "event"),
        (md5(1).upper(), "other"),
        (md5(1) + "0", "other"),
        ("i-o:" + md5(1), "i-o:"),
        ("p-i-e:" + md5(1), "p-i-e:"),
        ("e-g-f:" + md5(1), "e-g-f:"),
        ("i-o", "other"),
        ("é", "other"),
    ],
)
def test_kinds(id, kind):
    assert kind_of(id) == kind


def test_a_failure_is_an_error(nodes, stats, server):
    store = nodes()
    with server.failing({"operation": "GetRange", "code": "OTSNoPermissionAccess", "count": -1}):
        done = stats(store)
    assert done.status == 1
    assert done.stdout == ""
    assert "OTSNoPermissionAccess" in done.stderr
    assert json.dumps("Traceback") not in done.stderr


def test_stats_wait_while_they_are_asked_to_slow_down(run, server, make_table, monkeypatch):
    store, pauses = make_table(), []
    store.set_many({f"{n:032x}": b"{}" for n in range(5)})
    monkeypatch.setattr(
        "sentry_tablestore.migration.patience.time.sleep",
        lambda seconds: pauses.append(seconds) or server.heal(),
    )
    busy = {"operation": "GetRange", "code": "OTSServerBusy", "skip": 1, "count": -1}
    with server.failing(busy):
        done = run("stats", "--table", store.table_name, "--timeout", "2", "--json")
    assert done.status == 0, done.stderr
    assert pauses == [1]
    assert done.json()["total"]["nodes"] == 5
    done = run("stats", "--end-point", "http://127.0.0.1:9", "--timeout", "0.05")
    assert (done.status, pauses) == (1, [1])
