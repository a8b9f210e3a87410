"""Runs the project's local Tablestore server, as the wheel in Sentry's environment carries it."""

import contextlib
import secrets
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
import installation
import processes

_READY = "tablestore-local: serving instance sentry at "
_METRICS = "tablestore-local: metrics at "


@dataclass(frozen=True)
class TablestoreLocal:
    """A running `tablestore-local`, and how to reach it."""

    program: processes.Program
    end_point: str
    access_key_id: str
    access_key_secret: str
    metrics_address: str

    def metrics(self) -> dict[str, float]:
        """Return its metrics that have no labels, by name."""
        with urllib.request.urlopen(self.metrics_address, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.split() for line in lines if line[0] != "#" and "{" not in line)
        return {name: float(value) for name, value in pairs}

    def nodestore(self, table: str, **options: Any) -> installation.Nodestore:
        """Return settings that make a table of this server the nodestore."""
        return installation.Nodestore(
            "sentry_tablestore.nodestore.backend.TablestoreNodeStorage",
            {
                "end_point": self.end_point,
                "instance": "sentry",
                "table": table,
                "access_key_id": self.access_key_id,
                "access_key_secret": self.access_key_secret,
                **options,
            },
        )


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[TablestoreLocal]:
    """Run a server on a free port and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tablestore-local-") as name:
        folder = Path(name)
        key_id, key_secret = secrets.token_hex(8), secrets.token_hex(16)
        command = [str(environment.HOME / "bin" / "tablestore-local")]
        command += ["--data", str(folder / "data"), "--listen", "127.0.0.1:0"]
        command += ["--metrics-listen", "127.0.0.1:0"]
        command += ["--instance", "sentry", *arguments]
        command += ["--access-key-id", key_id, "--access-key-secret", key_secret]
        with processes.running(command, folder / "log") as program:
            program.wait_for(lambda: _METRICS in program.said(), "tablestore-local")
            end_point = program.said().split(_READY, 1)[1].split()[0]
            metrics = program.said().split(_METRICS, 1)[1].split()[0]
            yield TablestoreLocal(program, end_point, key_id, key_secret, metrics)
