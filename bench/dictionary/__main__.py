"""Measures what a zstd dictionary of a user's own nodes would save: a question, not a feature.

    make dictionary

Half of the generated events train the dictionaries, the other half is compressed. Sentry's own
sample events, where its environment for tests is there, are compressed with the same dictionaries:
nobody trained for them.
"""

# ruff: noqa: E402 - modules are imported from the folder that is named first
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import client_environment
import events
import facts
import page

VERSION = "3.11"
SAMPLES = ROOT / ".cache/sentry-23.7.1/lib/python3.8/site-packages/sentry/data/samples"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="bench/dictionary", description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=4000, help="to generate (4,000)")
    parser.add_argument("--save", type=Path, help="file to write the page to, beside showing it")
    arguments = parser.parse_args()
    try:
        python = client_environment.ensure(VERSION)
    except client_environment.NoEnvironmentError as error:
        sys.exit(f"bench/dictionary: {error}")
    zstandard = subprocess.check_output(
        [
            str(python),
            "-c",
            "import zstandard as z; print(z.__version__, '.'.join(map(str, z.ZSTD_VERSION)))",
        ],
        text=True,
    ).split()
    klauspost = subprocess.check_output(
        [_go(), "list", "-m", "-f", "{{.Version}}", "github.com/klauspost/compress"],
        cwd=ROOT,
        text=True,
    )
    versions = [
        f"libzstd {zstandard[1]} (zstandard {zstandard[0]})",
        f"klauspost/compress {klauspost.strip()}",
        facts.go_version(),
    ]
    gathered = facts.timed(facts.typed(), versions)
    made = events.make_mix(arguments.events)
    random.Random(len(made)).shuffle(made)
    half = len(made) // 2
    with tempfile.TemporaryDirectory(prefix="dictionary-") as name:
        folder = Path(name)
        _write(folder / "training", made[:half])
        measured = {"measured": made[half:]}
        samples = _samples()
        if samples:
            measured["samples"] = samples
        for what, some in measured.items():
            _write(folder / what, some)
        results = [
            page.Result(library="libzstd", **told) for told in _libzstd(python, folder, measured)
        ]
        results += [
            page.Result(library="klauspost", events=what, **told)
            for what in measured
            for told in _klauspost(folder, what)
        ]
    raw = {what: [len(event) for event in some] for what, some in measured.items()}
    text = page.page(gathered, half, raw, results)
    print(text)
    if arguments.save:
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        arguments.save.write_text(text)


def _samples() -> list[bytes]:
    """Read Sentry's sample events, as compact as what it gives to the nodestore."""
    return [
        json.dumps(json.loads(file.read_text()), sort_keys=True, separators=(",", ":")).encode()
        for file in sorted(SAMPLES.glob("*.json"))
    ]


def _write(file: Path, some: list[bytes]) -> None:
    file.write_bytes(b"".join(event + b"\n" for event in some))


def _libzstd(python: Path, folder: Path, measured: dict[str, list[bytes]]) -> list[dict]:
    return _told([str(python), str(HERE / "libzstd.py"), str(folder), *measured])


def _klauspost(folder: Path, what: str) -> list[dict]:
    dictionaries = sorted(folder.glob("* KB"), key=lambda file: file.stat().st_size)
    command = [_go(), "run", "./bench/dictionary/klauspost", str(folder / what)]
    return _told([*command, *map(str, dictionaries)])


def _told(command: list[str]) -> list[dict]:
    """Run a program that answers JSON, a line each."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("bench/dictionary: a program failed, see above")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _go() -> str:
    return os.environ.get("GO", "go")


if __name__ == "__main__":
    main()
