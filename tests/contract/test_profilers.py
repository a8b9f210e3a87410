"""Profilers, storms of signals and faulthandler beside calls: nothing fails, nothing is lost.

The handlers of CPython before 3.10 run on whatever stack the signal finds: on one of Go's they
wrote over what lay behind it, and the process died.
"""

import cProfile
import faulthandler
import pstats
import signal
import threading
import time

import pytest
import scripts

KINDS = [(signal.ITIMER_REAL, signal.SIGALRM), (signal.ITIMER_PROF, signal.SIGPROF)]
KINDS += [(signal.ITIMER_VIRTUAL, signal.SIGVTALRM)]


@pytest.fixture
def storm():
    """Let a signal come each millisecond of its clock, and collect the threads that heard it."""
    undo = []

    def begin(clock, number):
        heard = []
        before = signal.signal(
            number, lambda number, frame: heard.append(threading.current_thread())
        )
        undo.append((clock, number, before))
        signal.setitimer(clock, 0.001, 0.001)
        return heard

    yield begin
    for clock, number, before in undo:
        signal.setitimer(clock, 0)
        signal.signal(number, before)


def work(store, prefix, seconds):
    """Make calls of every kind, check what they give, and return how many there were."""
    value, calls, end = prefix.encode() * 3000, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        key = f"{prefix}-{calls % 7}"
        store.set(key, value)
        assert store.get(key) == value
        assert dict(store.get_many([key, prefix + "-none"])) == {key: value}
        store.delete_many([key])
        assert store.get(key) is None
        calls += 5
    return calls


def together(store, new_id, seconds):
    """Work in four threads and in this one."""
    failed = []

    def run():
        try:
            work(store, new_id(), seconds)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert work(store, new_id(), seconds)
    finally:
        for thread in threads:
            thread.join()
    assert not failed


@pytest.mark.parametrize(("clock", "number"), KINDS)
def test_a_storm_of_signals(make_store, new_id, storm, clock, number):
    store = make_store(compression="zstd")
    heard = storm(clock, number)
    together(store, new_id, 1)
    assert heard
    assert set(heard) == {threading.main_thread()}


def test_all_storms_at_once(make_store, new_id, storm):
    store = make_store(compression="zlib")
    heard = [storm(clock, number) for clock, number in KINDS]
    together(store, new_id, 1)
    assert any(heard)  # on a busy machine one may crowd out another


def test_a_storm_while_a_call_waits(store, server, new_id, storm):
    """Each signal ends a wait; the call goes on, and its answer comes when it is there."""
    key = new_id()
    store.set(key, b"1")
    heard = storm(signal.ITIMER_REAL, signal.SIGALRM)
    with server.failing({"operation": "GetRow", "action": "delay", "delay_ms": 500, "count": 2}):
        began = time.monotonic()
        assert store.get(key) == b"1"
        assert dict(store.get_many([key])) == {key: b"1"}
        assert time.monotonic() - began > 0.45
    assert len(heard) > 5


def test_cprofile_in_every_thread(store, new_id):
    totals = []

    def run():
        profile = cProfile.Profile()
        profile.enable()
        calls = work(store, new_id(), 0.5)
        profile.disable()
        counted = {
            key[2]: entry[0]
            for key, entry in pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
            if key[2] in ("set", "get", "delete_many", "get_many")
        }
        totals.append((calls, counted))

    threads = [threading.Thread(target=run) for _ in range(2)]
    # CPython 3.12 and newer have one profiler at a time.
    for thread in threads:
        thread.start()
        thread.join()
    assert len(totals) == 2
    for calls, counted in totals:
        assert counted["set"] == calls / 5


def test_a_trace_function_sees_the_calls(store, new_id):
    seen = set()

    def trace(frame, event, argument):
        seen.add(frame.f_code.co_name)

    def run():
        work(store, new_id(), 0.2)

    threading.setprofile(trace)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.setprofile(None)
    assert {"set", "get", "get_many", "delete_many"} <= seen


def test_faulthandler_shows_where_a_call_waits(store, server, new_id, tmp_path):
    key = new_id()
    store.set(key, b"1")
    with open(str(tmp_path / "trace"), "w+") as file:
        faulthandler.dump_traceback_later(0.02, repeat=True, file=file)
        try:
            # Only while a call waits: CPython 3.11's watchdog reads the frames of threads that run
            # without their lock, and crashes now and then, with or without an engine.
            with server.failing({"operation": "GetRow", "action": "delay", "delay_ms": 300}):
                assert store.get(key) == b"1"
        finally:
            faulthandler.cancel_dump_traceback_later()
        file.seek(0)
        text = file.read()
    assert text.count("Timeout") > 1
    assert "engine.py" in text


CRASH = """
import ctypes, faulthandler
store.set(key, b"1")
{}
assert store.get(key) == b"1"
{}
print("goes on", flush=True)
ctypes.string_at(0)
"""


@pytest.mark.parametrize("enabled", ["before the engine is loaded", "after it was"])
def test_faulthandler_tells_of_a_crash_that_is_not_the_engines(server, table, new_id, enabled):
    enable = "faulthandler.enable()"
    script = CRASH.format("", enable)
    if enabled == "before the engine is loaded":
        script = "import faulthandler; faulthandler.enable()\n" + CRASH.format("", "")
    status, output, complaints = scripts.finish(scripts.start(script, server, table, new_id()))
    assert output == "goes on\n"
    assert status in (-signal.SIGSEGV, -signal.SIGABRT), complaints
    assert "Segmentation fault" in complaints
    assert "string_at" in complaints
