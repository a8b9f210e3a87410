"""A recorded history of many clients under faults and kills; `make chaos` does it for longer."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_every_answer_is_explained():
    """See proof/history/README.md."""
    if shutil.which("go") is None:
        pytest.skip("the checker is a Go program")
    run = [sys.executable, str(ROOT / "proof" / "history" / "run.py"), "--seconds=15"]
    done = subprocess.run(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert done.returncode == 0, done.stdout.decode()[-3000:]
    assert b"every answer is explained" in done.stdout
