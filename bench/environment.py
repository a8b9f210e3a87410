"""The Python environment of the clients: CPython 3.11 with the Python SDK, cached in `.cache`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator

VERSION = "3.11"
BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
HOME = ROOT / ".cache" / f"bench-{VERSION}"
PYTHON = HOME / "bin" / "python"
REQUIREMENTS = BENCH / "requirements.txt"


class NoEnvironmentError(Exception):
    """The environment cannot be made."""


def ensure() -> Path:
    """Make the environment, or find the one that was made from the same requirements.

    :returns: Its interpreter.
    :raises NoEnvironmentError: where there is no CPython 3.11 or a package cannot be installed.
    """
    wanted = REQUIREMENTS.read_text()
    ready = HOME / ".ready"
    if ready.exists() and ready.read_text() == wanted:
        return PYTHON
    print(f"making the environment {HOME.relative_to(ROOT)} …", file=sys.stderr)
    for candidate in _candidates():
        shutil.rmtree(HOME, ignore_errors=True)
        # Debian's interpreter may lack the module that makes environments.
        if _succeeds(str(candidate), "-m", "venv", str(HOME)):
            break
    else:
        raise NoEnvironmentError(
            f"no CPython {VERSION} that can make environments: none runs this, "
            "none is on PATH or in pyenv"
        )
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "-r", str(REQUIREMENTS)]).returncode:
        raise NoEnvironmentError(f"the packages of {REQUIREMENTS} could not be installed")
    ready.write_text(wanted)
    return PYTHON


def _candidates() -> Iterator[Path]:
    if "%d.%d" % sys.version_info[:2] == VERSION:
        yield Path(sys.executable)
    for folder in os.get_exec_path():
        candidate = Path(folder, f"python{VERSION}")
        if candidate.exists() and _succeeds(str(candidate), "-c", ""):
            yield candidate
    pyenv = os.environ.get("PYENV_ROOT")
    if pyenv:
        yield from sorted(Path(pyenv, "versions").glob(f"{VERSION}.*/bin/python{VERSION}"))


def _succeeds(*command: str) -> bool:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return done.returncode == 0
