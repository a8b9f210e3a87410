"""`metrics='textfile:…'`: one file of sums for node_exporter, whoever comes and goes."""

import logging
import os
import re
import subprocess
import sys
import tempfile
import threading

import forking
import pytest
from sentry_tablestore.metrics_textfile import BUCKETS, INTERVAL, Textfile

LINE = re.compile(
    r'sentry_tablestore_[a-z_]+\{operation="[^"]*"(?:,(?:error|le)="[^"]*")?\} [0-9.e+-]+\Z'
)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "sentry_tablestore.prom")


@pytest.fixture
def textfile(path):
    file = Textfile(path)
    file.clock = Clock()
    return file


def series(path):
    """Give the file's series and amounts, having checked its form."""
    found, typed = {}, {}
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in typed, "a metric's series are in one piece"
            typed[name] = kind
        elif not line.startswith("# HELP "):
            assert LINE.match(line), line
            name, amount = line.rsplit(" ", 1)
            metric = name.partition("{")[0]
            if kind == "histogram":
                metric = re.sub("_(bucket|sum|count)$", "", metric)
            assert metric == list(typed)[-1]
            assert name not in found
            found[name] = float(amount)
    assert typed.pop("sentry_tablestore_call_duration_seconds") == "histogram"
    assert set(typed.values()) <= {"counter"}
    return found


def count(textfile, operation="get", seconds=0.001, error=None, **counts):
    textfile(operation, seconds, counts, error)


def of(found, name, operation="get", **labels):
    more = "".join(f',{label}="{value}"' for label, value in labels.items())
    return found.get(f'sentry_tablestore_{name}{{operation="{operation}"{more}}}')


def test_the_first_call_writes_it_and_later_ones_now_and_then(textfile, path):
    count(textfile, requests=1)
    assert of(series(path), "requests_total") == 1
    for _ in range(5):
        count(textfile, requests=1)
    assert of(series(path), "requests_total") == 1
    textfile.clock.now += INTERVAL
    count(textfile, requests=1)
    assert of(series(path), "requests_total") == 7


def test_every_count_and_failures_by_their_class(textfile, path):
    count(textfile, "set", 0.5, raw=10, stored=5, sent=20, received=30, split=1, requests=3)
    textfile.clock.now += INTERVAL
    count(textfile, "get", 0.5, "TablestoreTimeoutError", retries=2, throttled=1, missing=4)
    found = series(path)
    assert of(found, "raw_bytes_total", "set") == 10
    assert of(found, "stored_bytes_total", "set") == 5
    assert of(found, "sent_bytes_total", "set") == 20
    assert of(found, "received_bytes_total", "set") == 30
    assert of(found, "split_total", "set") == 1
    assert of(found, "requests_total", "set") == 3
    assert of(found, "retries_total") == 2
    assert of(found, "throttled_total") == 1
    assert of(found, "missing_total") == 4
    assert of(found, "failed_calls_total", error="TablestoreTimeoutError") == 1
    assert of(found, "failed_calls_total", "set") is None


def test_the_histogram_of_durations(textfile, path):
    for seconds in (0.0005, 0.001, 0.0011, 0.3, 60.0):
        count(textfile, seconds=seconds)
    textfile.write(0)
    found = series(path)
    buckets = [
        of(found, "call_duration_seconds_bucket", le=bound)
        for bound in [f"{bound:g}" for bound in BUCKETS] + ["+Inf"]
    ]
    assert buckets == [2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5]
    assert of(found, "call_duration_seconds_count") == 5
    assert of(found, "call_duration_seconds_sum") == pytest.approx(60.3026)


def test_processes_add_up_and_one_that_has_ended_is_kept(textfile, path):
    count(textfile, requests=1)

    def child():
        # It has none of its parent's counts, and writes at its own first call.
        count(textfile, requests=10)

    count(textfile, requests=100)
    for _ in range(3):
        forking.in_child(child)
    assert of(series(path), "requests_total") == 31
    textfile.write(0)
    assert of(series(path), "requests_total") == 131


def test_processes_at_once_lose_nothing(textfile, path):
    def child():
        for _ in range(50):
            textfile.clock.now += INTERVAL
            count(textfile, requests=1)
        textfile.write(30)

    waits = [forking.start_child(child) for _ in range(4)]
    for wait in waits:
        wait()
    assert of(series(path), "requests_total") == 200


