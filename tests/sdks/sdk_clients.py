"""The clients of the official SDKs: each is made ready below `.cache` at its first use."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import interpreters
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = (ROOT / ".cache" / "sdks").resolve()  # npm ci wants no link in its way

PYTHONS = ("3.12", "3.11")  # the former loads the Python SDK's encoder in C++
JAVA = "17"
# Resolves the SDK and what it needs; pom.xml has their versions.
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def go() -> list[str]:
    """Give the command of the Go client, which is part of this project's module."""
    _needs("go")
    program = CACHE / "go-client"
    _run([_go(), "mod", "download", "github.com/aliyun/aliyun-tablestore-go-sdk"], "the Go SDK")
    _run([_go(), "build", "-o", program, "./tests/sdks/go"])
    return [str(program)]


def python() -> list[str]:
    """Give the command of the Python client, in the environment that other tests use too."""
    interpreter = next(filter(None, map(interpreters.find, PYTHONS)), None)
    if interpreter is None:
        wanted = " or ".join(PYTHONS)
        pytest.skip(f"the Python SDK's client needs a CPython {wanted} on PATH or in pyenv")
    try:
        inside = interpreters.environment(interpreter, "tablestore-sdk.txt")
    except RuntimeError as error:
        pytest.skip(f"the Python SDK cannot be had: {error}")
    return [str(inside), str(HERE / "python" / "client.py")]


def java() -> list[str]:
    """Give the command of the Java client."""
    _needs("java", "javac", "mvn")
    version = subprocess.run(["javac", "-version"], capture_output=True, text=True).stdout
    if int(re.findall(r"\d+", version)[0]) < int(JAVA):
        pytest.skip(f"the Java SDK's client needs a JDK {JAVA} or newer, not {version.strip()}")
    sources = sorted((HERE / "java").glob("*.java"))
    home = CACHE / "java"
    with _once(home, [HERE / "java" / "pom.xml", *sources]) as must_be_made:
        if must_be_made:
            repository = f"-Dmaven.repo.local={CACHE / 'maven'}"
            copy = [f"-DoutputDirectory={home / 'lib'}", "-DincludeScope=runtime"]
            command = ["mvn", "--quiet", "--batch-mode", "-f", HERE / "java" / "pom.xml"]
            _run([*command, repository, MAVEN_COPY, *copy], "the Java SDK")
            classes = ["-cp", f"{home / 'lib'}/*", "-d", home / "classes"]
            _run(["javac", "--release", JAVA, *classes, *sources])
    return ["java", "-cp", f"{home / 'classes'}:{home / 'lib'}/*", "Client"]


def node() -> list[str]:
    """Give the command of the Node client."""
    _needs("node", "npm")
    home = CACHE / "node"
    files = [HERE / "node" / name for name in ("package.json", "package-lock.json")]
    with _once(home, files) as must_be_made:
        if must_be_made:
            for file in files:
                shutil.copy(file, home)
            command = [
                "npm",
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ]
            _run([*command, "--cache", CACHE / "npm", "--prefix", home], "the Node SDK")
    # Node looks for packages beside the program, not where it was started.
    sources = [HERE / "node" / name for name in ("client.js", "values.js")]
    for source in sources:
        shutil.copy(source, home)
    return ["node", str(home / sources[0].name)]


def _go() -> str:
    return os.environ.get("GO") or "go"


def _needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(_go() if program == "go" else program) is None:
            pytest.skip(f"{program} is not on PATH")


@contextlib.contextmanager
def _once(home: Path, sources: list[Path]) -> Iterator[bool]:
    """Tell whether what is made of these files must be made anew, in an empty folder.

    Two runs do not make it at once, and a stamp that is written last tells of one that was
    interrupted.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    stamp = home / "made-of"
    with open(home.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == key:
            yield False
            return
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        yield True
        stamp.write_text(key)


def _run(command: list[object], packages: str = "") -> None:
    """Run a command; where it gets packages from outside, a failure of it is a reason to skip."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode == 0:
        return
    if packages:
        pytest.skip(f"{packages} cannot be had: {done.stdout.strip()[-2000:]}")
    raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
