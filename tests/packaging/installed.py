"""Clean environments with nothing but what a pip of some age puts there."""

import json
import shutil
import subprocess
from pathlib import Path

import built
import interpreters
import pytest

EXERCISE = Path(__file__).resolve().parent / "exercise.py"


class Environment:
    """A virtual environment without pip, into which the pip of a cached environment installs."""

    def __init__(self, python: Path, requirements: str, home: Path) -> None:
        self.home = home
        self._pip = interpreters.environment(python, requirements)
        subprocess.run([python, "-m", "venv", "--without-pip", home], check=True)

    def pip(self, *arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run pip."""
        return built.run(self._pip, "-m", "pip", *arguments, **variables)

    def install(self, *arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Install with pip into this environment."""
        return self.pip("install", "--prefix", self.home, *arguments, **variables)

    def packages(self) -> set[str]:
        """Return the names of what is installed."""
        return {
            folder.name.rsplit(".", 1)[0].split("-")[0]
            for folder in self.home.glob("lib/python*/site-packages/*-info")
        }

    def server_version(self) -> str:
        """Return what the installed tablestore-local says of itself."""
        done = built.run(self.home / "bin" / "tablestore-local", "--version")
        return done.stdout.split(" ", 1)[1].strip()

    def exercise(self, home: Path) -> dict:
        """Use the package and return what `exercise.py` tells.

        :param home: Empty folder to do it in, so that nothing of the repository is imported.
        """
        program = shutil.copy(EXERCISE, home)
        done = subprocess.run(
            [self.home / "bin" / "python", "-I", program],
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert Path(told["file"]).is_relative_to(self.home)
        return told


def environment(version: str, requirements: str, home: Path) -> Environment:
    """Make an environment of this CPython, or skip the test where there is none."""
    python = interpreters.find(version)
    if python is None:
        pytest.skip(f"there is no CPython {version} on PATH or in pyenv")
    return Environment(python, requirements, home)
