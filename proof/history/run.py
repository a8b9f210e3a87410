"""Record a history under faults and kills, and check it: see README.md.

    python proof/history/run.py --seconds 600 --save docs/results/history.md

Needs `make build`. Exit status 0 only if every answer is explained.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import facts  # noqa: E402

SERVER = ROOT / "build" / "tablestore-local"
KEYS = {"ACCESS_KEY_ID": "history", "ACCESS_KEY_SECRET": "history-secret"}

FAULTS = [
    {"code": "OTSServerBusy", "probability": 0.04, "count": -1},
    {"code": "OTSTimeout", "probability": 0.02, "count": -1},
    {"code": "OTSInternalServerError", "probability": 0.02, "count": -1},
    {"action": "drop_before", "probability": 0.03, "count": -1},
    {"action": "drop_after", "probability": 0.06, "count": -1},
    {"action": "truncate", "probability": 0.03, "count": -1},
    {"action": "corrupt_body", "probability": 0.02, "count": -1},
    {"action": "corrupt_md5", "probability": 0.02, "count": -1},
    {"code": "OTSPartitionUnavailable", "rows": [0], "probability": 0.04, "count": -1},
    {"code": "OTSNotEnoughCapacityUnit", "probability": 0.03, "count": -1},
    {"delay_ms": 60, "probability": 0.05, "count": -1},
    # Longer than the client waits for an answer: it gives the request up and sends another.
    {"delay_ms": 2500, "probability": 0.01, "count": -1},
]

OUTAGE = 3.5  # seconds, longer than the timeout of the workers: their calls raise

PAGE = """# History of reads and writes

Processes with threads set, get, overwrite and delete the same nodes under random faults, while
clients and the server are killed. Afterwards a checker (porcupine) looks for an order of the calls
on each node that explains every answer: no acknowledged write is lost, no value comes out of thin
air, none is torn or comes back after it was deleted. [How](../../proof/history/README.md).

"""


class Server:
    """A `tablestore-local` on disk that is killed and started again at the same address."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.end_point = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._process = None

    def start(self):
        self._process = subprocess.Popen(
            [
                str(SERVER),
                f"--data={self._folder}",
                f"--listen=127.0.0.1:{self._port}",
                "--instance=sentry",
                "--faults",
            ],
            env=dict(
                os.environ,
                TABLESTORE_LOCAL_ACCESS_KEY_ID=KEYS["ACCESS_KEY_ID"],
                TABLESTORE_LOCAL_ACCESS_KEY_SECRET=KEYS["ACCESS_KEY_SECRET"],
            ),
            stdout=subprocess.PIPE,
        )
        if b" at http://" not in self._process.stdout.readline():
            raise RuntimeError("tablestore-local did not start")

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def faults(self, rules):
        request = urllib.request.Request(
            self.end_point + "/_faults", data=json.dumps(rules).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10):
            pass


def worker(server, file, *arguments):
    """Start a process of clients."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "worker.py"), server.end_point, str(file), *arguments],
        env=dict(os.environ, PYTHONPATH=str(ROOT / "python"), **KEYS),
    )


def bootstrap(server):
    """Create the table."""
    sys.path.insert(0, str(ROOT / "python"))
    from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

    options = {
        "end_point": server.end_point,
        "access_key_id": KEYS["ACCESS_KEY_ID"],
        "access_key_secret": KEYS["ACCESS_KEY_SECRET"],
    }
    TablestoreKVStorage("sentry", "history", options).bootstrap(automatic_expiry=False)


def record(server, folder, seconds, processes, numbers):
    """Let clients work, and kill them and the server now and then. Give the numbers of kills."""
    files = iter(folder / f"calls-{n}" for n in range(1_000_000))
    end = time.monotonic() + seconds
    killed_clients = killed_servers = 0
    with contextlib.ExitStack() as cleanup:
        running = []

        def start():
            left = end - time.monotonic()
            process = worker(server, next(files), f"--seconds={left}", "--threads=4")
            cleanup.callback(process.kill)
            return process

        running = [start() for _ in range(processes)]
        while end - time.monotonic() > 4:
            time.sleep(0.5 + numbers.random() * 2.5)
            victim = numbers.randrange(3)
            if victim == 0:
                server.kill()
                killed_servers += 1
                time.sleep(OUTAGE if numbers.random() < 0.2 else numbers.random() * 0.5)
                server.start()
                server.faults(FAULTS)
            elif victim == 1:
                place = numbers.randrange(processes)
                running[place].kill()
                running[place].wait()
                killed_clients += 1
                running[place] = start()
        for process in running:
            if process.wait(60):
                raise RuntimeError(f"a client ended with {process.returncode}")
    return killed_clients, killed_servers


def main():
    """Record, read everything once more, and check."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--save", type=Path, help="the page of Markdown to write")
    arguments = parser.parse_args()
    versions = [f"CPython {platform.python_version()}", facts.go_version()]
    gathered = facts.facts(f"make chaos CHAOS_SECONDS={arguments.seconds:g}", versions)
    gathered["seed"] = str(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    numbers = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="history-") as temporary:
        folder = Path(temporary)
        server = Server(folder / "data")
        server.start()
        try:
            bootstrap(server)
            server.faults(FAULTS)
            clients, servers = record(
                server, folder, arguments.seconds, arguments.processes, numbers
            )
            server.faults([])
            calls = sorted(folder.glob("calls-*"))
            keys = sorted(
                {
                    key
                    for file in calls
                    for key in re.findall(r"^i \S+ (\S+)", file.read_text(), re.M)
                }
            )
            (folder / "keys").write_text("\n".join(keys) + "\n")
            if worker(server, folder / "calls-last", f"--read={folder / 'keys'}").wait(300):
                raise RuntimeError("the last reading failed")
        finally:
            server.kill()
        kills = f"{clients} clients and {servers} servers killed"
        print(kills, flush=True)
        checker = ["go", "run", "./proof/history", *map(str, sorted(folder.glob("calls-*")))]
        done = subprocess.run(checker, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            kept = tempfile.mkdtemp(prefix="history-unexplained-")
            for file in folder.glob("calls-*"):
                shutil.copy(file, kept)
            print(f"the recorded calls are in {kept}", flush=True)
    print(done.stdout, end="", flush=True)
    if arguments.save:
        gathered["result"] = "**not explained**" if done.returncode else "every answer is explained"
        head = "\n".join(facts.lines(gathered))
        arguments.save.write_text(
            f"{PAGE}{head}\n\n{kills}.\n\n```text\n{done.stdout.strip()}\n```\n"
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
