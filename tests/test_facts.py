"""What pages of results open with, and that a busy machine is told of."""

import os
import re
import socket
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
import facts

DOUBT = "the machine did other work"


def test_all_that_figures_depend_on():
    text = "\n".join(facts.lines(facts.facts("make it", ["Go 1.2"], disk="fast")))
    for line in (
        "- command: `make it`",
        r"- date: \d{4}-\d\d-\d\d \d\d:\d\d UTC",
        r"- commit: ([0-9a-f]{7,}(-dirty)?|unknown)",
        r"- machine: .+, \d+ cores, \d+ GiB of memory, Linux [\d.]+, load \d+\.\d\d before",
        r"- versions: Go 1\.2",
        "- disk: fast",
    ):
        assert re.search(f"^{line}$", text, re.MULTILINE), line
    assert socket.gethostname() not in text


@pytest.mark.parametrize(
    ("loads", "slept", "doubted"),
    [([0.1], 0, False), ([90.0, 90.0, 0.1], 10, False), ([90.0], 180, True)],
)
def test_times_wait_for_a_quiet_machine(monkeypatch, loads, slept, doubted):
    """What was built just before is waited for; what goes on is told."""
    now, seen = [0.0], iter(loads)
    last = [loads[0]]

    def load():
        last[0] = next(seen, last[0])
        return last[0], 0.0, 0.0

    monkeypatch.setattr(os, "getloadavg", load)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    told = facts.timed("make it", ["Go 1.2"], patience=180)
    assert now[0] == slept
    assert (DOUBT in "\n".join(facts.lines(told))) == doubted


@pytest.mark.parametrize("program", ["bench.py", "footprint", "footprint/__main__.py"])
def test_the_command_as_it_can_be_typed(monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [str(facts.ROOT / "bench" / program), "--save", "x"])
    assert facts.typed() == f"python bench/{program.split('/')[0]} --save x"
