"""The quick start works as it stands: its blocks are run one after the other in a new folder."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pages import REPOSITORY, Page

_ADDRESS = "127.0.0.1:8087"


@pytest.fixture
def shell(tmp_path):
    """Run shell text as somebody with the package installed does, and give what it printed."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "tablestore-local").symlink_to(REPOSITORY / "build" / "tablestore-local")
    for name, module in (("sentry-tablestore", "sentry_tablestore.cli.main"), ("python3", "")):
        run = f"-c \"from {module} import main; main(prog_name='{name}')\"" if module else ""
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {run} "$@"\n')
        (programs / name).chmod(0o755)
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SENTRY_", "ALIBABA_CLOUD_", "TABLESTORE_LOCAL_"))
    }
    clean.update(
        PATH=f"{programs}:{os.environ['PATH']}",
        PYTHONPATH=str(REPOSITORY / "python"),
        HOME=str(tmp_path),
    )
    folder = tmp_path / "work"
    folder.mkdir()

    def run(text):
        done = subprocess.run(
            ["bash", "-e"],
            input=text,
            cwd=str(folder),
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_quick_start(shell):
    page = Page(REPOSITORY / "docs" / "quick-start.md")
    script, expected = [], []
    for block in page.blocks:
        if block.comment == "run" and block.language == "python":
            script.append(f"python3 - <<'END'\n{block.text}END\n")
        elif block.comment == "run":
            text = block.text
            if "tablestore-local --data" in text:
                # A reader takes the next step when the line is there.
                text = text.rstrip().rstrip("&") + "> ready &\n"
                text += "until grep -q serving ready; do sleep 0.05; done; cat ready\n"
            script.append(text)
        elif block.comment == "output":
            expected += block.text.splitlines()
    assert len(script) >= 4
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # However it ends, the server ends with it.
    said = shell(
        "trap 'kill $! 2>/dev/null || true' EXIT\n" + "".join(script).replace(_ADDRESS, address)
    )
    said = said.replace(address, _ADDRESS)
    for line in expected:
        pattern = re.escape(line.rstrip()).replace("…", ".*")
        assert re.search(f"^{pattern} *$", said, re.MULTILINE), f"not said: {line}\n\n{said}"


def test_readme_names_the_options_that_there_are():
    from sentry_tablestore.options import KNOWN

    text = Path(REPOSITORY / "README.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    missing = [name for name in KNOWN if name != "socket_timeout" and f"`{name}`" not in table]
    assert not missing
