"""`get`, `put` and `delete`, and `destroy`."""

import hashlib
import json
import subprocess
import sys
import time
from datetime import timedelta

import pytest


@pytest.fixture
def key(new_id):
    return new_id()


def test_get_prints_the_payload(run, store, key):
    store.set(key, b'{"a":1}\nextra\n[2]')
    assert run("get", key).stdout == '{"a":1}\n'


def test_get_a_subkey(run, store, key):
    store.set(key, b'{"a":1}\nextra\n[2]\nmore\n[3]')
    assert run("get", key, "--subkey", "more").stdout == "[3]\n"
    missing = run("get", key, "--subkey", "other")
    assert missing.status == 1
    assert "it has: extra, more" in missing.stderr


def test_get_raw(run, store, key):
    store.set(key, b'{"a":1}\nextra\n[2]')
    assert run("get", key, "--raw").stdout == '{"a":1}\nextra\n[2]'


def test_get_an_event_by_its_own_id(run, store, key):
    event = hashlib.md5(key.encode("ascii")).hexdigest()
    node = hashlib.md5(("7:" + event).encode("ascii")).hexdigest()
    store.set(node, b'{"a":1}')
    dashed = "-".join((event[:8], event[8:12], event[12:16], event[16:20], event[20:])).upper()
    assert run("get", "--project", "7", event).stdout == '{"a":1}\n'
    assert run("get", "--project", "7", dashed).stdout == '{"a":1}\n'


def test_get_a_missing_node(run, table, key):
    done = run("get", key)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == f"Error: there is no node '{key}' in table '{table}'\n"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"\x80\x02}q\x00.", "a pickle of an old Sentry"),
        (b"hello", "something else"),
        (b'{"a":1}\nextra', "last subkey has no value"),
    ],
)
def test_get_what_is_no_json(run, store, key, value, said):
    store.set(key, value)
    done = run("get", key)
    assert done.status == 1
    assert said in done.stderr


def test_put_writes_as_sentry_does(run, store, key):
    done = run("put", key, input='{ "b": "é",\n "a": [1, 2] }\n')
    assert done.status == 0, done.stderr
    assert store.get(key) == b'{"a":[1,2],"b":"\\u00e9"}'


def test_put_a_file(run, store, key, tmp_path):
    file = tmp_path / "event.json"
    file.write_text('{"a": 1}')
    assert run("put", key, file).status == 0
    assert store.get(key) == b'{"a":1}'


def test_put_replaces_nothing_unless_forced(run, store, key):
    store.set(key, b'{"a":1}')
    refused = run("put", key, input='{"a":2}')
    assert refused.status == 1
    assert "--force" in refused.stderr
    assert store.get(key) == b'{"a":1}'
    assert run("put", key, "--force", input='{"a":2}').status == 0
    assert store.get(key) == b'{"a":2}'


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "\xff"])
def test_put_takes_json_only(run, store, key, text):
    done = run("put", key, input=text.encode("latin-1"))
    assert done.status == 1
    assert "no JSON" in done.stderr
    assert store.get(key) is None


DEEP = "[" * 100000 + "]" * 100000


def test_json_that_is_nested_too_deeply(run, store, key):
    done = run("put", key, input=DEEP)
    assert (done.status, store.get(key)) == (1, None)
    assert "nested too deeply" in done.stderr
    assert run("put", key, "--raw", input=DEEP).status == 0
    for more in ([], ["--json"]):
        done = run("get", key, *more)
        assert (done.status, done.stdout) == (1, "")
        assert f"node '{key}' holds JSON that is nested too deeply" in done.stderr
    assert run("get", key, "--raw").stdout == DEEP
    # One level after the other, until Python can read no more.
    for deep in range(900, 1000):
        store.set(key, b"[" * deep + b"]" * deep)
        done = run("get", key, "--json")
        assert done.status == 0 or "nested too deeply" in done.stderr


def test_put_raw(run, store, key):
    value = b"\x80\x00\nanything"
    assert run("put", key, "--raw", input=value).status == 0
    assert store.get(key) == value


def test_put_a_subkey(run, store, key):
    store.set(key, b'{"a":1}\nold\n[0]')
    assert run("put", key, "--subkey", "new", input="[ 1 ]").status == 0
    assert store.get(key) == b'{"a":1}\nold\n[0]\nnew\n[1]'
    assert run("put", key, "--subkey", "old", input="[2]").status == 1
    assert run("put", key, "--subkey", "old", "--force", input="[2]").status == 0
    assert store.get(key) == b'{"a":1}\nold\n[2]\nnew\n[1]'


def test_a_subkey_leaves_a_node_its_time(run, store, key):
    store.set(key, b"{}", timedelta(days=14))
    (before,) = store.scan_many([key])
    assert run("put", key, "--subkey", "new", input="[1]").status == 0
    (after,) = store.scan_many([key])
    assert abs(after.expires - before.expires) < 2000
    assert store.get(key) == b"{}\nnew\n[1]"


def test_put_a_subkey_of_nothing(run, store, key):
    assert run("put", key, "--subkey", "new", input="[1]").status == 1
    assert store.get(key) is None


