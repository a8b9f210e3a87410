"""Runs the wheel with every Sentry and CPython that can be had here, and writes what came of it.

    .cache/venv/bin/python tests/compat/compat.py        (make compat)

The tests are those of tests/sentry, with each release in turn, and those of tests/contract, with
the wheel installed for each CPython. The Sentrys take 800 MB each and minutes to install; they are
kept in .cache.
"""

import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "packaging"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sentry"))

import built
import facts
import installed
import interpreters
import local_server
import releases
import table

TESTS = Path(__file__).resolve().parents[1]
# A pip of its time and the newest pytest, for each CPython.
CPYTHONS = {
    "3.6": ("pip-19.3.1.txt", "pytest-3.6.txt"),
    "3.7": ("pip-19.3.1.txt", "pytest-3.7.txt"),
    "3.8": ("pip-19.3.1.txt", "pytest-3.8.txt"),
    "3.9": ("pip-25.txt", "pytest-3.8.txt"),
    "3.10": ("pip-26.txt", "pytest-3.8.txt"),
    "3.11": ("pip-26.txt", "pytest.txt"),
    "3.12": ("pip-26.txt", "pytest.txt"),
    "3.13": ("pip-26.txt", "pytest.txt"),
    "3.14": ("pip-26.txt", "pytest.txt"),
}


def main() -> None:
    """Run everything, keep the results, and put them into the documents."""
    wheel = built.wheel(platform.machine())
    cpythons = [run_cpython(version, wheel) for version in CPYTHONS]
    results = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{facts.machine()}, {' '.join(platform.libc_ver())}",
        "wheel": wheel.name,
        "engine": next(cpython["engine"] for cpython in cpythons if cpython["engine"]),
        "cpython": cpythons,
        "sentry": [run_sentry(release) for release in releases.RELEASES.values()],
    }
    table.keep(results)
    print(table.of_readme(results))
    wrong = list(failures(results))
    sys.exit("Failed:\n" + "\n".join(wrong) if wrong else 0)


def run_sentry(release: releases.Release) -> dict:
    """Run the tests with a real Sentry with this release."""
    say(f"Sentry {release.version} on CPython {release.python}")
    chosen = {releases.VARIABLE: release.version}
    result = {"version": release.version, "cpython": release.python, "not_run": "", "tests": {}}
    asked = subprocess.run(
        [sys.executable, TESTS / "sentry" / "environment.py"],
        env={**os.environ, **chosen},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if asked.returncode:
        result["not_run"] = asked.stdout.strip().splitlines()[-1]
    else:
        files = [TESTS / "sentry" / f"{file}.py" for told in table.SENTRY.values() for file in told]
        result["tests"] = pytest(Path(sys.executable), *files, **chosen)
    return result


def run_cpython(version: str, wheel: Path) -> dict:
    """Install the wheel for a CPython, with nothing else, and run the contract's tests on it."""
    say(f"CPython {version}")
    result = {"version": version, "patch": "", "engine": "", "not_run": "", "tests": {}}
    python = interpreters.find(version)
    if python is None:
        result["not_run"] = f"there is no CPython {version} on PATH or in pyenv"
        return result
    pip, requirements = CPYTHONS[version]
    with tempfile.TemporaryDirectory() as folder:
        environment = installed.Environment(python, pip, Path(folder, "environment"))
        for what in (
            ("--no-index", wheel),
            ("--no-deps", "-r", interpreters.REQUIREMENTS / requirements),
        ):
            done = environment.install(*what)
            if done.returncode:
                sys.exit(f"CPython {version}: pip install failed:\n{done.stdout}")
        told = environment.exercise(Path(folder))
        result["patch"], result["engine"] = told["patch"], told["engine"]
        with local_server.serving() as server:
            result["tests"] = pytest(
                environment.home / "bin" / "python",
                TESTS / "contract",
                **{
                    local_server.VARIABLE: server.end_point,
                    "TESTED_PACKAGE": str(Path(told["file"]).parent.parent),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
            )
    return result


def pytest(python: Path, *tests: Path, **variables: str) -> dict:
    """Run tests under an interpreter; return by file what came of each, and why it was skipped."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        arguments = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
        done = subprocess.run(
            [python, "-m", "pytest", *arguments],
            cwd=TESTS.parent,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        say(done.stdout if done.returncode else done.stdout.strip().splitlines()[-1])
        if done.returncode not in (0, 1) or not report.exists():
            sys.exit(f"pytest ended with status {done.returncode}")
        cases = list(xml.parse(report).iter("testcase"))
    counted: dict = {}
    for case in cases:
        # "tests.contract.test_metrics_layouts.TestSpans", and what "a_failed_one[newest]" is of.
        file = next(part for part in case.get("classname", "").split(".") if part[:5] == "test_")
        count = counted.setdefault(file, table.nothing())
        table.add(count, case.get("name"), *came_of(case))
        layout = re.search(r"\[(moved|newest)\b", case.get("name", ""))
        if layout:
            count = counted.setdefault(layout.group(1), table.nothing())
            table.add(count, f"{file}::{case.get('name')}", *came_of(case))
    return counted


def came_of(case: xml.Element) -> tuple[str, str]:
    """Return whether a test "passed", "failed" or was "skipped", and why."""
    for child in case:
        if child.tag in ("failure", "error"):
            return "failed", (child.get("message") or "").split("\n")[0]
        if child.tag == "skipped":
            return "skipped", child.get("message") or ""
    return "passed", ""


def failures(results: dict) -> Iterator[str]:
    """Yield what did not pass, a line each."""
    for kind in ("cpython", "sentry"):
        for tried in results[kind]:
            for file, count in tried["tests"].items():
                for name, why in count["failed"].items():
                    yield f"  {kind} {tried['version']}: {file}::{name}: {why}"


def say(line: str) -> None:
    """Tell the one who waits."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
