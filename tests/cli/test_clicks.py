"""These tests under other interpreters, and the click that the Sentry of each has."""

import os
import subprocess
import sys
from pathlib import Path

import local_server
import pytest

if sys.version_info < (3, 9):
    pytest.skip("this is what runs the others", allow_module_level=True)

import interpreters

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.13"])
def test_the_commands(version, server):
    python = interpreters.find(version)
    if python is None:
        pytest.skip(f"there is no CPython {version} on PATH or in pyenv")
    inside = interpreters.environment(python, f"cli-{version}.txt")
    done = subprocess.run(
        [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ignore", __file__, HERE],
        env={**os.environ, local_server.VARIABLE: server.end_point, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=HERE.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
