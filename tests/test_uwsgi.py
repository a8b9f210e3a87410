"""uWSGI, which serves Sentry: processes with threads, apps loaded before the fork and after it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import interpreters
import pytest

HERE = Path(__file__).resolve().parent
VERSIONS = ["3.6", "3.8", "3.11", "3.13"]
REQUESTS = 200
SECONDS = 60


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def packages(python):
    """Name the folder of an environment's packages."""
    (folder,) = python.parent.parent.glob("lib/python3.*/site-packages")
    return str(folder)


class Uwsgi:
    """A running uWSGI."""

    def __init__(self, python, server, table, folder, lazy):
        self.port = free_port()
        given = {"options": server.client_options(), "table": table}
        command = [python.parent / "uwsgi", "--http-socket", f"127.0.0.1:{self.port}"]
        command += ["--wsgi-file", HERE / "uwsgi_app.py", "--master", "--processes", "2"]
        command += ["--enable-threads", "--threads", "4", "--die-on-term", "--need-app"]
        command += ["--lazy-apps"] if lazy else []
        self.log = folder / "uwsgi.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command,
                # A reload executes the interpreter anew: without this, outside of its environment.
                env=dict(os.environ, STORE=json.dumps(given), PYTHONPATH=packages(python)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait()

    def wait(self):
        """Wait until it answers."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                return self.get("first")
            except (OSError, http.client.HTTPException):
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(0.05)

    def get(self, path):
        """Give the status of an answer, and the process that gave it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/" + path)
            response = connection.getresponse()
            return response.status, response.read()

    def serves(self, new_id):
        """Send requests from eight threads, and give the processes that answered."""
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(self.get, [new_id() for _ in range(REQUESTS)]))
        assert {status for status, _ in answers} == {200}, self.log.read_text()
        return {process for _, process in answers}

    def end(self):
        """End it, and give its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@pytest.fixture(params=VERSIONS)
def python(request):
    found = interpreters.find(request.param)
    if found is None:
        pytest.skip(f"there is no CPython {request.param} on PATH or in pyenv")
    return interpreters.environment(found, "uwsgi.txt")


@pytest.fixture
def start(python, server, table, tmp_path):
    """Start uWSGI, and see that it is gone in the end."""
    running = []

    def make(lazy):
        running.append(Uwsgi(python, server, table, tmp_path, lazy))
        return running[-1]

    yield make
    for uwsgi in running:
        if uwsgi.process.poll() is None:
            uwsgi.process.kill()
            uwsgi.process.wait()


@pytest.mark.parametrize("lazy", [True, False], ids=["lazy-apps", "loaded before the fork"])
def test_it_serves_reloads_and_ends(start, new_id, lazy):
    uwsgi = start(lazy)
    before = uwsgi.serves(new_id)
    assert len(before) == 2
    uwsgi.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + SECONDS
    while uwsgi.wait()[1] in before:
        assert time.monotonic() < end, uwsgi.log.read_text()
    after = uwsgi.serves(new_id)
    assert not before & after
    began = time.monotonic()
    uwsgi.end()
    assert time.monotonic() - began < 20
    log = uwsgi.log.read_text()
    assert "SIGKILL" not in log
    assert "Segmentation" not in log
    assert "Traceback" not in log


def test_it_ends_with_requests_in_flight(start, server, new_id):
    uwsgi = start(True)
    uwsgi.serves(new_id)
    with server.failing({"action": "delay", "delay_ms": 1000, "count": -1}):
        statuses = []

        def ask():
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses.append(uwsgi.get(new_id())[0])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        uwsgi.end()
        for thread in threads:
            thread.join()
    assert set(statuses) <= {200}
    assert "Segmentation" not in uwsgi.log.read_text()
