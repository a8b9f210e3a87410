"""What figures depend on: the command, the commit, the machine, the versions."""

import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Sequence

import client_environment
from client_environment import ROOT


def described(pythons: Sequence[str]) -> List[str]:
    """Describe it, in lines of which the first is the command.

    :param pythons: The versions of CPython that take part.
    """
    with open("/proc/cpuinfo") as file:
        names = re.findall(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    command = " ".join(["bench/" + Path(sys.argv[0]).name, *sys.argv[1:]])
    return [
        f"command: `python {command}`",
        f"{now:%Y-%m-%d %H:%M} UTC, commit {commit.stdout.strip() or 'unknown'}",
        f"machine: {names[0] if names else platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores, shared by client and service, "
        f"{kilobytes / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"load {os.getloadavg()[0]:.1f} before",
        "versions: " + ", ".join(_versions(pythons)),
    ]


def _versions(pythons: Sequence[str]) -> Iterator[str]:
    for python in pythons:
        told = subprocess.check_output(
            [str(client_environment.ensure(python)), "--version"], text=True
        )
        yield "CPython " + told.split()[1]
    for line in client_environment.requirements(pythons[-1]).read_text().splitlines():
        if re.match("(tablestore|zstandard|protobuf|urllib3)==", line):
            yield line.replace("==", " ")
    go = os.environ.get("GO", "go")
    yield "Go " + subprocess.check_output([go, "env", "GOVERSION"], text=True).strip()[2:]
    module = "github.com/aliyun/aliyun-tablestore-go-sdk"
    listed = [go, "list", "-m", "-f", "{{.Version}}", module]
    yield "Go SDK " + subprocess.check_output(listed, cwd=ROOT, text=True).strip()
