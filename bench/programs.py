"""Starts what the benchmark needs beside the clients, and stops only that."""

import contextlib
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, List

from client_environment import BENCH, ROOT

_SERVER = ROOT / "build" / "tablestore-local"
_ANSWERS = ROOT / "build" / "bench-answers"
PEERS = ROOT / "build" / "bench-peers"


class ProgramError(Exception):
    """A program did not start."""


@dataclass(frozen=True)
class Service:
    """A `tablestore-local` and the key for it.

    :ivar end_point: Where it listens, `http://127.0.0.1:port`.
    """

    end_point: str
    instance: str = "bench"
    access_key_id: str = "bench-key"
    access_key_secret: str = field(default="", repr=False)


@contextlib.contextmanager
def tablestore_local() -> Iterator[Service]:
    """Run the local server with its rows in memory."""
    if not _SERVER.exists():
        raise ProgramError(f"{_SERVER.relative_to(ROOT)} is not there: run `make build`")
    key = Service("", access_key_secret=secrets.token_hex(16))
    command = [str(_SERVER), "--memory", "--listen", "127.0.0.1:0", "--instance", key.instance]
    # The secret does not belong into the list of processes.
    environment = dict(
        os.environ,
        TABLESTORE_LOCAL_ACCESS_KEY_ID=key.access_key_id,
        TABLESTORE_LOCAL_ACCESS_KEY_SECRET=key.access_key_secret,
    )
    with _serving(command, environment) as end_point:
        yield Service(end_point, access_key_secret=key.access_key_secret)


def build() -> None:
    """Build the programs that only benchmarks need.

    :raises ProgramError: when that fails; the compiler has said why.
    """
    go = os.environ.get("GO", "go")
    for target, package in ((_ANSWERS, "./bench/answers"), (PEERS, "./bench/peers")):
        if subprocess.run([go, "build", "-o", str(target), package], cwd=ROOT).returncode:
            raise ProgramError(f"{package} could not be built")


@contextlib.contextmanager
def answers(service: str, latency: int) -> Iterator[str]:
    """Run the server that gives the answers of the service again; give where it listens.

    :param latency: Milliseconds that it holds each back.
    """
    command = [str(_ANSWERS), "-service", service, "-latency", f"{latency}ms"]
    with _serving(command, dict(os.environ)) as end_point:
        yield end_point


@contextlib.contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core from idling, at the lowest priority.

    Waking an idle core adds tens of microseconds to each wait on the loopback interface, which a
    network would hide.
    """
    script = str(BENCH / "spinner.py")
    spinners: List[subprocess.Popen] = []
    try:
        for core in sorted(os.sched_getaffinity(0)):
            spinners.append(subprocess.Popen([sys.executable, script, str(core)]))
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


@contextlib.contextmanager
def _serving(command: List[str], environment: dict) -> Iterator[str]:
    """Run a server that prints a line that ends with its address when it is ready."""
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )
    assert program.stdout is not None
    try:
        line = program.stdout.readline()
        if "http://" not in line:
            raise ProgramError(
                f"{Path(command[0]).name} did not start: {line or 'it said nothing'}"
            )
        yield line.split()[-1]
    finally:
        program.terminate()
        program.wait()
        program.stdout.close()
