"""Shows where the CPU of a client of this package goes: `make profile`.

Linux's perf looks at the whole process, Python, C and Go, while 8 threads make calls of one kind.
It needs perf and an engine with its symbols, which this builds in build/profile.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Tuple

import client_environment
import facts
import programs
import report
from client_environment import ROOT
from clients import Client, ClientError, clients
from parts import CALLS, PACKAGE
from results import Cell
from versions import versions

PYTHON = "3.11"
FILE = ROOT / "docs" / "results" / "profile.md"
_FOLDER = ROOT / "build" / "profile"
_ENTRY = re.compile(r"^\s*([\d.]+)%\s+(\S+)\s+\[[.k]\]\s+(.+?)[\s-]*$")

_HEAD = """# Profiles

Where the CPU of a client of this package goes, by `perf` (cpu-clock), Python, C, Go and the kernel
together: percent of the samples in the function itself. Written by `make profile`; what was done
about it: [bench/README.md](../../bench/README.md#what-profiles-led-to).
"""


def build(python: Path) -> Path:
    """Build the package with symbols; give the folder to import it from."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    shutil.copytree(
        ROOT / "python" / "sentry_tablestore",
        _FOLDER / "sentry_tablestore",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['include'])"]
    include = subprocess.check_output(asked, text=True).strip()
    command = [os.environ.get("GO", "go"), "build", "-trimpath", "-buildmode=c-shared", "-o"]
    command += [str(_FOLDER / "sentry_tablestore" / "_native.abi3.so"), "."]
    environ = dict(os.environ, CGO_CFLAGS=f"-O2 -I{include}")
    if subprocess.run(command, cwd=ROOT, env=environ).returncode:
        raise programs.ProgramError("the engine could not be built")
    return _FOLDER


def profile(client: Client, cell: Cell, seconds: float) -> Tuple[List[Tuple[str, str, str]], str]:
    """Watch the client while it makes calls.

    :returns: Percent, library and function of each that has at least 0.5 percent; and what the
        calls took.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data = os.path.join(folder, "perf.data")
        watch = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", data, "-p"]
        perf = subprocess.Popen([*watch, str(client.process.pid)], stderr=subprocess.DEVNULL)
        # Threads that begin before perf looks would be left out. It writes its head when it does.
        while perf.poll() is None and not (os.path.exists(data) and os.path.getsize(data)):
            time.sleep(0.05)
        time.sleep(0.3)
        run = client.run(cell, seconds)
        perf.terminate()
        perf.wait()
        show = ["perf", "report", "--stdio", "-q", "--sort", "dso,symbol", "-i", data]
        told = subprocess.run(show, capture_output=True, text=True).stdout
    entries = [match.groups() for match in map(_ENTRY.match, told.splitlines()) if match]
    found = [(percent, dso, name) for percent, dso, name in entries if float(percent) >= 0.5]
    return found, f"{run.rate:,.0f} calls a second, {run.cpu_us:,.0f} µs of CPU a call"


def main() -> None:
    """Profile each kind of call, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=4, help="time of each (4)")
    parser.add_argument("--size", type=int, default=10_000, help="bytes of a value (10000)")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--save", action="store_true", help="also write to docs/results/profile.md")
    arguments = parser.parse_args()
    if not shutil.which("perf"):
        sys.exit("profile: perf is not there (Debian: linux-perf)")
    try:
        programs.build()
        python = client_environment.ensure(PYTHON)
        gathered = facts.timed(facts.typed(), list(versions([PYTHON])))
        blocks = [_HEAD, "\n".join(facts.lines(gathered)) + "\n"]
        folder = build(python)
        with programs.busy_cores(), clients(
            python, [PACKAGE], arguments.size, 200, 0, folder
        ) as started:
            for operation, many in CALLS:
                cell = Cell(operation, many, arguments.size, arguments.threads)
                started[PACKAGE].run(cell, 0.5)  # warms up
                entries, figures = profile(started[PACKAGE], cell, arguments.seconds)
                table = [["%", "where", "function"], *map(list, entries)]
                blocks.append(
                    f"## {cell.title()}, {cell.size // 1000} KB, {cell.threads} threads\n\n"
                    f"{figures}.\n\n{report.aligned(table)}\n"
                )
    except (programs.ProgramError, client_environment.NoEnvironmentError, ClientError) as error:
        sys.exit(f"profile: {error}")
    text = "\n".join(blocks)
    print(text)
    if arguments.save:
        FILE.write_text(text)


if __name__ == "__main__":
    main()
