"""The contract's tests under the other interpreters: one module and one source serve them all."""

import os
import subprocess
import sys
from pathlib import Path

import interpreters
import local_server
import pytest

HERE = Path(__file__).resolve().parent

VERSIONS = {
    "3.6": "pytest-3.6.txt",
    "3.8": "pytest-3.8.txt",
    "3.11": "pytest.txt",
    "3.13": "pytest.txt",
}
THIS = "%d.%d" % sys.version_info[:2]


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != THIS])
def test_the_contract(version, server):
    python = interpreters.find(version)
    if python is None:
        pytest.skip(f"there is no CPython {version} on PATH or in pyenv")
    inside = interpreters.environment(python, VERSIONS[version])
    done = subprocess.run(
        [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / "contract"],
        env={**os.environ, local_server.VARIABLE: server.end_point, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    # Shown with `pytest -s`, and a run of no test is none.
    print(f"\nCPython {version}: {done.stdout.strip().splitlines()[-1]}")
    assert " passed" in done.stdout
