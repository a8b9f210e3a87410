"""What the pages that the proofs write in docs/results say of how they came about."""

import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def facts(command):
    """Give lines of a Markdown list: the command, the date, the commit, the machine, the versions.

    As bench/page does it for those of Go: no name of a host, no path outside of the repository.
    Call it before the work begins: it tells the machine's load.
    """
    describe = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.check_output(describe, cwd=ROOT, stderr=subprocess.DEVNULL).decode()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"  # a source archive
    machine = "{}, {} cores, {} of memory, Linux {}, load {:.2f} before".format(
        _found("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.machine(),
        os.cpu_count(),
        "{:.0f} GiB".format(int(_found("/proc/meminfo", r"MemTotal:\s*(\d+)")) / 2**20),
        platform.release().split("-")[0],
        os.getloadavg()[0],
    )
    lines = [
        ("command", f"`{command}`"),
        ("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("commit", commit.strip()),
        ("machine", machine),
        ("run with", f"CPython {platform.python_version()}, {_engine()}"),
    ]
    return "".join(f"- {name}: {value}\n" for name, value in lines)


def _found(path, pattern):
    with open(path) as file:
        found = re.search(pattern, file.read())
    return found.group(1) if found else ""


def _engine():
    """Name the Go that the engine was built with, asked in a process of its own."""
    ask = "from sentry_tablestore.engine import version; print(version())"
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    said = subprocess.check_output([sys.executable, "-c", ask], env=environment).decode()
    return "engine of Go {}".format(re.search(r"go(\d[\d.]*)", said).group(1))