def test_threads_at_once_lose_nothing(textfile, path):
    def work():
        for _ in range(200):
            textfile.clock.now += INTERVAL / 4
            count(textfile, requests=1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    textfile.write(1)
    assert of(series(path), "requests_total") == 1600
    assert of(series(path), "call_duration_seconds_count") == 1600


def test_another_process_that_has_its_turn_is_not_waited_for(textfile, path):
    count(textfile, requests=1)
    other = Textfile(path)
    with other._turn(0) as held:
        assert held
        textfile.clock.now += INTERVAL
        count(textfile, requests=1)
        assert of(series(path), "requests_total") == 1
    textfile.clock.now += INTERVAL
    count(textfile, requests=1)
    assert of(series(path), "requests_total") == 3


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_users_share_it_whoever_came_first(umask):
    # Not below pytest's folder, which is its user's alone.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        textfile = Textfile(os.path.join(folder, "a.prom"))
        textfile.clock = Clock()
        before = os.umask(umask)
        try:
            count(textfile, requests=1)
        finally:
            os.umask(before)

        def another_user():
            os.setgid(65534)
            os.setuid(65534)
            count(textfile, requests=10)

        forking.in_child(another_user)
        textfile.clock.now += INTERVAL
        count(textfile, requests=100)
        assert of(series(textfile.path), "requests_total") == 111


def test_a_folder_that_cannot_be_written_fails_nothing_and_is_said_once(tmp_path, caplog):
    folder = tmp_path / "later"
    file = Textfile(str(folder / "a.prom"))
    file.clock = Clock()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            count(file, requests=1)
            file.clock.now += INTERVAL
    (record,) = caplog.records
    assert "later" in record.getMessage()
    folder.mkdir()
    count(file, requests=1)
    assert of(series(file.path), "requests_total") == 4


def test_a_damaged_file_begins_anew(textfile, path):
    with open(path, "w") as file:
        file.write('sentry_tablestore_requests_total{operation="get"} many\n')
    count(textfile, requests=1)
    assert of(series(path), "requests_total") == 1


def test_node_exporter_may_read_it_and_nothing_else_is_left_there(textfile, path):
    count(textfile, requests=1)
    assert os.stat(path).st_mode & 0o777 == 0o644
    names = os.listdir(os.path.dirname(path))
    assert sorted(names) == [".sentry_tablestore.prom.lock", "sentry_tablestore.prom"]


PROGRAM = """
import os, sys
sys.path[:0] = sys.argv[1].split(":")
from sentry_tablestore.metrics_textfile import Textfile
file = Textfile(sys.argv[2])
how = sys.argv[3]
for _ in range(5):
    file("get", 0.001, {"requests": 1}, None)
def child():
    for _ in range(7):
        file("get", 0.001, {"requests": 1}, None)
if how == "multiprocessing":
    import multiprocessing
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start(); process.join()
if how == "celery":
    import types
    class Signal:
        receivers = []
        def connect(self, receiver, weak=True):
            assert weak is False
            self.receivers.append(receiver)
    signals = sys.modules["celery.signals"] = types.ModuleType("celery.signals")
    signals.worker_process_shutdown = Signal()
    pid = os.fork()
    if not pid:
        child()
        # As celery's prefork pool ends a child.
        for receiver in Signal.receivers:
            receiver(signal=None, sender=None, pid=os.getpid(), exitcode=0)
        os._exit(0)
    os.waitpid(pid, 0)
if how == "fork":
    pid = os.fork()
    if not pid:
        # It uses nothing: what its parent has counted is its parent's to write.
        sys.exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize(
    ("how", "requests"), [("alone", 5), ("multiprocessing", 12), ("celery", 12), ("fork", 5)]
)
def test_a_process_that_ends_writes_what_is_left(path, how, requests):
    subprocess.check_call([sys.executable, "-c", PROGRAM, ":".join(sys.path), path, how])
    assert of(series(path), "requests_total") == requests


def test_a_store_with_it(make_store, new_id, path):
    store, key = make_store(metrics="textfile:" + path), new_id()
    store.set(key, b"12345")
    found = series(path)
    assert of(found, "requests_total", "set") == 1
    assert of(found, "raw_bytes_total", "set") == 5


def test_no_thread_is_started(textfile):
    before = threading.active_count()
    count(textfile, requests=1)
    assert threading.active_count() == before
