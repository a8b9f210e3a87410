"""`sentry_tablestore.testing`, as tests of other projects use it."""

import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sentry_tablestore import testing
from sentry_tablestore.errors import TablestoreUnavailableError
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
from sentry_tablestore.testing import LocalServer, find_program, serving

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = str(ROOT / "build" / "tablestore-local")

pytest_plugins = ["pytester"]


@pytest.fixture
def server():
    with serving(PROGRAM) as running:
        yield running


def store_in(server):
    store = TablestoreKVStorage(
        server.instance, "nodes", server.client_options(), timedelta(days=30)
    )
    store.bootstrap(automatic_expiry=True)
    return store


def connected(server):
    """Connect to it; the connection ends when it does."""
    address = urlsplit(server.end_point)
    return socket.create_connection((address.hostname, address.port))


def wait_for_end_of(connection):
    with connection:
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass  # the server had not accepted it yet


def test_a_store_in_it(server):
    store = store_in(server)
    store.set("a", b"1")
    assert store.get("a") == b"1"


def test_options_of_a_nodestore():
    server = LocalServer("http://127.0.0.1:1", "test", "id", "secret")
    assert server.options(table="nodes", access_key_secret="wrong") == {
        "end_point": "http://127.0.0.1:1",
        "instance": "test",
        "table": "nodes",
        "access_key_id": "id",
        "access_key_secret": "wrong",
    }


def test_it_fails_as_told_and_heals(server):
    store = store_in(server)
    hasty = TablestoreKVStorage(server.instance, "nodes", server.client_options(timeout=0.2))
    store.set("a", b"1")
    server.fail(operation="GetRow", code="OTSServerBusy", count=-1)
    with pytest.raises(TablestoreUnavailableError):
        hasty.get("a")
    assert server.hits()[0] > 0
    server.heal()
    assert store.get("a") == b"1"
    assert server.hits() == []
    with server.failing({"code": "OTSServerBusy"}, {"operation": "GetRow", "delay_ms": 1}):
        assert store.get("a") == b"1"
        assert server.hits() == [1, 1]
    assert server.hits() == []


def test_a_rule_that_means_nothing_is_refused(server):
    with pytest.raises(ValueError, match="unknown action"):
        server.fail(action="explode")
    with pytest.raises(TypeError):
        server.fail({"code": "OTSServerBusy"}, code="OTSServerBusy")
    with pytest.raises(TypeError):
        server.fail()


def test_time_goes_by_when_told(server):
    store = store_in(server)
    store.set("a", b"1")
    server.advance(timedelta(days=29))
    assert store.get("a") == b"1"
    server.advance(timedelta(days=2))
    assert store.get("a") is None
    server.advance(-timedelta(days=60))
    store.set("b", b"2")
    server.advance(timedelta(days=31))
    assert store.get("b") is None


def test_each_has_its_own_instance_keys_and_rows():
    with serving(PROGRAM, "one", "id1", "secret1") as one, serving(PROGRAM) as two:
        store_in(one).set("a", b"1")
        assert store_in(two).get("a") is None
        assert one.options()["instance"] == "one"
        assert one.access_key_id == "id1"


def test_it_is_gone_after_the_block():
    with serving(PROGRAM) as server:
        connection = connected(server)
        # Not even an answer that takes its time holds it up.
        server.fail(operation="ListTable", delay_ms=600000)
    wait_for_end_of(connection)


def test_it_is_gone_after_the_block_though_a_fork_lives():
    ready, done = os.pipe(), os.pipe()
    with serving(PROGRAM) as server:
        connection = connected(server)
        child = os.fork()
        if child == 0:
            os.close(done[1])
            connection.close()
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
    wait_for_end_of(connection)
    for end in done[::-1] + ready:
        os.close(end)
    os.waitpid(child, 0)


def test_it_is_gone_with_a_process_that_was_killed():
    program = (
        "import sys; from sentry_tablestore.testing import serving\n"
        "with serving(sys.argv[1]) as server:\n"
        "    print(server.end_point, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    tests = subprocess.Popen(
        [sys.executable, "-c", program, PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=str(ROOT / "python")),
    )
    end_point = tests.stdout.readline().decode().strip()
    connection = connected(LocalServer(end_point, "", "", ""))
    tests.send_signal(signal.SIGKILL)
    wait_for_end_of(connection)
    tests.communicate()


def test_what_is_wrong_is_said(tmp_path, monkeypatch):
    wrong = serving(PROGRAM, arguments=["--nonsense"])
    with pytest.raises(RuntimeError, match="flag provided but not defined: -nonsense"), wrong:
        pass
    wrong = serving(str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere is not a program"), wrong:
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(testing.sysconfig, "get_path", lambda *_: str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(FileNotFoundError, match=r"neither in .* nor on PATH"):
        find_program()
    (tmp_path / "tablestore-local").symlink_to(PROGRAM)
    assert find_program() == str(tmp_path / "tablestore-local")


def test_importing_it_needs_no_pytest():
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "from sentry_tablestore import testing\n"
        "assert not hasattr(testing, 'tablestore_local')\n"
        "with testing.serving(sys.argv[1]) as server: print(server.end_point)\n"
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    command = [sys.executable, "-c", program, PROGRAM]
    assert subprocess.check_output(command, env=environment).startswith(b"http://127.0.0.1:")


def test_the_fixture_in_another_project(pytester, monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(PROGRAM), prepend=os.pathsep)
    pytester.makeconftest(
        f"""
        import sys
        sys.path.insert(0, {str(ROOT / "python")!r})
        from sentry_tablestore.testing import tablestore_local
        """
    )
    pytester.makepyfile(
        """
        def test_one(tablestore_local, request):
            request.config.seen = tablestore_local.end_point
            tablestore_local.fail(code="OTSServerBusy")

        def test_another(tablestore_local, request):
            assert tablestore_local.hits() == []
        """
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=2)
