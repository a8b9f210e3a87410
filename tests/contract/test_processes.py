"""Forks: a Go runtime does not survive one, so every child has an engine of its own."""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import uuid

import forking
import pytest
from sentry_tablestore import loader
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage


@pytest.fixture
def used(store, new_id):
    """A store whose engine this process has used, and the id of a value in it."""
    key = new_id()
    store.set(key, b"from the parent")
    assert store.get(key) == b"from the parent"
    return store, key


def uses(store, key):
    """Use the store as a worker does, and tell which process did."""
    own = "child-" + uuid.uuid4().hex
    for n in range(5):
        assert store.get(key) == b"from the parent"
        store.set(own, b"%d" % n)
        assert store.get(own) == b"%d" % n
    assert dict(store.get_many([key, own])) == {key: b"from the parent", own: b"4"}
    store.delete_many([own])
    assert store.get(own) is None
    return os.getpid()


def test_a_child_of_a_parent_that_used_the_engine(used):
    assert forking.in_child(lambda: uses(*used)) != os.getpid()
    uses(*used)


def test_many_children_at_once(used):
    waits = [forking.start_child(lambda: uses(*used)) for _ in range(6)]
    uses(*used)
    assert len({wait() for wait in waits}) == 6


def test_nested_children(used):
    def nested(depth):
        pids = [uses(*used)]
        if depth:
            pids += forking.in_child(lambda: nested(depth - 1))
            # A process goes on after its child has come and gone.
            uses(*used)
        return pids

    assert len(set(nested(5))) == 6


def test_a_grandchild_of_a_child_that_never_used_the_engine(used):
    assert forking.in_child(lambda: forking.in_child(lambda: uses(*used)))


def test_a_child_of_a_parent_that_never_used_the_engine(make_store, used):
    # The engine is loaded here already: this is about the client of these options.
    store = make_store(max_connection=9)
    assert forking.in_child(lambda: uses(store, used[1]))
    uses(store, used[1])


def test_a_fork_pool_with_respawn(used):
    context = multiprocessing.get_context("fork")
    global _for_workers
    _for_workers = used
    with context.Pool(2, maxtasksperchild=2) as pool:
        pids = pool.map_async(_work, range(8), chunksize=1).get(forking.SECONDS)
    assert len(set(pids)) >= 4


_for_workers = None


def _work(_):
    return uses(*_for_workers)


def _begin(options, table, key):
    """Make the store of a worker that inherits nothing."""
    global _for_workers
    _for_workers = TablestoreKVStorage("sentry", table, options), key


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_pools_of_every_kind(server, used, method):
    store, key = used
    arguments = (server.client_options(), store.table_name, key)
    context = multiprocessing.get_context(method)
    with context.Pool(2, _begin, arguments, maxtasksperchild=3) as pool:
        pids = pool.map_async(_work, range(9), chunksize=1).get(forking.SECONDS)
    assert len(set(pids)) >= 3
    assert os.getpid() not in pids
    uses(*used)


def test_a_store_goes_to_a_worker_only_as_its_options(used):
    """Pickled, it would take the engine's handles or a secret to somewhere else."""
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(used[0])


def test_a_fork_in_a_signal_handler_while_a_call_waits(server, used):
    store, key = used
    children = []

    def fork(number, frame):
        children.append(forking.in_child(lambda: uses(store, key)))

    before = signal.signal(signal.SIGALRM, fork)
    try:
        with server.failing({"operation": "GetRow", "action": "delay", "delay_ms": 400}):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            assert store.get(key) == b"from the parent"
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(children) == 1
    uses(*used)


class HandlerError(BaseException):
    """What a signal handler raises."""


@pytest.mark.parametrize("operation", ["get", "get_many"])  # the caller's thread waits, or Go does
@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
def test_a_child_forked_in_a_signal_handler_that_goes_on_with_the_call(
    server, used, operation, raises
):
    """The call belongs to the parent, and so does the answer that comes on the connection."""
    store, key = used
    parent, children = os.getpid(), []
    reader, writer = os.pipe()

    def fork(number, frame):
        child = os.fork()
        if child:
            children.append(child)
        elif raises:
            raise HandlerError

    def ends():
        with pytest.raises(HandlerError if raises else RuntimeError):
            raise ended
        return uses(store, key)

    ended = AssertionError("the child took its parent's answer")
    before = signal.signal(signal.SIGALRM, fork)
    try:
        with server.failing({"action": "delay", "delay_ms": 400}):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            value = store.get(key) if operation == "get" else dict(store.get_many([key]))[key]
    except BaseException as error:
        if os.getpid() == parent:
            raise
        ended = error
    finally:
        if os.getpid() != parent:
            forking.answer(writer, ends)
        os.close(writer)
        signal.signal(signal.SIGALRM, before)
    assert value == b"from the parent"
    assert [forking.result(child, reader) for child in children] == children


