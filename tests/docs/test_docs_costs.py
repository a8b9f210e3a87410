"""What the guide says that a million events cost is what the benchmark measures."""

import re
import subprocess
import sys

import pytest
from pages import REPOSITORY

_ROW = re.compile(
    r"^\| (none|zlib|zstd) \| ([\d.]+) GB \| ([\d.]+) million \| ([\d.]+) million \|$", re.M
)


def _figures(text):
    return {row[0]: [float(figure) for figure in row[1:]] for row in _ROW.findall(text)}


def test_capacity_units_of_a_million_events():
    told = _figures((REPOSITORY / "docs" / "tablestore.md").read_text(encoding="utf-8"))
    measured = _figures(
        subprocess.run(
            [sys.executable, str(REPOSITORY / "bench" / "cost.py"), "--events", "300"],
            stdout=subprocess.PIPE,
            check=True,
            universal_newlines=True,
        ).stdout
    )

    assert set(told) == {"none", "zlib", "zstd"}
    for compression, figures in told.items():
        assert measured[compression] == pytest.approx(figures, rel=0.05)
