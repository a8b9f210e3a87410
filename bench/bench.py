"""Measures this package beside the Python SDK and bare HTTP: `make bench`, or see --help.

Three contestants do the same to a table of `tablestore-local --memory`, each in a process of its
own, one right after the other, round by round. What counts is the median of the rounds' ratios:
absolute figures depend on the machine and on what else runs there.

- package: `TablestoreKVStorage` of this repository with zstd;
- SDK: the predecessor's calls on `tablestore` 6.4.8, its logger at WARNING, zstandard;
- HTTP: the SDK's requests and answers as mere bytes over urllib3, to a server that does nothing.

CPU is the client process's, all its threads, without the server. A spinner of the lowest priority
keeps each core from idling. See README.md for how to profile the engine.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import environment
import programs
from environment import BENCH, ROOT
from results import OPERATIONS, Results, Run, aligned

NAMES = ("package", "sdk", "http")
SIZES = (1_000, 10_000, 50_000, 200_000)
THREADS = (1, 8)
EVENTS = 200
# Rows of raw bytes that are written to be deleted, for one contestant in one round.
DOOMED_BYTES = 80_000_000
DELETED_AT_ONCE = 200


class ClientError(Exception):
    """A contestant failed; the text is its traceback."""


class Client:
    """A contestant's process, see client.py."""

    def __init__(self, python: Path, contestant: str, service: Dict[str, str], size: int) -> None:
        environ = dict(os.environ)
        environ.pop("PYTHONPATH", None)
        if contestant == "package":
            environ["PYTHONPATH"] = str(ROOT / "python")
        self.process = subprocess.Popen(
            [str(python), str(BENCH / "client.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            text=True,
        )
        # Values of the largest size are few, or making them takes longer than all else.
        count = EVENTS if size < 100_000 else EVENTS // 2
        self._ask({"service": service, "contestant": contestant, "size": size, "count": count})

    def do(self, command: str, **arguments: Any) -> Any:
        """Let it follow a command, and give the result.

        :raises ClientError: when it failed.
        """
        return self._ask({"do": command, **arguments})

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _ask(self, line: Dict[str, Any]) -> Any:
        print(json.dumps(line), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()  # type: ignore[union-attr]
        if not answer:
            raise ClientError("the process ended")
        answered = json.loads(answer)
        if "error" in answered:
            raise ClientError(answered["error"])
        return answered["result"]


@contextlib.contextmanager
def clients(python: Path, size: int) -> Iterator[Dict[str, Client]]:
    """Start servers and the contestants' processes, with a table full of events of this size.

    `filler` writes what others read and delete, so that this is in nobody's CPU time.
    """
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(programs.tablestore_local())
        known = {**vars(service), "answers": stack.enter_context(programs.answers())}
        started: Dict[str, Client] = {}
        for name in ("filler", *NAMES):
            contestant = "package" if name == "filler" else name
            started[name] = Client(python, contestant, known, size)
            stack.callback(started[name].stop)
        started["filler"].do("fill")
        for name in ("package", "sdk"):
            started[name].do("check")
        started["http"].do("repeat", exchanges=started["sdk"].do("record"))
        yield started


def measure(python: Path, sizes: Sequence[int], rounds: int, seconds: float) -> Results:
    """Measure everything.

    :param seconds: How long each contestant makes calls of one kind in one round.
    """
    results = Results()
    for size in sizes:
        with clients(python, size) as started:
            for round in range(rounds + 1):
                # The first one warms up: connections, caches, the interpreter's specialisation.
                warming = round == 0
                say(f"{size // 1000} KB: " + ("warming up" if warming else f"round {round}"))
                order = [NAMES[(round + i) % len(NAMES)] for i in range(len(NAMES))]
                for threads in THREADS:
                    for operation in OPERATIONS:
                        runs = {
                            name: run(started, name, operation, size, threads, seconds)
                            for name in order
                        }
                        if not warming:
                            results.add((operation, size, threads), runs)
    say("")
    return results


def run(
    started: Dict[str, Client], name: str, operation: str, size: int, threads: int, seconds: float
) -> Run:
    """Let one contestant make calls of one kind."""
    client = started[name]
    if operation != "delete_many" or name == "http":
        return Run(**client.do("measure", operation=operation, threads=threads, seconds=seconds))
    requests = DOOMED_BYTES // (DELETED_AT_ONCE * size)
    requests = max(threads, min(5 * THREADS[-1], requests))
    started["filler"].do("doom", name=name, requests=requests)
    return Run(**client.do("delete", name=name, requests=requests, threads=threads))


def say(text: str) -> None:
    """Tell the one who waits how far it is."""
    if sys.stderr.isatty():
        print(f"\r{text:<40}", end="" if text else "\r", file=sys.stderr, flush=True)


def machine() -> List[str]:
    """Describe what the figures depend on."""
    with open("/proc/cpuinfo") as file:
        names = re.findall(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    return [
        f"machine: {names[0] if names else platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores, {kilobytes / 2**20:.0f} GiB, "
        f"Linux {platform.release().split('-')[0]}, "
        f"load {os.getloadavg()[0]:.1f} before",
        "versions: " + ", ".join(versions()),
    ]


def versions() -> Iterator[str]:
    """Tell the versions of all that takes part."""
    python = subprocess.check_output([str(environment.PYTHON), "--version"], text=True).split()[1]
    yield f"CPython {python}"
    for line in environment.REQUIREMENTS.read_text().splitlines():
        if re.match("(tablestore|zstandard|protobuf|urllib3)==", line):
            yield line.replace("==", " ")
    go = os.environ.get("GO", "go")
    yield "Go " + subprocess.check_output([go, "env", "GOVERSION"], text=True).strip()[2:]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    yield "commit " + (commit.stdout.strip() or "unknown")


def save(report: str) -> Path:
    """Write a report beside others, named by day and processor."""
    cpu = re.sub("[^a-z0-9]+", "-", machine()[0].split(":")[1].split(",")[0].lower()).strip("-")
    file = BENCH / "results" / f"{datetime.date.today().isoformat()}-{cpu}.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text(report)
    return file


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only 10 KB, in about a minute")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take medians of (5)")
    parser.add_argument("--seconds", type=float, help="time of each run (0.5, quick 0.3)")
    parser.add_argument("--save", action="store_true", help="also write to bench/results")
    arguments = parser.parse_args()
    sizes = (10_000,) if arguments.quick else SIZES
    seconds = arguments.seconds or (0.3 if arguments.quick else 0.5)
    try:
        python = environment.ensure()
        described = machine()
        with programs.busy_cores():
            results = measure(python, sizes, arguments.rounds, seconds)
    except (environment.NoEnvironmentError, programs.ProgramError, ClientError) as error:
        sys.exit(f"bench: {error}")
    report = [f"command: `python {' '.join(['bench/bench.py', *sys.argv[1:]])}`"]
    report += described
    tables = [results.table(threads) for threads in THREADS] + [results.expectations()]
    text = "\n".join(report) + "\n\n" + "\n\n".join(map(aligned, tables)) + "\n"
    print(text)
    if arguments.save:
        print(f"saved as {save(text).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