def test_a_fork_from_a_second_thread(used):
    pids = []
    thread = threading.Thread(target=lambda: pids.append(forking.in_child(lambda: uses(*used))))
    thread.start()
    thread.join()
    assert len(pids) == 1


def test_forks_of_a_busy_parent(used):
    store, key = used
    stop, failed = threading.Event(), []

    def busy():
        try:
            while not stop.is_set():
                assert store.get(key) == b"from the parent"
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            forking.in_child(lambda: uses(store, key))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed


def test_threads_of_a_child_share_its_engine(used):
    def child():
        processes, failed = set(), []

        def use():
            try:
                uses(*used)
                processes.add(id(loader.process().native))
            except BaseException as error:  # noqa: BLE001 - shown by the test
                failed.append(error)

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed
        return len(processes)

    assert forking.in_child(child) == 1


def test_a_child_interrupted_by_signals_while_it_loads(used):
    def child():
        heard = []
        signal.signal(
            signal.SIGALRM, lambda number, frame: heard.append(threading.current_thread())
        )
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        for _ in range(20):
            uses(*used)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert set(heard) == {threading.main_thread()}
        return len(heard)

    assert forking.in_child(child) > 5


FORK_WHILE_LOADING = """
import json, os, sys, threading
import forking
from sentry_tablestore import loader
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

store = TablestoreKVStorage("sentry", sys.argv[1], json.loads(sys.argv[2]))
loading, go_on, real = threading.Event(), threading.Event(), loader._import

def slow(path):
    loading.set()
    assert go_on.wait(forking.SECONDS)
    return real(path)

def child():
    loader._import = real
    value = store.get(sys.argv[3])
    with open("/proc/self/maps") as maps:
        return value, loader._file() not in maps.read()

loader._import = slow
thread = threading.Thread(target=store.get, args=("x",))
thread.start()
assert loading.wait(forking.SECONDS)
try:
    # Nobody in the child will ever release the loader's lock, and the library may be half mapped.
    value, private = forking.in_child(child)
finally:
    go_on.set()
    thread.join()
assert value == store.get(sys.argv[3]) == b"from the parent"
assert private, "the child took the copy that its parent was loading"
"""


def test_a_fork_while_another_thread_loads_for_the_first_time(used, server):
    store, key = used
    path = [os.path.dirname(os.path.dirname(os.path.abspath(loader.__file__)))]
    path.append(os.path.dirname(os.path.abspath(forking.__file__)))
    options = json.dumps(server.client_options())
    subprocess.check_call(
        [sys.executable, "-W", "ignore", "-c", FORK_WHILE_LOADING, store.table_name, options, key],
        env=dict(os.environ, PYTHONPATH=":".join(path)),
        timeout=2 * forking.SECONDS,
    )


