"""The processes of the contestants, with a service in front of them."""

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, Sequence

import events
import programs
from client_environment import BENCH, ROOT
from parts import CALLS, HTTP, PACKAGE, PEERS, SDK
from results import Cell, Run


class ClientError(Exception):
    """A contestant failed; the text says how."""


class Client:
    """A contestant's process: see client.py and peers/.

    :param package: The folder that this package is imported from.
    """

    def __init__(
        self,
        command: Sequence[str],
        contestant: str,
        service: Dict[str, str],
        events: str,
        package: Path,
    ) -> None:
        environ = dict(os.environ)
        environ.pop("PYTHONPATH", None)
        if contestant == PACKAGE:
            environ["PYTHONPATH"] = str(package)
        self._contestant = contestant
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
        )
        self._ask({"service": service, "contestant": contestant, "events": events})

    def do(self, command: str, **arguments: Any) -> Any:
        """Let it follow a command, and give the result.

        :raises ClientError: when it failed.
        """
        return self._ask({"do": command, **arguments})

    def run(self, cell: Cell, seconds: float) -> Run:
        """Let it make the calls of a cell."""
        return Run(
            **self.do(
                "measure",
                operation=cell.operation,
                many=cell.many,
                threads=cell.threads,
                seconds=seconds,
            )
        )

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _ask(self, line: Dict[str, Any]) -> Any:
        print(json.dumps(line), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()  # type: ignore[union-attr]
        answered = json.loads(answer or '{"error": "the process ended"}')
        if "error" in answered:
            raise ClientError("{}: {}".format(self._contestant, answered["error"]))
        return answered["result"]


@contextlib.contextmanager
def clients(
    python: Path,
    contestants: Sequence[str],
    size: int,
    nodes: int,
    latency: int,
    package: Path = ROOT / "python",
) -> Iterator[Dict[str, Client]]:
    """Start a service and the contestants' processes, with a table full of events of this size.

    :param latency: Milliseconds that each answer is held back.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        file = os.path.join(folder, "events")
        with open(file, "wb") as lines:
            lines.writelines(event + b"\n" for event in events.make_events(size, nodes))
        service = stack.enter_context(programs.tablestore_local())
        answers = stack.enter_context(programs.answers(service.end_point, latency))

        def start(contestant: str, end_point: str) -> Client:
            command = [str(python), str(BENCH / "client.py")]
            if contestant in PEERS:
                command = [str(programs.PEERS)]
            known = {**vars(service), "end_point": end_point}
            client = Client(command, contestant, known, file, package)
            stack.callback(client.stop)
            return client

        # It writes what others read, past the answers that are to be learnt.
        start(PACKAGE, service.end_point).do("fill")
        started = {name: start(name, answers) for name in contestants}
        for name, client in started.items():
            if name != HTTP:
                client.do("check")
        if HTTP in started:
            started[HTTP].do("repeat", exchanges=started[SDK].do("record", operations=CALLS))
        yield started
