"""A real Sentry in its own virtual environment, made once and kept in `.cache`.

    python tests/sentry/environment.py

makes it, or says where it is. The environment is keyed by its requirement files and carries a stamp
that is written last, so a change of theirs or an interrupted run makes it anew. Packages come
through pip and apt-get as this machine has them configured.
"""

import contextlib
import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import debian
import interpreter
from releases import CHOSEN

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache"
DIST = HERE.parent.parent / "dist"
NAME = f"Sentry {CHOSEN.version}"
HOME = CACHE / f"sentry-{CHOSEN.version}"
# In the order of their installation.
REQUIREMENTS = (
    HERE / f"requirements-{CHOSEN.version}-build.txt",
    HERE / f"requirements-{CHOSEN.version}.txt",
    HERE / CHOSEN.sdk,
)
_STAMP = HOME / "complete"


class UnavailableError(Exception):
    """Sentry cannot be had on this machine; the message says what is missing."""


def prepare() -> Path:
    """Return the folder of the environment, making it first where it is not there yet.

    :raises UnavailableError: when its CPython, a Debian package or a Python package cannot be had.
    """
    try:
        with alone():
            if not _complete():
                python = interpreter.find(CHOSEN.python, NAME, CACHE)
                debian.require((*debian.SERVICES, *debian.COMPILE))
                _make(python)
            debian.require(debian.SERVICES)
    except (interpreter.NoInterpreterError, debian.MissingPackagesError) as error:
        raise UnavailableError(str(error)) from error
    return HOME


def wheel() -> Path:
    """Return the wheel in dist/ for this machine.

    :raises FileNotFoundError: when none has been built.
    """
    wheels = sorted(DIST.glob(f"*_{platform.machine()}.whl"), key=lambda file: file.stat().st_mtime)
    if not wheels:
        raise FileNotFoundError("There is no wheel for this machine in dist/: run `make wheel`.")
    return wheels[-1]


def install(wheel: Path) -> None:
    """Put this wheel into the environment, unless the same file is in it already."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    stamp = HOME / "wheel"
    with alone():
        if stamp.exists() and stamp.read_text() == digest:
            return
        stamp.unlink(missing_ok=True)
        _pip("install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))
        stamp.write_text(digest)


def key() -> str:
    """Name what the environment is made of."""
    made_of = hashlib.sha256()
    for file in REQUIREMENTS:
        made_of.update(file.read_bytes())
    for present in CHOSEN.replaced.values():
        made_of.update(present.encode())
    return made_of.hexdigest()[:16]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep two runs (tests and demo, say) from working on the environment at once."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{HOME.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _complete() -> bool:
    """Whether the environment was made to its end, of these requirements, and can still start."""
    return _STAMP.exists() and _STAMP.read_text() == key() and (HOME / "bin" / "python").exists()


def _make(python: Path) -> None:
    """Make the environment from nothing with this interpreter."""
    shutil.rmtree(HOME, ignore_errors=True)
    subprocess.run([str(python), "-m", "venv", str(HOME)], check=True)
    for file in REQUIREMENTS:
        if file.name == CHOSEN.sdk:
            _replace()
            _pip("check")  # before the SDK, which asks for newer packages and does without
        _pip("install", "--no-deps", "-r", str(file))
    _STAMP.write_text(key())


def _replace() -> None:
    """Have Sentry's metadata ask for what it got: else its own plugins refuse to load."""
    if not CHOSEN.replaced:
        return
    (metadata,) = HOME.glob(f"lib/python*/site-packages/sentry-{CHOSEN.version}.dist-info/METADATA")
    text = metadata.read_text(encoding="utf-8")
    for gone, present in CHOSEN.replaced.items():
        if text.count(f"Requires-Dist: {gone}") != 1:
            raise UnavailableError(f"{metadata} does not require {gone}")
        text = text.replace(gone, present)
    metadata.write_text(text, encoding="utf-8")


def _pip(*arguments: str) -> None:
    """Run the environment's own pip.

    :raises UnavailableError: with the end of what pip said.
    """
    done = subprocess.run(
        [str(HOME / "bin" / "python"), "-m", "pip", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise UnavailableError(f"pip {' '.join(arguments)} failed:\n{done.stdout[-3000:]}")


if __name__ == "__main__":
    started = time.monotonic()
    try:
        print(f"{NAME} is in {prepare()} ({time.monotonic() - started:.1f} s)")
    except UnavailableError as error:
        sys.exit(f"{NAME} cannot be had here. {error}")