def test_nested_children_that_close_their_files_as_daemons_do(used):
    """Every copy's memory file then has the number under which its parent's is mapped still."""

    def daemon(depth):
        signal.alarm(forking.SECONDS)  # ends a child that hangs
        os.closerange(3, 1024)
        uses(*used)
        child = os.fork() if depth else None
        if child == 0:
            status = 1
            try:
                daemon(depth - 1)
                status = 0
            finally:
                os._exit(status)
        return child is None or os.waitpid(child, 0)[1] == 0

    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if daemon(3) else 1
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_two_threads_that_are_first_in_a_child_get_one_engine(used):
    def child():
        both, real, got = threading.Barrier(2), loader.Process, []

        def slow(*arguments):
            made = real(*arguments)
            both.wait(forking.SECONDS)
            return made

        loader.Process = slow
        threads = [threading.Thread(target=lambda: got.append(loader.process())) for _ in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(got), len(set(map(id, got)))

    assert forking.in_child(child) == (2, 1)


def test_the_parents_copy_refuses_instead_of_hanging(used):
    native = loader.process().native
    assert not native.is_forked()

    def child():
        assert native.is_forked()
        with pytest.raises(RuntimeError, match="parent"):
            native.get(1, used[1], 30, 30)
        with pytest.raises(RuntimeError, match="parent"):
            native.open(b"{}")
        with pytest.raises(RuntimeError, match="parent"):
            native.close(1)
        uses(*used)
        return loader.process().native is not native

    assert forking.in_child(child)


def test_a_process_id_that_is_given_again(used):
    """A descendant may get the id of the ancestor that loaded the engine: it proves nothing."""

    def child():
        loader._current.pid = os.getpid()
        return uses(*used)

    assert forking.in_child(child)


def test_an_import_behind_the_loaders_back(used):
    """Whoever imports the module itself before a fork does not make a child hang."""

    def child():
        loader._current = loader.Process(os.getpid(), None)
        # An ordinary load finds the parent's copy mapped under this name, and dead.
        return uses(*used)

    assert forking.in_child(child)


def open_files():
    """Name what this process has open."""
    return sorted(
        os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if _exists(fd)
    )


def _exists(fd):
    return os.path.islink("/proc/self/fd/" + fd)


def test_the_private_copy_leaves_no_open_file(used):
    def child():
        before = [name for name in open_files() if "memfd" in name]
        uses(*used)
        after = [name for name in open_files() if "memfd" in name]
        with open("/proc/self/maps") as maps:
            mapped = {line.split(None, 5)[5] for line in maps if "memfd" in line}
        return before, after, bool(mapped)

    before, after, mapped = forking.in_child(child)
    assert before == after == []
    assert mapped


UPGRADED = """
import os, sys
sys.path[:0] = sys.argv[1:3]
import forking, sentry_tablestore
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

store = TablestoreKVStorage("sentry", sys.argv[3], eval(sys.stdin.read()))
if sys.argv[5] == "used":
    store.set(sys.argv[4], b"from the parent")
(library,) = [
    os.path.join(os.path.dirname(sentry_tablestore.__file__), name)
    for name in os.listdir(os.path.dirname(sentry_tablestore.__file__))
    if name.startswith("_native") and name.endswith(".so")
]
for size in (0, os.path.getsize(library) // 2):
    with open(library, "rb") as file:
        part = file.read(size)
    os.unlink(library)
    with open(library, "wb") as file:
        file.write(part)
    forking.in_child(lambda: store.set(sys.argv[4], b"from a child"))
    assert forking.in_child(lambda: store.get(sys.argv[4])) == b"from a child"
"""


@pytest.mark.parametrize("parent", ["used", "not used"])
def test_a_child_while_the_package_is_being_upgraded(server, table, new_id, tmp_path, parent):
    """`pip` takes the old file away and writes another; the child's is the parent's all along."""
    source = os.path.dirname(os.path.abspath(loader.__file__))
    shutil.copytree(source, str(tmp_path / "sentry_tablestore"))
    done = subprocess.run(
        [sys.executable, "-c", UPGRADED, str(tmp_path), os.path.dirname(forking.__file__)]
        + [table, new_id(), parent],
        input=repr(server.client_options()).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=2 * forking.SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("refuses", ["the engine's", "every"])
def test_without_memory_files_there_is_a_temporary_one(used, monkeypatch, tmp_path, refuses):
    def refused(*arguments):
        raise OSError(38, "Function not implemented")

    real = loader.Process._memory_files
    ways = {
        "the engine's": lambda self: [refused] + list(real(self))[1:],
        "every": lambda self: [refused, refused],
    }
    monkeypatch.setattr(loader.Process, "_memory_files", ways[refuses])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert forking.in_child(lambda: uses(*used))
    # It is mapped, and no longer in the folder.
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_cannot_be_made_says_why(used, monkeypatch):
    def refused(*arguments):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(loader.Process, "_memory_files", lambda self: [refused])
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")

    def child():
        with pytest.raises(loader.TablestoreLoadError) as caught:
            used[0].get(used[1])
        return str(caught.value)

    text = forking.in_child(child)
    assert "Function not implemented" in text
    assert "nowhere" in text
