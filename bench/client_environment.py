"""The Python environments of the clients: interpreters with the Python SDK, cached in `.cache`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent


class NoEnvironmentError(Exception):
    """The environment cannot be made."""


def requirements(version: str) -> Path:
    """Give the file of the packages for an interpreter, such as `3.11`."""
    return BENCH / f"requirements-{version}.txt"


def ensure(version: str) -> Path:
    """Make the environment, or find the one that was made from the same requirements.

    :param version: Of CPython, such as `3.11`.
    :returns: Its interpreter.
    :raises NoEnvironmentError: where there is no such CPython or a package cannot be installed.
    """
    home = ROOT / ".cache" / f"bench-{version}"
    python = home / "bin" / "python"
    wanted = requirements(version).read_text()
    ready = home / ".ready"
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(f"making the environment {home.relative_to(ROOT)} …", file=sys.stderr)
    for candidate in _candidates(version):
        shutil.rmtree(home, ignore_errors=True)
        # Debian's interpreter may lack the module that makes environments.
        if _succeeds(str(candidate), "-m", "venv", str(home)):
            break
    else:
        raise NoEnvironmentError(
            f"no CPython {version} that can make environments: none runs this, "
            "none is on PATH or in pyenv"
        )
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "-r", str(requirements(version))]).returncode:
        raise NoEnvironmentError(
            f"the packages of {requirements(version).relative_to(ROOT)} could not be installed"
        )
    ready.write_text(wanted)
    return python


def _candidates(version: str) -> Iterator[Path]:
    if "%d.%d" % sys.version_info[:2] == version:
        yield Path(sys.executable)
    for folder in os.get_exec_path():
        candidate = Path(folder, f"python{version}")
        if candidate.exists() and _succeeds(str(candidate), "-c", ""):
            yield candidate
    pyenv = os.environ.get("PYENV_ROOT")
    if pyenv:
        yield from sorted(Path(pyenv, "versions").glob(f"{version}.*/bin/python{version}"))


def _succeeds(*command: str) -> bool:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return done.returncode == 0
