"""A Debian for aarch64 with CPython, run here by qemu."""

import os
import shutil
import subprocess
from pathlib import Path

import interpreters
import pytest

QEMU = "qemu-aarch64"
HOME = interpreters.CACHE / "aarch64-root"
PYTHON = "3.11"
# What CPython loads, without what only installs it.
PACKAGES = (
    "libc6",
    "libexpat1",
    "libgcc-s1",
    "zlib1g",
    f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    f"python{PYTHON}-minimal",
)


def root() -> Path:
    """Return the folder of the Debian, fetched with this machine's own sources at the first call.

    Skips the test where there is no qemu or no apt-get, or the packages cannot be had.
    """
    if shutil.which("apt-get") is None:
        pytest.skip("an emulated aarch64 needs Debian's packages, and there is no apt-get")
    if shutil.which(QEMU) is None:
        if os.geteuid() != 0:
            pytest.skip("an emulated aarch64 needs qemu: apt-get install qemu-user")
        _run("apt-get", "update")
        _run("apt-get", "install", "--yes", "--no-install-recommends", "qemu-user")
    with interpreters.alone(HOME.name):
        if not (HOME / "ready").exists():
            shutil.rmtree(HOME, ignore_errors=True)
            _fetch(HOME)
            (HOME / "ready").touch()
    return HOME


def command(*arguments: object) -> list[str]:
    """Return the command that runs a program for aarch64."""
    return [QEMU, "-L", str(root()), *map(str, arguments)]


def python() -> Path:
    """Return the CPython for aarch64."""
    return root() / "usr" / "bin" / f"python{PYTHON}"


def _fetch(home: Path) -> None:
    """Unpack the packages, with lists of packages of its own: this machine's stay as they are."""
    apt, archives = home / "apt", home / "apt" / "archives"
    for folder in (apt / "lists" / "partial", archives / "partial"):
        folder.mkdir(parents=True)
    (apt / "status").touch()
    configuration = apt / "apt.conf"
    configuration.write_text(
        'APT::Architecture "arm64";\n'
        'APT::Architectures { "arm64"; };\n'
        'APT::Sandbox::User "";\n'
        f'Dir::State "{apt}";\n'
        f'Dir::State::status "{apt}/status";\n'
        f'Dir::Cache "{apt}";\n'
    )
    _run("apt-get", "update", APT_CONFIG=str(configuration))
    _run("apt-get", "download", *PACKAGES, cwd=archives, APT_CONFIG=str(configuration))
    for package in archives.glob("*.deb"):
        _run("dpkg-deb", "--extract", package, home)
    shutil.rmtree(apt)


def _run(*command: object, cwd: "Path | None" = None, **environment: str) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"`{' '.join(map(str, command))}` failed: {done.stdout[-500:]}")
