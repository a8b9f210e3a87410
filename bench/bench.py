"""Measures this package beside the SDKs of Tablestore and bare HTTP: `make bench`, or see --help.

The contestants make the same calls, each in a process of its own, one right after the other, round
by round. What counts is the median of the rounds' ratios: absolute figures depend on the machine
and on what else runs there. README.md says who they are.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
from typing import Iterator, List, Sequence

import environment
import programs
import report
from clients import ClientError, clients
from environment import ROOT
from parts import PARTS, Part
from results import Results


def measure(part: Part, pythons: Sequence[str], rounds: int, seconds: float) -> Results:
    """Measure the cells of a part.

    :param pythons: The versions of CPython that are here.
    :param seconds: How long each contestant makes calls of one kind in one round.
    """
    results = Results()
    for python in pythons:
        for size in part.sizes:
            for latency in part.latencies:
                _measure(results, part, python, size, latency, rounds, seconds)
    _say("")
    return results


def _measure(
    results: Results,
    part: Part,
    python: str,
    size: int,
    latency: int,
    rounds: int,
    seconds: float,
) -> None:
    interpreter = environment.ensure(python)
    where = f"CPython {python}, {size // 1000} KB, {latency} ms: "
    names = part.contestants
    with clients(interpreter, names, size, part.nodes(size), latency) as started:
        for round in range(rounds + 1):
            # The first one warms up: answers, connections, the interpreter's specialisation.
            warming = round == 0
            _say(where + ("warming up" if warming else f"round {round}"))
            order = [names[(round + i) % len(names)] for i in range(len(names))]
            for cell in part.cells(python, size, latency):
                runs = {name: started[name].run(cell, seconds) for name in order}
                if not warming:
                    results.add(cell, {name: runs[name] for name in names})


def _say(text: str) -> None:
    """Tell the one who waits how far it is."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="" if text else "\r", file=sys.stderr, flush=True)


def here(versions: Sequence[str]) -> Iterator[str]:
    """Give those versions of CPython for which there is an environment, and say which are not."""
    for version in versions:
        try:
            environment.ensure(version)
            yield version
        except environment.NoEnvironmentError as error:
            print(f"bench: not run: {error}", file=sys.stderr)


def described(part: Part, pythons: Sequence[str], rounds: int, seconds: float) -> List[str]:
    """Describe what the figures depend on."""
    with open("/proc/cpuinfo") as file:
        names = re.findall(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    lines = [
        f"command: `python {' '.join(['bench/bench.py', *sys.argv[1:]])}`, {rounds} rounds of "
        f"{seconds} s for each figure",
        f"{now:%Y-%m-%d %H:%M} UTC, commit {commit.stdout.strip() or 'unknown'}",
        f"machine: {names[0] if names else platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores, shared by client and service, "
        f"{kilobytes / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"load {os.getloadavg()[0]:.1f} before",
        "versions: " + ", ".join(_versions(pythons)),
    ]
    missing = [version for version in part.pythons if version not in pythons]
    if missing:
        lines.append("not run, for want of an interpreter: CPython " + ", ".join(missing))
    return lines


def _versions(pythons: Sequence[str]) -> Iterator[str]:
    for python in pythons:
        told = subprocess.check_output([str(environment.ensure(python)), "--version"], text=True)
        yield "CPython " + told.split()[1]
    for line in environment.requirements(pythons[-1]).read_text().splitlines():
        if re.match("(tablestore|zstandard|protobuf|urllib3)==", line):
            yield line.replace("==", " ")
    go = os.environ.get("GO", "go")
    yield "Go " + subprocess.check_output([go, "env", "GOVERSION"], text=True).strip()[2:]
    module = "github.com/aliyun/aliyun-tablestore-go-sdk"
    listed = [go, "list", "-m", "-f", "{{.Version}}", module]
    yield "Go SDK " + subprocess.check_output(listed, cwd=ROOT, text=True).strip()


def run(name: str, rounds: int, seconds: float, saved: bool) -> None:
    """Measure a part and print it."""
    part = PARTS[name]
    pythons = list(here(part.pythons))
    if not pythons:
        return
    seconds = seconds or part.seconds
    lines = described(part, pythons, rounds, seconds)
    with programs.busy_cores():
        results = measure(part, pythons, rounds, seconds)
    section = report.text(part, lines, results)
    print(f"## {name}\n\n{section}")
    if saved:
        report.save(name, section)
        print(f"saved in {report.FILE.relative_to(ROOT)}")


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--rounds", type=int, default=7, help="rounds to take medians of (7)")
    parser.add_argument("--seconds", type=float, default=0, help="time of each run (0.3 or 0.5)")
    parser.add_argument(
        "--save", action="store_true", help="also write to docs/results/bench.md and the README"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    try:
        programs.build()
        for name in arguments.parts or PARTS:
            run(name, arguments.rounds, arguments.seconds, arguments.save)
    except (programs.ProgramError, ClientError) as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
