"""What `make wheels` left in dist/: the tests of this folder are about that."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DIST = REPOSITORY / "dist"
MACHINES = ("x86_64", "aarch64")
# The environment of packaging/; zig and the programs that check are in it.
BUILDER = REPOSITORY / ".cache" / "packaging" / "bin" / "python"


def wheel(machine: str) -> Path:
    """Return the wheel for a processor."""
    return _the_one(f"*-cp36-abi3-manylinux2014_{machine}.whl")


def sdist() -> Path:
    """Return the source distribution."""
    return _the_one("*.tar.gz")


def run(*command: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end with what it says in one text."""
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _the_one(pattern: str) -> Path:
    found = list(DIST.glob(pattern))
    if len(found) != 1:
        pytest.fail(f"there are {len(found)} of {pattern} in dist/: run `make wheels` first")
    return found[0]
