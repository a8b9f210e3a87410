"""Measures what the package costs a process: memory, time to start, and the wheel's size.

    make footprint

Processes of CPython 3.8 and 3.11 use the package as the wheel in dist/ has it, on a
`tablestore-local` in memory; see probe.py for what they do. Medians of some rounds.
"""

# ruff: noqa: E402 - modules are imported from the folders that are named first
import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(ROOT / "tests")]

import events
import facts
import interpreters
import page
import programs

VERSIONS = ("3.8", "3.11")
EVENTS, SIZE = 200, 10_000


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="bench/footprint", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind (5)")
    parser.add_argument("--idle", type=float, default=35, help="seconds of rest after work (35)")
    parser.add_argument("--save", type=Path, help="file to write the page to, beside showing it")
    arguments = parser.parse_args()
    wheels = sorted((ROOT / "dist").glob("*_x86_64.whl"), key=lambda file: file.stat().st_mtime)
    if not wheels:
        sys.exit("bench/footprint: there is no wheel for x86_64 in dist/: run `make wheel`")
    pythons = {version: interpreters.find(version) for version in VERSIONS}
    missing = [version for version, python in pythons.items() if python is None]
    if missing:
        sys.exit(f"bench/footprint: there is no CPython {' and no '.join(missing)} here")
    known = [f"CPython {_full(python)}" for python in pythons.values()]
    gathered = facts.timed(facts.typed(), [*known, facts.go_version()])
    with tempfile.TemporaryDirectory(prefix="footprint-") as name:
        folder = Path(name)
        with zipfile.ZipFile(wheels[-1]) as archive:
            sizes = page.Sizes(
                wheels[-1].stat().st_size,
                {item.filename: item.file_size for item in archive.infolist()},
            )
            archive.extractall(folder / "package")
        file = folder / "events"
        file.write_bytes(b"".join(event + b"\n" for event in events.make_events(SIZE, EVENTS)))
        measured = {
            version: _measure(python, folder / "package", file, arguments.rounds, arguments.idle)
            for version, python in pythons.items()
        }
    text = page.page(gathered, measured, sizes, arguments.idle)
    print(text)
    if arguments.save:
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        arguments.save.write_text(text)


def _measure(python: Path, package: Path, file: Path, rounds: int, idle: float) -> page.Measured:
    """Give the medians of a version of CPython."""
    with programs.tablestore_local() as key:
        options = {
            name: getattr(key, name) for name in ("end_point", "access_key_id", "access_key_secret")
        }
        asked: dict[str, Any] = {
            "instance": key.instance,
            "table": "nodestore",
            "options": {**options, "timeout": 60},
            "events": str(file),
            "idle": idle,
        }
        environment = {**os.environ, "PYTHONPATH": str(package)}
        bootstrap = (
            "import json, sys; asked = json.load(sys.stdin); "
            "from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage as Store; "
            "Store(asked['instance'], asked['table'], asked['options'])"
            ".bootstrap(automatic_expiry=False)"
        )
        _run([str(python), "-c", bootstrap], asked, environment)
        told = [
            json.loads(
                _run([str(python), str(HERE / "probe.py")], {**asked, "fork": fork}, environment)
            )
            for _ in range(rounds)
            for fork in (False, True)
        ]
    steps: dict[str, dict[str, list[int]]] = {}
    times: dict[str, list[float]] = {}
    for one in told:
        for step, memory in one["steps"].items():
            for field, size in memory.items():
                steps.setdefault(step, {}).setdefault(field, []).append(size)
        for what, milliseconds in one["times"].items():
            times.setdefault(what, []).append(milliseconds)
    return page.Measured(
        {
            step: {field: median(found) for field, found in memory.items()}
            for step, memory in steps.items()
        },
        {what: median(found) for what, found in times.items()},
    )


def _run(command: list[str], asked: dict[str, Any], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, input=json.dumps(asked), stdout=subprocess.PIPE, env=environment, text=True
    )
    if done.returncode:
        sys.exit("bench/footprint: a process failed, see above")
    return done.stdout


def _full(python: Path) -> str:
    return subprocess.check_output([str(python), "--version"], text=True).split()[1]


if __name__ == "__main__":
    main()
