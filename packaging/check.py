"""Checks wheels and a source distribution as an index and its users would.

    .cache/packaging/bin/python packaging/check.py dist/*

in the environment of requirements-check.txt (make wheels): auditwheel finds the wheel to keep to
its platform tag, abi3audit finds it to use only what every CPython from 3.6 on has, and twine finds
that an index would take it.
"""

import json
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


class CheckError(Exception):
    """A file is not fit to be published."""


def main() -> None:
    """Check the files that the command line names; the exit status tells."""
    files = [Path(name) for name in sys.argv[1:]]
    wheels = [file for file in files if file.suffix == ".whl"]
    if not wheels:
        sys.exit("give at least one wheel")
    try:
        for wheel in wheels:
            print(f"{wheel.name}: needs glibc {glibc(wheel)} or newer, {stable_abi(wheel)}")
        _run("twine", "check", "--strict", *files)
    except CheckError as error:
        sys.exit(str(error))
    print(f"twine: {len(files)} files can be published")


def glibc(wheel: Path) -> str:
    """Return the lowest glibc that auditwheel finds the wheel to run with.

    :raises CheckError: where that is newer than the wheel's tag (manylinux2014: 2.17) says. A wheel
        that needs another library than the tag allows has no such tag at all.
    """
    said = " ".join(_run("auditwheel", "show", wheel).split())
    machine = wheel.stem.rsplit("manylinux2014_", 1)[1]
    tag = said.split('platform tag: "manylinux_', 1)[-1].split(f"_{machine}", 1)[0]
    low, high = tag.split("_") if "_" in tag else ("", "")
    fits = low.isdigit() and high.isdigit() and (int(low), int(high)) <= (2, 17)
    if not fits:
        raise CheckError(f"{wheel.name} is not for every glibc from 2.17 on: {said}")
    return f"{low}.{high}"


def stable_abi(wheel: Path) -> str:
    """Return what abi3audit finds in the wheel.

    :raises CheckError: where there is no module, or one that uses more than CPython 3.6 has.
    """
    report = json.loads(_run("abi3audit", "--strict", "--report", wheel))
    ((_, specification),) = report["specs"].items()
    modules = specification["wheel"]
    if len(modules) != 1:
        raise CheckError(f"{wheel.name} has {len(modules)} modules, not one")
    result = modules[0]["result"]
    if not (result["is_abi3"] and result["is_abi3_baseline_compatible"]):
        raise CheckError(f"{wheel.name} is not for every CPython from 3.6 on: {result}")
    return f"CPython {result['baseline']} or newer"


def _run(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [PROGRAMS / program, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise CheckError(f"{program} {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
