"""Settings that the pages show are accepted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import REPOSITORY, blocks, pages
from sentry_tablestore.cli.configuration import FILE_VARIABLE, PREFIX
from sentry_tablestore.options import KNOWN

_WITH_OPTIONS = [
    block for block in blocks("python", "yaml") if "SENTRY_NODESTORE_OPTIONS" in block.text
]


@pytest.mark.parametrize("block", _WITH_OPTIONS, ids=str)
def test_nodestore_options_are_accepted(block):
    stand_ins = REPOSITORY / "tests" / "stand_ins"
    path = [REPOSITORY / "python", stand_ins / "newest", stand_ins / "shared"]
    clean = {name: text for name, text in os.environ.items() if not name.startswith("ALIBABA_")}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "accepts.py")],
        input=_settings(block),
        env=dict(
            clean,
            PYTHONPATH=os.pathsep.join(map(str, path)),
            ALIBABA_CLOUD_ACCESS_KEY_ID="id",
            ALIBABA_CLOUD_ACCESS_KEY_SECRET="secret",
            SENTRY_EVENT_RETENTION_DAYS="90",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    assert done.returncode == 0, done.stdout


def test_variables_of_the_environment_are_options():
    known = {PREFIX + name.upper() for name in KNOWN} | {FILE_VARIABLE}
    for page in pages():
        text = page.path.read_text(encoding="utf-8")
        named = set(re.findall(rf"\b{PREFIX}[A-Z_]+", text))
        assert named <= known, page.name


def _settings(block):
    text = block.code
    if block.language == "yaml":
        # Values of the chart: settings are under a key.
        lines = text.splitlines()
        at = next(i for i, line in enumerate(lines) if line.rstrip().endswith("sentryConfPy: |"))
        indent = len(lines[at]) - len(lines[at].lstrip()) + 2
        inside = []
        for line in lines[at + 1 :]:
            if line.strip() and not line.startswith(" " * indent):
                break
            inside.append(line[indent:])
        text = "\n".join(inside)
    return text.replace("…", "x")  # a key, which the reader has
