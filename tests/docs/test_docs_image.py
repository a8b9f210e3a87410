"""The script that the guide to self-hosted has the image run installs the wheel, once."""

import os
import platform
import subprocess

from pages import REPOSITORY, Page


def test_enhance_image(tmp_path):
    page = Page(REPOSITORY / "docs" / "self-hosted.md")
    (block,) = (block for block in page.blocks if "enhance-image.sh" in block.text)
    text = "".join(line + "\n" for line in block.text.splitlines() if "docker" not in line)
    text = text.replace("x86_64.whl", platform.machine() + ".whl")
    text = text.replace("/usr/src/sentry", str(tmp_path / "sentry"))
    (wheel,) = (word for word in text.split() if word.startswith("sentry_tablestore-2"))
    (tmp_path / "sentry").mkdir()
    (tmp_path / wheel).write_text("")
    (tmp_path / "sentry" / wheel.replace(platform.machine(), "another")).write_text("")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "pip").write_text('#!/bin/sh\necho pip "$@"\n')
    (programs / "pip").chmod(0o755)

    subprocess.run(["bash", "-e"], input=text, cwd=str(tmp_path), check=True, text=True)
    done = subprocess.run(
        [str(tmp_path / "sentry" / "enhance-image.sh")],
        env=dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}"),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert done.stdout == f"pip install --no-deps {tmp_path / 'sentry' / wheel}\n"
