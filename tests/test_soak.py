"""The soak in short, and that its verdict finds what grows; `make soak` does it for an hour."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parent.parent / "proof" / "soak"
sys.path.insert(0, str(SOAK))
import growth  # noqa: E402

MIB = 2**20


def samples(
    memory=lambda second: 60 * MIB,
    descriptors=lambda second: 20,
    blocks=lambda second: 300000,
):
    """Make samples of a process every 10 s of an hour, with the noise that memory has."""
    numbers = random.Random(1)
    made = growth.Samples({"client": 0})
    for second in range(0, 3601, 10):
        noise = numbers.choice([0, 0, 0, 3, 8]) * MIB * numbers.random()
        use = {
            "memory": memory(second) + noise,
            "descriptors": descriptors(second) + numbers.randrange(3),
            "threads": 20,
            "blocks": blocks(second) + second * 7 % 5000,
        }
        made.taken.append((second, second * 100, {"client": use}))
    return made


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (samples(), []),
        # What a process takes while it warms up is none of it.
        (samples(lambda second: min(second, 800) * MIB // 20), []),
        (samples(lambda second: (60 + second / 450) * MIB), ["the memory of client grew by 6.0"]),
        (
            samples(descriptors=lambda second: 20 + second // 300),
            ["client has 8.9 more descriptors"],
        ),
        (samples(descriptors=lambda second: 20 + second // 1000), ["client has 2."]),
        # One more, and then it stays.
        (samples(descriptors=lambda second: 20 + (second > 2000)), []),
        # Many connections for as long as many requests fail are none of it either.
        (samples(descriptors=lambda second: 40 if 2800 < second < 2960 else 20), []),
        # One for each call.
        (samples(blocks=lambda second: 300000 + 10 * second), ["client has 2"]),
    ],
)
def test_the_verdict(made, found):
    lines = growth.verdict(made, {"client": 4 * MIB}, 20000, 2)
    assert [line.startswith(start) for line, start in zip(lines, found)] == [True] * len(found)
    assert len(lines) == len(found), lines


def test_a_soak_in_short(tmp_path):
    """All of it for some seconds, in which memory still grows: only its page and values count."""
    page = tmp_path / "soak.md"
    command = [sys.executable, str(SOAK / "run.py"), "--seconds=15", "--every=0.5"]
    command += ["--growth=64", "--server-growth=256", "--blocks=1000000", "--counted=64"]
    command += [f"--save={page}"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    assert "Nothing was wrong and nothing grew." in page.read_text(encoding="utf-8")
    assert " 0 values checked" not in done.stdout


SPOILED = """
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

get, seen = TablestoreKVStorage.get, []

def another_nodes_value(self, key):
    seen.append(get(self, key))
    return seen[0]

TablestoreKVStorage.get = another_nodes_value
"""


def test_a_wrong_value_fails_the_soak(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SPOILED)
    path = f"{tmp_path}:{SOAK.parent.parent / 'python'}"
    done = subprocess.run(
        [sys.executable, str(SOAK / "run.py"), "--seconds=30", "--every=2", "--pace=300"]
        + ["--processes=1"],
        env=dict(os.environ, PYTHONPATH=path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "WrongValueError" in done.stdout
