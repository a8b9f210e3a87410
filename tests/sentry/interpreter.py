"""Finds the CPython that a Sentry needs: on PATH, from pyenv, or from uv."""

import os
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path


class NoInterpreterError(Exception):
    """The CPython is not on this machine and could not be installed."""


def find(version: str, what: str, cache: Path) -> Path:
    """Return a CPython of this version that starts, letting uv install one as the last resort.

    :param version: Such as "3.8".
    :param what: Who needs it, for the message of the error.
    :param cache: Folder that may hold a private uv.
    :raises NoInterpreterError: naming everything that was tried.
    """
    for candidate in _present(version):
        if _runs(candidate, version):
            return candidate
    tried = (
        f"{what} needs CPython {version}: there is no python{version} on PATH that starts, "
        "none in pyenv, and"
    )
    return _from_uv(version, tried, cache)


def _present(version: str) -> Iterator[Path]:
    """Yield what may be that CPython of this machine; a shim of pyenv's may refuse to start."""
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    root = os.environ.get("PYENV_ROOT") or _output("pyenv", "root")
    if root:
        yield from sorted(
            Path(root, "versions").glob(f"{version}.*/bin/python{version}"), reverse=True
        )


def _runs(python: Path, version: str) -> bool:
    """Whether this is a CPython of this version that can make virtual environments."""
    check = (
        "import sys, platform, venv, ensurepip;"
        "print(platform.python_implementation(), '%d.%d' % sys.version_info[:2])"
    )
    return _output(str(python), "-c", check) == f"CPython {version}"


def _from_uv(version: str, tried: str, cache: Path) -> Path:
    """Let uv find or install the CPython, with a private uv from PyPI where there is none."""
    uv = shutil.which("uv")
    if uv is None:
        home = cache / "uv"
        uv = str(home / "bin" / "uv")
        if not Path(uv).exists():
            venv.create(home, with_pip=True, clear=True)
            _run(tried, str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv")
    _run(tried, uv, "python", "install", version)
    found = _output(uv, "python", "find", "--no-project", version)
    if found and _runs(Path(found), version):
        return Path(found)
    raise NoInterpreterError(
        f"{tried} uv installed one that does not start ({found or 'no path'})."
    )


def _run(tried: str, *command: str) -> None:
    """Run a step of the last resort, whose failure means that there is no interpreter."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last = done.stdout.strip().splitlines()[-1:] or ["it said nothing"]
        raise NoInterpreterError(f"{tried} `{' '.join(command)}` failed: {last[0]}")


def _output(*command: str) -> str:
    """What a command printed, or nothing when it is not there or failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
