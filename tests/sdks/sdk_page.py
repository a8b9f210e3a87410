"""docs/results/sdks.md: what `make test-sdks` found, and the recordings of the real service."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import script
import sdk_clients

sys.path.append(str(sdk_clients.ROOT / "bench"))
import facts

VERSIONS = {"go": "1.8.0", "python": "6.4.8", "java": "5.17.6", "node": "5.6.5"}

HEAD = """# The official SDKs, and recordings of the real service

Each SDK runs the same script against a new `tablestore-local`, and each step must end as the script
says: results, capacity units, errors and their texts. Steps that an SDK cannot do are left out.
[How](../../tests/sdks/README.md). Then exchanges that were recorded with the real service are sent
again, and the answers compared byte for byte; identities, times and the read units of writes to a
table with indexes excepted.

{facts}
| SDK | version | steps of {all} passed | left out |
|---|---|---:|---|
{rows}
{recordings}
"""

_rows: list[str] = []


def add(name: str, steps: int, left_out: dict[str, str]) -> None:
    """Note that an SDK passed."""
    without = "; ".join(f"{step}: {why}" for step, why in left_out.items()) or "none"
    _rows.append(f"| {name} | {VERSIONS[name.split()[0]]} | {steps} | {without} |\n")


def save(path: Path, variants: Iterable[str]) -> None:
    """Write the page."""
    for name in variants:
        if not any(row.startswith(f"| {name} |") for row in _rows):
            _rows.append(f"| {name} | {VERSIONS[name.split()[0]]} | not run here, or failed | |\n")
    versions = [f"CPython {platform.python_version()}", facts.go_version()]
    gathered = facts.facts("make test-sdks", versions)
    page = HEAD.format(
        facts="\n".join(facts.lines(gathered)) + "\n",
        all=len(script.all_steps()),
        rows="".join(_rows),
        recordings=_recordings(),
    )
    path.write_text(page)


def _recordings() -> str:
    command = [
        os.environ.get("GO", "go"),
        "test",
        "./local",
        "-run",
        "^TestRecordings$",
        "-count=1",
        "-v",
    ]
    done = subprocess.run(command, cwd=sdk_clients.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    found = re.search(r"replayed map\[(.*)\]", done.stdout)
    if not found:
        return "No recordings were beside the repository."
    counts = dict(pair.split(":") for pair in found.group(1).split())
    each = ", ".join(f"{n} {operation}" for operation, n in counts.items())
    total = sum(map(int, counts.values()))
    return f"Recordings: {total} exchanges, all with the same answers: {each}."
