"""The tables of what this package was run with, made of the results that `make compat` kept."""

import json
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RESULTS = REPOSITORY / "docs" / "results" / "compat.json"
PAGE = REPOSITORY / "docs" / "results" / "compat.md"
README = REPOSITORY / "README.md"
BEGIN = "<!-- compatibility: written by make compat -->\n"
END = "<!-- end of compatibility -->\n"
# What the files of tests/sentry show.
SENTRY = {
    "`sentry upgrade --with-nodestore`": ("test_sentry_upgrade",),
    "events saved and read, one and many; subkeys": ("test_sentry_events",),
    "nodes and whole issues deleted": ("test_sentry_deletion",),
    "`sentry cleanup`": ("test_sentry_cleanup",),
    "Celery workers, forked": ("test_sentry_worker",),
    "Sentry's metrics and spans": ("test_sentry_metrics",),
    "a table that cannot be reached": ("test_sentry_unreachable",),
    "`sentry-tablestore` inside Sentry": ("test_sentry_commands",),
    "the cache `nodedata`": ("test_sentry_node_cache",),
    "from PostgreSQL and back": ("test_sentry_read_through", "test_sentry_there_and_back"),
}
# The stand-ins (tests/stand_ins) for Sentrys that PyPI does not have.
PLAYED = {"moved": "of these, with the API of 25.9", "newest": "of these, with that of 2026"}


def nothing() -> dict:
    """Return the count before the first test."""
    return {"passed": 0, "failed": {}, "skipped": {}}


def add(count: dict, name: str, came_of: str, why: str) -> None:
    """Count a test that "passed", "failed" or was "skipped", for this reason."""
    if came_of == "passed":
        count["passed"] += 1
    else:
        count[came_of][name] = why


def of_readme(results: dict) -> str:
    """Return the lines between the README's markers."""
    lines = [
        f"Numbers of tests that passed on {results['date'][:10]}, by version "
        f"{results['engine'].split(', ')[0]}), written by `make compat`.",
        "What failed or was not run is told apart, and why "
        "[with all the rest](docs/results/compat.md).",
        "",
        *_sentry(results),
        "",
        "PyPI has no newer Sentry: stand-ins play the module layouts and signatures that came "
        "since (tests/stand_ins). With the wheel installed",
        "for each CPython, the tests of the contract:",
        "",
        *_cpython(results),
    ]
    return "\n".join(lines) + "\n"


def of_page(results: dict) -> str:
    """Return the page about the results."""
    lines = [
        "# Sentry and CPython that this was run with",
        "",
        "Written by `make compat`.",
        "",
        f"- date: {results['date']}",
        f"- version: {results['engine']}",
        f"- wheel: `{results['wheel']}`",
        f"- machine: {results['machine']}",
        "",
        "## Sentry",
        "",
        "Real ones from PyPI, each with PostgreSQL, Redis and `tablestore-local` (tests/sentry). "
        "Tests passed:",
        "",
        *_sentry(results),
        "",
        "## CPython",
        "",
        "The wheel installed alone, then the tests of tests/contract, with `tablestore-local`. "
        "Tests passed:",
        "",
        *_cpython(results),
        "",
        "## What did not pass",
        "",
        *(_not_passed(results) or ["Nothing."]),
    ]
    return "\n".join(lines) + "\n"


def keep(results: dict) -> None:
    """Write the results, the page about them, and the README's table."""
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(of_page(results), encoding="utf-8")
    README.write_text(before + BEGIN + of_readme(results) + END + after, encoding="utf-8")


def _sentry(results: dict) -> list[str]:
    tried = results["sentry"]
    rows = [
        ["", *(f"Sentry {sentry['version']}" for sentry in tried)],
        ["CPython", *(sentry["cpython"] for sentry in tried)],
    ]
    rows += [[what, *(_cell(sentry, files) for sentry in tried)] for what, files in SENTRY.items()]
    return _rows(rows)


def _cpython(results: dict) -> list[str]:
    tried = results["cpython"]
    rows = [["CPython", *(cpython["patch"] or cpython["version"] for cpython in tried)]]
    files = sorted({file for cpython in tried for file in cpython["tests"]} - set(PLAYED))
    rows.append(["all", *(_cell(cpython, files) for cpython in tried)])
    for layout, what in PLAYED.items():
        rows.append([what, *(_cell(cpython, (layout,)) for cpython in tried)])
    return _rows(rows)


def _cell(tried: dict, files: "tuple[str, ...] | list[str]") -> str:
    """Say what came of the tests of some files: how many passed, and what did not."""
    counts = [tried["tests"].get(file, nothing()) for file in files]
    passed = sum(count["passed"] for count in counts)
    failed = sum(len(count["failed"]) for count in counts)
    skipped = sum(len(count["skipped"]) for count in counts)
    said = [str(passed)] if passed else []
    said += [f"**{failed} failed**"] if failed else []
    said += [f"{skipped} not run"] if skipped else []
    return ", ".join(said) or "not run"


def _not_passed(results: dict) -> list[str]:
    """Return a line for each that could not be run, or failed, and why."""
    lines = []
    for kind in ("sentry", "cpython"):
        for tried in results[kind]:
            name = f"{kind.replace('cpy', 'CPy').replace('sen', 'Sen')} {tried['version']}"
            if tried["not_run"]:
                lines.append(f"- {name}: not run: {tried['not_run']}")
            for file, count in tried["tests"].items():
                if file in PLAYED:
                    continue  # tests of other files, counted there
                for verb, tests in (("failed", count["failed"]), ("not run", count["skipped"])):
                    lines += [
                        f"- {name}: {verb}: `{file}::{test}`: {why}" for test, why in tests.items()
                    ]
    return lines


def _rows(rows: list[list[str]]) -> list[str]:
    """Lay out a table whose first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]
