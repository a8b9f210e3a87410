"""The wheel for aarch64, used under qemu where this machine is not one.

No fork here: where a process with threads forks and its child starts a thread, qemu 7.2 fails an
assertion of its own, with nothing but CPython in it.
"""

import json
import platform
import subprocess
import zipfile
from pathlib import Path

import built
import emulated
import pytest

EXERCISE = Path(__file__).resolve().parent / "exercise.py"


@pytest.fixture
def unpacked(tmp_path):
    """The wheel in a folder, and the path of its server."""
    if platform.machine() == "aarch64":
        pytest.skip("test_install.py installs this wheel here")
    with zipfile.ZipFile(built.wheel("aarch64")) as wheel:
        wheel.extractall(tmp_path)
    (server,) = tmp_path.glob("*.data/scripts/tablestore-local")
    server.chmod(0o755)
    return tmp_path, server


def test_it_works_in_cpython_for_aarch64(unpacked):
    folder, program = unpacked
    key = ["--access-key-id", "id", "--access-key-secret", "secret"]
    server = subprocess.Popen(
        emulated.command(program, "--memory", "--listen", "127.0.0.1:0", *key),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        end_point = server.stdout.readline().rsplit(None, 1)[-1]
        done = subprocess.run(
            emulated.command(emulated.python(), "-I", EXERCISE, folder, end_point),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["machine"] == "aarch64"
    assert told["engine"].endswith("linux/arm64)")
    assert set(told["read"].values()) == {True}, told["read"]
