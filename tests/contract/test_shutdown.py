"""The end of a process: calls in flight neither hold it up nor bring it down."""

import time

import pytest
import scripts

LIMIT = 5  # seconds that a program may take to end, on a busy machine; its calls would take ten

IN_FLIGHT = """
import threading, time

calls = [lambda: store.get(key), lambda: store.get_many([key]), lambda: store.set(key, b"1")]
threads = [threading.Thread(target=call, daemon=True) for call in 2 * calls]
for thread in threads:
    thread.start()
time.sleep(0.3)
print("in flight", sum(thread.is_alive() for thread in threads), flush=True)
"""


@pytest.fixture
def slow(server):
    """Every read and write takes ten seconds."""
    with server.failing({"action": "delay", "delay_ms": 10000, "count": -1}):
        yield


def ended(process):
    """Wait until it says that its calls are in flight, and see it end in time."""
    assert process.stdout.readline() == b"in flight 6\n"
    began = time.monotonic()
    status, output, complaints = scripts.finish(process)
    assert time.monotonic() - began < LIMIT
    return status, output, complaints


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(7)", 7),
        ("raise ValueError('the end')", 1),
        ("import os; os._exit(9)", 9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -15),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", None),
    ],
)
def test_a_program_that_ends_with_calls_in_flight(server, table, slow, new_id, end, status):
    process = scripts.start(IN_FLIGHT + end, server, table, new_id(), timeout=30)
    got, _, complaints = ended(process)
    if status is None:  # by KeyboardInterrupt: CPython 3.8 began to end by the signal itself
        assert got in (1, -2)
        assert "KeyboardInterrupt" in complaints
    else:
        assert got == status, complaints
    assert "Fatal" not in complaints
    assert "panic" not in complaints


def test_threads_that_are_waited_for_end_their_calls(server, table, store, new_id):
    key = new_id()
    script = """
import threading, time

def write(n):
    time.sleep(0.2)
    store.set(key + str(n), b"late")

for n in range(4):
    threading.Thread(target=write, args=(n,)).start()
sys.exit(3)
"""
    status, _, complaints = scripts.finish(scripts.start(script, server, table, key))
    assert status == 3, complaints
    assert dict(store.get_many([key + str(n) for n in range(4)])) == {
        key + str(n): b"late" for n in range(4)
    }


def test_calls_at_exit(server, table, store, new_id):
    key = new_id()
    script = """
import atexit
atexit.register(lambda: store.set(key, store.get(key) + b" and at exit"))
store.set(key, b"before")
"""
    status, _, complaints = scripts.finish(scripts.start(script, server, table, key))
    assert (status, complaints) == (0, "")
    assert store.get(key) == b"before and at exit"


def test_calls_of_objects_that_outlive_everything(server, table, new_id):
    """Whatever a finalizer gets, the process ends as it was told to."""
    script = """
class Late:
    def __del__(self, store=store, key=key):
        store.get(key)

class Cycle:
    pass

cycle = Cycle()
cycle.itself, cycle.late = cycle, Late()
sys.late = Late()
store.set(key, b"1")
sys.exit(5)
"""
    status, _, complaints = scripts.finish(scripts.start(script, server, table, new_id()))
    assert status == 5, complaints
    assert "Fatal" not in complaints


def test_a_store_that_is_used_first_at_exit(server, table, store, new_id):
    key = new_id()
    script = "import atexit; atexit.register(store.set, key, b'first')"
    status, _, complaints = scripts.finish(scripts.start(script, server, table, key))
    assert (status, complaints) == (0, "")
    assert store.get(key) == b"first"
