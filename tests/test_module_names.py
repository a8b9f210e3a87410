"""Tests import modules by their bare names from several folders, so no two may have one name."""

import collections
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Those that tests put on sys.path, and those that pytest does.
FOLDERS = ["bench", "proof/soak", "security", "tests"]
FOLDERS += ["tests/" + name for name in ("cli", "compat", "contract", "docs", "migration")]
FOLDERS += ["tests/" + name for name in ("packaging", "sdks", "sentry")]
FOLDERS += ["tests/contract/provider", "tests/contract/read_through"]


def test_no_two_modules_have_one_name():
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    files = [Path(line) for line in subprocess.check_output(listed, cwd=ROOT, text=True).split()]
    names = collections.defaultdict(list)
    for file in files:
        # pytest gives each conftest.py a name of its own.
        if str(file.parent) in FOLDERS and file.name != "conftest.py" and (ROOT / file).exists():
            names[file.name].append(str(file))
    assert len(names) > 100
    assert [where for where in names.values() if len(where) > 1] == []
