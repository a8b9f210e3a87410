"""The Debian packages a real Sentry needs, to run and to have its dependencies compiled."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

SERVICES = ("postgresql", "redis-server")
COMPILE = (
    "gcc",
    "libc6-dev",
    "pkg-config",
    "libxml2-dev",
    "libxslt1-dev",
    "libxmlsec1-dev",
    "libffi-dev",
    "libssl-dev",
)


class MissingPackagesError(Exception):
    """Debian packages are missing and cannot be installed from here."""


def require(packages: Sequence[str]) -> None:
    """Install what is missing of these packages when root; otherwise say what is missing.

    :raises MissingPackagesError: naming the packages and the command that installs them.
    """
    missing = [package for package in packages if not _installed(package)]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    advice = f"A real Sentry needs Debian packages that are not installed: {' '.join(missing)}."
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingPackagesError(f"{advice} As root: {' '.join(command)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update"], command):
        done = subprocess.run(
            step,
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise MissingPackagesError(
                f"{advice} `{' '.join(step)}` failed:\n{done.stdout[-2000:]}"
            )


def program(name: str) -> Path:
    """Return the path of one program of PostgreSQL or Redis, which Debian keeps off PATH in part.

    :raises MissingPackagesError: when it is nowhere.
    """
    versions = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: int(path.parts[4]),
    )
    if versions:
        return versions[-1]
    found = shutil.which(name)
    if found is None:
        raise MissingPackagesError(f"The program {name} is not installed.")
    return Path(found)


def _installed(package: str) -> bool:
    """Whether dpkg has the package; where there is no dpkg, the services' programs decide."""
    if shutil.which("dpkg-query") is None:
        program = {"postgresql": "initdb", "redis-server": "redis-server"}.get(package)
        return program is None or shutil.which(program) is not None
    status = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
    )
    return status.stdout == "installed"
