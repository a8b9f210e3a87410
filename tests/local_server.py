"""A `tablestore-local` for tests, and what it can be told: to fail, and what time it is.

Runs on CPython 3.6, as everything does that the contract's tests import.
"""

import contextlib
import json
import os
import re
import subprocess
import urllib.request
from typing import Any, Dict, Iterator, List

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(REPOSITORY, "build", "tablestore-local")

INSTANCE = "sentry"
KEY_ID = "LTAItestsonly00000"
KEY_SECRET = "tests-only-secret-7d1f0c"

# Another pytest run, under another interpreter, uses the server of the run that started it.
VARIABLE = "TABLESTORE_LOCAL_FOR_TESTS"


class LocalServer:
    """A running server.

    :ivar end_point: `http://127.0.0.1:PORT`
    """

    def __init__(self, end_point: str) -> None:
        self.end_point = end_point

    def client_options(self, **others: Any) -> Dict[str, Any]:
        """Give the options that reach this server, with these over them."""
        options = {
            "end_point": self.end_point,
            "access_key_id": KEY_ID,
            "access_key_secret": KEY_SECRET,
        }
        options.update(others)
        return options

    @contextlib.contextmanager
    def failing(self, *rules: Dict[str, Any]) -> Iterator[None]:
        """Make requests fail by these rules (local/faults.go) until the end of the block."""
        self._send("POST", "/_faults", list(rules))
        try:
            yield
        finally:
            self._send("DELETE", "/_faults")

    def hits(self) -> List[int]:
        """Tell how many requests each of the rules in force has met."""
        return [rule["hits"] for rule in json.loads(self._send("GET", "/_faults"))]

    def advance(self, milliseconds: int) -> None:
        """Move the server's clock."""
        self._send("POST", "/_clock", {"advance_ms": milliseconds})

    def _send(self, method: str, path: str, body: Any = None) -> str:
        request = urllib.request.Request(
            self.end_point + path,
            data=None if body is None else json.dumps(body).encode("utf-8"),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode("utf-8")


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[LocalServer]:
    """Run a server in memory on a free port, that can be told to fail."""
    command = [PROGRAM, "--memory", "--faults", "--listen", "127.0.0.1:0", "--instance", INSTANCE]
    command += ["--access-key-id", KEY_ID, "--access-key-secret", KEY_SECRET]
    program = subprocess.Popen(
        command + list(arguments), stdout=subprocess.PIPE, universal_newlines=True
    )
    try:
        line = program.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, f"tablestore-local did not start: {line!r}"
        yield LocalServer(address.group())
    finally:
        # Not asked to end: it would first finish the answers that a test has delayed.
        program.kill()
        program.wait()
        program.stdout.close()
