"""The versions of what takes part in `make bench`."""

import os
import re
import subprocess
from typing import Iterator, Sequence

import client_environment
import facts
from client_environment import ROOT


def versions(pythons: Sequence[str]) -> Iterator[str]:
    """Name the interpreters, what the SDK of Python consists of, and Go with its SDK.

    :param pythons: The versions of CPython that take part.
    """
    for python in pythons:
        told = subprocess.check_output(
            [str(client_environment.ensure(python)), "--version"], text=True
        )
        yield "CPython " + told.split()[1]
    for line in client_environment.requirements(pythons[-1]).read_text().splitlines():
        if re.match("(tablestore|zstandard|protobuf|urllib3)==", line):
            yield line.replace("==", " ")
    yield facts.go_version()
    module = "github.com/aliyun/aliyun-tablestore-go-sdk"
    listed = [os.environ.get("GO", "go"), "list", "-m", "-f", "{{.Version}}", module]
    yield "Go SDK " + subprocess.check_output(listed, cwd=ROOT, text=True).strip()