@pytest.mark.skipif(sys.version_info < (3, 9), reason="the SDK's program needs a newer CPython")
def test_put_with_a_ttl(run, sdk, table, store, key):
    assert run("put", key, "--ttl", "1h", input="{}").status == 0
    left = sdk.get(table, key)["expires"] / 1000 - time.time()
    assert 3500 < left <= 3600
    assert "--ttl must be a number with its unit" in run("put", key, "--ttl", "1").stderr


@pytest.mark.parametrize("ttl", ["0s", "0.0001s", "99999999999999w", "forever"])
def test_put_with_a_ttl_that_is_none(run, store, key, ttl):
    done = run("put", key, "--ttl", ttl, input="{}")
    assert done.status in (1, 2)
    assert "--ttl must be " in done.stderr
    assert store.get(key) is None


def test_put_replaces_nothing_else_than_what_it_is_told(run, store, key):
    """A subkey that is no line would be read as several."""
    store.set(key, b'{"a":1}')
    for subkey in ("", "two\nlines"):
        assert run("put", key, "--subkey", subkey, input="[1]").status == 2
    assert store.get(key) == b'{"a":1}'


def test_delete_ids_that_are_no_text(run):
    done = run("delete", "--ids", "-", input=b"\xff\xfe\n")
    assert done.status == 1
    assert "something else than text" in done.stderr


def test_delete(run, store, new_id):
    ids = [new_id() for _ in range(4)]
    store.set_many({id: b"{}" for id in ids})
    done = run("delete", ids[0], "never-there")
    assert (done.status, done.stderr) == (0, "Deleted 2 nodes.\n")
    assert [store.get(id) for id in ids] == [None, b"{}", b"{}", b"{}"]
    assert run("delete", "--ids", "-", input=f"{ids[1]}\n\n {ids[2]}\n").status == 0
    assert [store.get(id) for id in ids] == [None, None, None, b"{}"]


def test_delete_nothing_is_a_mistake(run):
    assert run("delete").status == 2


def test_a_failed_delete_is_an_error(run, server, store, key):
    store.set(key, b"{}")
    with server.failing({"code": "OTSNoPermissionAccess", "count": -1}):
        done = run("delete", key)
    assert done.status == 1
    assert "OTSNoPermissionAccess" in done.stderr
    assert store.get(key) == b"{}"


def test_an_error_is_said_once(options_file):
    arguments = ["--options", options_file(table="not_there"), "get", "x"]
    program = "import sys; sys.path[:0] = %r\nfrom sentry_tablestore.cli.main import main\nmain(%r)"
    done = subprocess.run(
        [sys.executable, "-c", program % (sys.path, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("sentry upgrade --with-nodestore") == 1, done.stderr


def test_destroy_wants_the_tables_name(bare, options_file, make_store):
    store = make_store(table="to_be_destroyed")
    store.bootstrap(automatic_expiry=False)
    store.set("x", b"1")
    path = options_file(table="to_be_destroyed")
    assert bare("--options", path, "destroy").status == 2
    wrong = bare("--options", path, "destroy", "--yes-destroy", "another")
    assert wrong.status == 1
    assert "nothing was done" in wrong.stderr
    assert store.get("x") == b"1"
    assert bare("--options", path, "destroy", "--yes-destroy", "to_be_destroyed").status == 0
    gone = bare("--options", path, "get", "x")
    assert "OTSParameterInvalid" in gone.stderr or "OTSObjectNotExist" in gone.stderr


def test_json_of_a_node_is_what_jq_would_read(run, store, key):
    store.set(key, json.dumps({"message": "line\nline"}).encode("ascii"))
    assert json.loads(run("get", key).stdout) == {"message": "line\nline"}


def test_get_as_an_object(run, store, key):
    store.set(key, b'{"a":"\xc3\xa9"}\nextra\n[2]')
    done = run("get", key, "--json")
    assert done.json() == {"id": key, "bytes": 20, "node": {"a": "é"}, "subkeys": {"extra": [2]}}
    assert run("get", key, "--json", "--raw").status == 2
    assert run("get", key, "--json", "--subkey", "extra").status == 2


def test_get_a_missing_node_as_an_object_is_an_error_all_the_same(run, key):
    done = run("get", key, "--json")
    assert (done.status, done.stdout) == (1, "")
    assert "there is no node" in done.stderr


def test_what_was_put_and_deleted_as_an_object(run, table, store, key):
    done = run("put", key, "--json", input='{"a": 1}')
    assert (done.json(), done.stderr) == ({"table": table, "id": key, "bytes": 7}, "")
    assert store.get(key) == b'{"a":1}'
    done = run("delete", key, "--json")
    assert (done.json(), done.stderr) == ({"table": table, "deleted": 1}, "")
    assert store.get(key) is None


def test_what_was_destroyed_as_an_object(bare, options_file, make_store):
    make_store(table="destroyed_in_json").bootstrap(automatic_expiry=False)
    path = options_file(table="destroyed_in_json")
    done = bare("--options", path, "destroy", "--yes-destroy", "destroyed_in_json", "--json")
    assert done.json() == {"table": "destroyed_in_json", "result": "destroyed"}
    assert bare("--options", path, "get", "x").status == 1
