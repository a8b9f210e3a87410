"""The test that docs/tablestore-local.md shows passes."""

import os
import subprocess
import sys
from pathlib import Path

from pages import blocks

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_fixture(tmp_path):
    [block] = [b for b in blocks("python") if "import tablestore_local" in b.text]
    (tmp_path / "test_shown.py").write_text(block.text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "python"),
            "PATH": os.pathsep.join([str(ROOT / "build"), os.environ["PATH"]]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
