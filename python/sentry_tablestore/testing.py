"""A `tablestore-local` of its own for a test: real protocol, real errors, no account, no network.

In a `conftest.py`::

    from sentry_tablestore.testing import tablestore_local  # noqa: F401 - a fixture

and in a test::

    def test_a_busy_service(tablestore_local, settings):
        settings.SENTRY_NODESTORE_OPTIONS = tablestore_local.options(table="nodes")
        ...
        tablestore_local.fail(operation="GetRow", code="OTSServerBusy", count=2)
        tablestore_local.advance(timedelta(days=31))

Without pytest: `with serving() as server: ...`.

Every server starts empty, keeps its rows in memory, is reached from this machine only and is gone
after the block, or with the process that started it, however that ends. Linux only, as the program.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import urllib.error
import urllib.request
from datetime import timedelta
from typing import IO, Any, Dict, Iterator, List, Optional, Sequence

__all__ = ["LocalServer", "find_program", "serving"]

PROGRAM = "tablestore-local"

_ADDRESS = re.compile(r" at (http://127\.0\.0\.1:\d+)$")
_ADMIN_TIMEOUT = 30  # seconds
_MILLISECOND = timedelta(milliseconds=1)

# The server is a child of this shell, which waits for a line from us: one comes, or the pipe's end
# when we are killed. Then the shell ends its child, which it has not waited for, so that the number
# can be no other process's by now. SIGKILL, as SIGTERM would wait for answers that a fault delays.
_WATCHED = '"$@" & child=$!; exec >&- 2>&-; read -r _; kill -KILL "$child"; wait "$child"'


class LocalServer:
    """A running server.

    :ivar end_point: `http://127.0.0.1:PORT`.
    :ivar instance: The name of its only instance.
    :ivar access_key_id: The only key that it takes.
    :ivar access_key_secret: That key's secret.
    """

    def __init__(
        self, end_point: str, instance: str, access_key_id: str, access_key_secret: str
    ) -> None:
        self.end_point = end_point
        self.instance = instance
        self.access_key_id = access_key_id
        self.access_key_secret = access_key_secret

    def options(self, **others: Any) -> Dict[str, Any]:
        """Give `SENTRY_NODESTORE_OPTIONS` that reach this server, with these over them."""
        return self.client_options(**dict({"instance": self.instance}, **others))

    def client_options(self, **others: Any) -> Dict[str, Any]:
        """Give the same for `TablestoreKVStorage(server.instance, table, client_options)`."""
        options = {
            "end_point": self.end_point,
            "access_key_id": self.access_key_id,
            "access_key_secret": self.access_key_secret,
        }
        options.update(others)
        return options

    def fail(self, *rules: Dict[str, Any], **rule: Any) -> None:
        """Make requests fail from now on, in place of what was asked for before.

        :param rules: The first that applies to a request is the only one. Keywords make a single
            one. Any of: `operation`, such as "GetRow" (all); `count` of requests (1; -1: until told
            otherwise); `skip` so many first; `probability`; `code` of the service's error, with
            `status` and `message` (those of the code); `rows` of a batch, counted from 0, that fail
            with it while others do not; `delay_ms`; `action`: error, rows, delay, drop_before,
            drop_after, truncate, corrupt_body, corrupt_md5, corrupt_checksum,
            corrupt_signature, or raw with `body_base64`.
        :raises ValueError: for a rule that the server does not understand; those before stay.
        """
        if bool(rules) == bool(rule):
            raise TypeError("fail() takes either rules or the keywords of one rule")
        self._send("POST", "/_faults", list(rules) or [rule])

    def heal(self) -> None:
        """Let requests succeed again."""
        self._send("DELETE", "/_faults")

    @contextlib.contextmanager
    def failing(self, *rules: Dict[str, Any], **rule: Any) -> Iterator[None]:
        """Make requests fail, as `fail` does, until the end of the block."""
        self.fail(*rules, **rule)
        try:
            yield
        finally:
            self.heal()

    def hits(self) -> List[int]:
        """Tell how many requests met each of the rules in force, in their order."""
        return [rule["hits"] for rule in self._send("GET", "/_faults") or []]

    def advance(self, by: timedelta) -> None:
        """Move the server's clock, from where it is: forward, or back with a negative time.

        Cells get their times from it and expire by it. Clients keep their own: this server takes
        requests whatever their date, but the official Python SDK refuses answers that are more than
        15 minutes from its own clock.
        """
        self._send("POST", "/_clock", {"advance_ms": by // _MILLISECOND})

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.end_point + path,
            data=None if body is None else json.dumps(body).encode("utf-8"),
            method=method,
        )
        try:
            with _opener.open(request, timeout=_ADMIN_TIMEOUT) as answer:
                return json.loads(answer.read().decode("utf-8"))
        except urllib.error.HTTPError as error:
            with error:
                refusal = json.loads(error.read().decode("utf-8"))["error"]
        raise ValueError(f"{PROGRAM} refused {method} {path}: {refusal}")


# A proxy of the environment cannot reach this machine's loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def find_program() -> str:
    """Give the path of the program that this package was installed with, or else of PATH.

    :raises FileNotFoundError: naming the places that were looked at.
    """
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable or __file__)]
    user_scheme = f"{os.name}_user"
    if user_scheme in sysconfig.get_scheme_names():
        folders.append(sysconfig.get_path("scripts", user_scheme))
    found = shutil.which(PROGRAM, path=os.pathsep.join(folders)) or shutil.which(PROGRAM)
    if found is None:
        raise FileNotFoundError(
            "{} is neither in {} nor on PATH: install the wheel of sentry-tablestore, or say where "
            "the program is".format(PROGRAM, ", ".join(dict.fromkeys(folders)))
        )
    return found


@contextlib.contextmanager
def serving(
    program: Optional[str] = None,
    instance: str = "sentry",
    access_key_id: str = "tests-only-id",
    access_key_secret: str = "tests-only-secret",
    arguments: Sequence[str] = (),
) -> Iterator[LocalServer]:
    """Run a server in memory on a free port, until the end of the block.

    :param program: Path of `tablestore-local`; None: `find_program`.
    :param arguments: Further ones of the program, such as `["--log-level", "debug"]`; the last
        one of a name counts.
    :raises FileNotFoundError: there is no program.
    :raises RuntimeError: it did not start; with what it said.
    """
    command = [program or find_program(), "--memory", "--faults", "--listen", "127.0.0.1:0"]
    command += ["--instance", instance, "--clock-skew=-1s"]
    if not os.access(command[0], os.X_OK):
        raise FileNotFoundError(f"{command[0]} is not a program")
    environment = dict(os.environ)
    environment["TABLESTORE_LOCAL_ACCESS_KEY_ID"] = access_key_id
    environment["TABLESTORE_LOCAL_ACCESS_KEY_SECRET"] = access_key_secret
    with tempfile.TemporaryFile() as complaints:
        shell = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHED, PROGRAM] + command + list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
            # Ctrl-C is for the tests alone: their end is the server's.
            start_new_session=True,
        )
        try:
            end_point = _address(shell.stdout, complaints)
            yield LocalServer(end_point, instance, access_key_id, access_key_secret)
        finally:
            # A line, as a fork of ours may still hold the pipe, which then does not end.
            shell.communicate(b"\n")


def _address(output: IO[bytes], complaints: IO[bytes]) -> str:
    """Wait for the line that says where it serves."""
    line = output.readline().decode("utf-8").rstrip("\n")
    found = _ADDRESS.search(line)
    if found is None:
        complaints.seek(0)
        said = complaints.read().decode("utf-8", "replace").strip()
        raise RuntimeError(f"{PROGRAM} did not start: {said or line or 'it said nothing'}")
    return found.group(1)


try:
    import pytest
except ImportError:
    pass  # the rest is of use without it
else:

    @pytest.fixture
    def tablestore_local() -> Iterator[LocalServer]:
        """A server for this test alone."""
        with serving() as server:
            yield server

    __all__.append("tablestore_local")
