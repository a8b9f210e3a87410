"""The official Python SDK, in an environment of its own: it writes and reads rows as we do not."""

import base64
import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import interpreters
import local_server
from sentry_tablestore.testing import LocalServer

VERSION = "3.11"


def string(data: bytes) -> dict[str, str]:
    """Make a STRING column's value of bytes, as the SDK does of `bytes`."""
    return {"type": "STRING", "base64": base64.b64encode(data).decode()}


def binary(data: bytes) -> dict[str, str]:
    """Make a BINARY column's value."""
    return {"type": "BINARY", "base64": base64.b64encode(data).decode()}


def data_of(value: dict[str, str]) -> bytes:
    """Give the bytes of a column's value."""
    return base64.b64decode(value["base64"])


class SDK:
    """A running program with the SDK's client. Its functions are those of `sdk_program.py`."""

    def __init__(self, program: subprocess.Popen) -> None:
        self._program = program

    def __getattr__(self, function: str) -> Any:
        def call(*arguments: Any) -> Any:
            self._program.stdin.write(json.dumps([function, arguments]) + "\n")
            self._program.stdin.flush()
            answer = self._program.stdout.readline()
            assert answer, "the SDK's program ended: see its error above"
            return json.loads(answer)

        return call


@contextlib.contextmanager
def running(python: Path, server: LocalServer) -> Iterator[SDK]:
    """Run the SDK's client for a server, with a CPython of `VERSION`."""
    inside = interpreters.environment(python, "tablestore-sdk.txt")
    program = subprocess.Popen(
        [
            inside,
            Path(__file__).with_name("sdk_program.py"),
            server.end_point,
            local_server.KEY_ID,
            local_server.KEY_SECRET,
            local_server.INSTANCE,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield SDK(program)
    finally:
        program.stdin.close()
        program.wait()
        program.stdout.close()
