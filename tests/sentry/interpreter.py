"""Finds the CPython 3.8 that Sentry 23.7.1 needs: on PATH, from pyenv, or from uv."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

VERSION = "3.8"


class NoInterpreterError(Exception):
    """No CPython 3.8 is on this machine and none could be installed."""


def find(cache: Path) -> Path:
    """Return a CPython 3.8 that starts, letting uv install one as the last resort.

    :param cache: Folder that may hold a private uv.
    :raises NoInterpreterError: naming everything that was tried.
    """
    for candidate in _present():
        if _runs(candidate):
            return candidate
    return _from_uv(cache)


def _present() -> Iterator[Path]:
    """Yield what may be a CPython 3.8 of this machine; a shim of pyenv's may refuse to start."""
    on_path = shutil.which(f"python{VERSION}")
    if on_path:
        yield Path(on_path)
    root = os.environ.get("PYENV_ROOT") or _output("pyenv", "root")
    if root:
        yield from sorted(
            Path(root, "versions").glob(f"{VERSION}.*/bin/python{VERSION}"), reverse=True
        )


def _runs(python: Path) -> bool:
    """Whether this is a CPython 3.8 that can make virtual environments."""
    check = (
        "import sys, platform, venv, ensurepip;"
        "print(platform.python_implementation(), '%d.%d' % sys.version_info[:2])"
    )
    return _output(str(python), "-c", check) == f"CPython {VERSION}"


def _from_uv(cache: Path) -> Path:
    """Let uv find or install a CPython 3.8, with a private uv from PyPI where there is none."""
    uv = shutil.which("uv")
    if uv is None:
        home = cache / "uv"
        uv = str(home / "bin" / "uv")
        if not Path(uv).exists():
            venv.create(home, with_pip=True, clear=True)
            _run(str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv")
    _run(uv, "python", "install", VERSION)
    found = _output(uv, "python", "find", "--no-project", VERSION)
    if found and _runs(Path(found)):
        return Path(found)
    raise NoInterpreterError(
        f"{_TRIED} uv installed one that does not start ({found or 'no path'})."
    )


_TRIED = (
    f"Sentry 23.7.1 needs CPython {VERSION}: there is no python{VERSION} on PATH that starts, "
    "none in pyenv, and"
)


def _run(*command: str) -> None:
    """Run a step of the last resort, whose failure means that there is no interpreter."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last = done.stdout.strip().splitlines()[-1:] or ["it said nothing"]
        raise NoInterpreterError(f"{_TRIED} `{' '.join(command)}` failed: {last[0]}")


def _output(*command: str) -> str:
    """What a command printed, or nothing when it is not there or failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    print(find(Path(sys.argv[1] if len(sys.argv) > 1 else ".cache")))
