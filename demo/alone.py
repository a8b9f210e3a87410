"""The demo where there is no Sentry: events of the same kind through the package alone."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import table

HERE = Path(__file__).resolve().parent


def show(wheel: Path, home: Path) -> int:
    """Store and read the bundled events with the package alone; return the exit status.

    :param home: Folder for a virtual environment that gets the wheel and nothing else.
    """
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--force-reinstall", str(wheel)], check=True)
    print(
        "Missing below: Sentry itself, with its EventManager, `sentry upgrade` and nodestore.\n"
        "Shown: this package's TablestoreKVStorage on tablestore-local, with sample events.\n"
    )
    done = subprocess.run(
        [str(python), str(HERE / "store_samples.py"), str(HERE / "samples")],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        print("It failed: see above.", file=sys.stderr)
        return 1
    stored = [table.Stored(**event) for event in json.loads(done.stdout)]
    print("\n".join(table.lines(stored, stored="sent bytes")))
    print("\nRaw is the event's JSON, sent the whole request that stored it.")
    return 0 if all(event.same for event in stored) else 1
