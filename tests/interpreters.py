"""Finds the machine's interpreters, and keeps virtual environments for tests in `.cache`."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache"
REQUIREMENTS = HERE / "requirements"


def find(version: str) -> Optional[Path]:
    """Return a CPython of this version (such as "3.8") that starts: from PATH, else pyenv's newest.

    :returns: None where there is none. pyenv's shims are on PATH for versions that are not chosen,
        and do not start.
    """
    candidates = []
    on_path = shutil.which(f"python{version}")
    if on_path:
        candidates.append(Path(on_path))
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    installed = Path(root, "versions").glob(f"{version}.*/bin/python{version}")
    candidates += sorted(installed, key=_patch_level, reverse=True)
    for candidate in candidates:
        real = _real(candidate)
        if real and real[0] == version:
            return Path(real[1])
    return None


def environment(python: Path, requirements: str) -> Path:
    """Return the interpreter of a virtual environment with these requirements, made at the first
    call.

    :param requirements: Name of a file in `tests/requirements`, every package with its version.
    """
    file = REQUIREMENTS / requirements
    key = hashlib.sha256(file.read_bytes() + str(python).encode()).hexdigest()[:12]
    home = CACHE / f"{file.stem}-{key}"
    inside, ready = home / "bin" / "python", home / "ready"
    with alone(home.name):
        # The stamp is written last, so an interrupted one is made anew.
        if not ready.exists():
            shutil.rmtree(home, ignore_errors=True)
            _run(python, "-m", "venv", home)
            pip = [
                inside,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ]
            _run(*pip, "-r", file)
            ready.touch()
    return inside


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Keep two runs from making the same environment at once."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _real(candidate: Path) -> Optional[tuple[str, str]]:
    """Ask a candidate for its version and the file that it really is; None if it does not start."""
    ask = (
        "import sys, platform;"
        "print(platform.python_implementation(), '%d.%d' % sys.version_info[:2], sys.executable)"
    )
    try:
        done = subprocess.run([candidate, "-c", ask], capture_output=True, text=True)
    except OSError:
        return None
    found = re.fullmatch(r"CPython (\S+) (.+)\n", done.stdout)
    return (found.group(1), found.group(2)) if found else None


def _patch_level(path: Path) -> int:
    found = re.search(r"\d+\.\d+\.(\d+)", str(path))
    return int(found.group(1)) if found else -1


def _run(*command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
