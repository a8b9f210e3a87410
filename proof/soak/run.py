"""Use the backend for an hour, and look whether anything grows: `make soak`.

Processes with threads use Sentry's backend against a tablestore-local on this machine, while
requests fail now and then. Every value read is checked. What each process uses is looked at every
few seconds. Needs `make build`. Exit status 0 only if nothing was wrong and nothing grew.

As fast as it goes, a process has soon taken the most that it ever needs at once. At a slow pace
that may take it an hour, and what grows for ever cannot be told from it.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "bench")]

import facts  # noqa: E402
from growth import MIB, Samples, verdict  # noqa: E402
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage  # noqa: E402
from sentry_tablestore.testing import serving  # noqa: E402

PROGRAM = ROOT / "build" / "tablestore-local"
SERVER = "tablestore-local"
WORKER = ROOT / "proof" / "soak" / "worker.py"

# What goes wrong all the time, a chance for each request.
ALWAYS = [
    {"code": "OTSServerBusy", "probability": 0.005, "count": -1},
    {"code": "OTSPartitionUnavailable", "rows": [0, 3], "probability": 0.005, "count": -1},
    {"action": "drop_before", "probability": 0.003, "count": -1},
    {"action": "drop_after", "probability": 0.003, "count": -1},
    {"action": "truncate", "probability": 0.002, "count": -1},
    {"action": "corrupt_body", "probability": 0.002, "count": -1},
    {"delay_ms": 50, "probability": 0.01, "count": -1},
]
# And what goes wrong besides for a twentieth of the time, in turns.
SPELLS = [
    {"code": "OTSNotEnoughCapacityUnit", "probability": 0.4, "count": -1},
    {"action": "drop_after", "probability": 0.3, "count": -1},
    # Longer than a call may take: it raises, and its request is given up.
    {"delay_ms": 12_000, "probability": 0.05, "count": -1},
    {"action": "corrupt_body", "probability": 0.3, "count": -1},
]
SPELLS_A_RUN = 12

MEMTABLE = 32 * MIB  # of a server that has been in use for long
WARMING = 128 * MIB  # what is written until it is so large: twice that, and some more


class Client:
    """A process of the soak.

    :ivar told: What it said last.
    """

    def __init__(self, server, arguments):
        command = [sys.executable, str(WORKER), server.end_point]
        command.append(f"--threads={arguments.threads}")
        command.append(f"--pace={arguments.pace / arguments.processes}")
        key = {"ACCESS_KEY_ID": server.access_key_id, "ACCESS_KEY_SECRET": server.access_key_secret}
        self.process = subprocess.Popen(
            command,
            env=dict(os.environ, **key),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.told = None
        self.complaint = b""
        self._listeners = [
            threading.Thread(target=listen, daemon=True)
            for listen in (self._listen, self._listen_to_complaints)
        ]
        for listener in self._listeners:
            listener.start()

    def _listen(self):
        for line in self.process.stdout:
            self.told = json.loads(line.decode())

    def _listen_to_complaints(self):
        for line in self.process.stderr:
            self.complaint += line

    def end(self):
        """End it, and give what was wrong or None."""
        self.process.stdin.close()
        status = self.process.wait(120)
        for listener in self._listeners:
            listener.join()
        return f"ended with {status}: {self.complaint.decode().strip()[-2000:]}" if status else None


class Spells:
    """Changes what goes wrong as time goes by."""

    def __init__(self, server, seconds):
        self._server, self._every, self._now = server, seconds / SPELLS_A_RUN, -1

    def at(self, second):
        """Let go wrong what does in this second of the run."""
        number, into = divmod(second, self._every)
        inside = 0.5 <= into / self._every < 0.55
        wanted = SPELLS[int(number) % len(SPELLS)] if inside else None
        if wanted is not self._now:
            self._server.fail(*([wanted] if wanted else []) + ALWAYS)
            self._now = wanted


def listening(port):
    """Give the id of the process that listens on a port of the loopback."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file]
    address = f"0100007F:{port:04X}"
    inode = next(row[9] for row in rows if row[1] == address and row[3] == "0A")
    for process in filter(str.isdigit, os.listdir("/proc")):
        # Another user's, or one that ended just now, shows nothing.
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{process}/fd"):
                if os.readlink(f"/proc/{process}/fd/{fd}") == f"socket:[{inode}]":
                    return int(process)
    raise RuntimeError("the server's process is not to be seen")


def metric(address, name):
    """Ask the server for one of its figures."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines())
    return float(lines[name])


def warm(server, metrics):
    """Bring the server's memtables to the size that they have once it was in use for long.

    Pebble doubles them, from 256 KiB to 32 MiB, whenever one is more than half full as it is
    written out, and never makes them smaller. Here that may come about at any time or not at all,
    and then takes two or three times the difference. Nothing is left of what is written for it.

    :raises RuntimeError: they do not have that size.
    """
    scratch = TablestoreKVStorage(server.instance, "scratch", server.client_options())
    scratch.bootstrap(automatic_expiry=False)
    for number in range(WARMING // MIB):
        scratch.set(str(number), os.urandom(MIB))
    scratch.destroy()
    size = metric(metrics, "tablestore_local_store_memtable_bytes")
    if size < MEMTABLE:
        raise RuntimeError(f"a memtable has {size / MIB:g} MiB after {WARMING / MIB:g} MiB written")


def free_address():
    """Give an address of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def soak(arguments):
    """Run, and give the page and the lines of what grew.

    :raises RuntimeError: a client read what was never written, or died.
    """
    versions = [f"CPython {platform.python_version()}", facts.go_version()]
    gathered = facts.facts(command_of(arguments), versions)
    metrics = free_address()
    with contextlib.ExitStack() as cleanup:
        server = cleanup.enter_context(
            serving(str(PROGRAM), arguments=["--metrics-listen", metrics])
        )
        TablestoreKVStorage(
            server.instance,
            "nodestore",
            server.client_options(),
            default_ttl=timedelta(days=30),
        ).bootstrap(automatic_expiry=True)
        warm(server, metrics)
        clients = [Client(server, arguments) for _ in range(arguments.processes)]
        for client in clients:
            cleanup.callback(client.process.kill)
        while not all(client.told for client in clients):
            if any(client.process.poll() is not None for client in clients):
                raise RuntimeError([client.end() for client in clients])
            time.sleep(0.1)
        processes = {f"client {n + 1}": c.process.pid for n, c in enumerate(clients)}
        processes[SERVER] = listening(int(server.end_point.rsplit(":", 1)[1]))
        samples, spells = Samples(processes), Spells(server, arguments.seconds)
        begun, due, second, cpu = time.monotonic(), 0.0, 0.0, {}
        while second <= arguments.seconds and all(c.process.poll() is None for c in clients):
            spells.at(second)
            if second >= due:
                calls = sum(client.told["calls"] for client in clients)
                blocks = {n: c.told["blocks"] for n, c in zip(processes, clients)}
                goroutines = {SERVER: int(metric(metrics, "go_goroutines"))}
                samples.take(second, calls, goroutines=goroutines, blocks=blocks)
                due += arguments.every
                cpu = samples.cpu()
            time.sleep(0.2)
            second = time.monotonic() - begun
        server.heal()
        wrong = [(name, client.end()) for name, client in zip(processes, clients)]
    wrong = [f"{name} {complaint}" for name, complaint in wrong if complaint]
    if wrong:
        raise RuntimeError("\n".join(wrong))
    limits = dict.fromkeys(processes, arguments.growth * MIB)
    limits[SERVER] = arguments.server_growth * MIB
    wrong = verdict(samples, limits, arguments.blocks, arguments.counted)
    told = [client.told for client in clients]
    return page(gathered, arguments, samples, told, cpu, wrong), wrong


def page(gathered, arguments, samples, told, cpu, wrong):
    """Write what was seen, as Markdown."""
    seconds, calls = samples.taken[-1][:2]
    counting = samples.counting()
    calls_of_a_client = (calls - counting[0][1]) / arguments.processes
    kinds, errors = Counter(), Counter()
    for one in told:
        kinds.update(one["kinds"])
        errors.update(one["errors"])
    lines = [
        "# Soak",
        "",
        "Whether anything grows while Sentry's backend is used for long. "
        f"{arguments.processes} processes with {arguments.threads} threads each store, read and "
        "delete events of the sizes of a Sentry's (zstd) on a tablestore-local of the same "
        f"machine{'' if arguments.pace else ', as fast as they can'}. "
        "A thread ends after a minute and another takes its place. Requests fail at "
        "random all the time (errors, throttling, resets, cut and corrupted answers), and for a "
        "twentieth of the time far more of them do. Every value read is compared with what was "
        f"written. Before the first sample {WARMING // MIB} MiB are written and dropped, so that "
        f"each of the server's memtables has the {MEMTABLE // MIB} MiB that it has once the server "
        "has been in use for long.",
        "",
        *facts.lines(gathered),
        f"- pace: {calls / seconds:.0f} calls a second for {seconds:,.0f} s"
        + "".join(
            f", {100 * used / seconds:.0f} % of a core for {who}"
            for who, used in (
                ("the clients", sum(used for name, used in cpu.items() if name != SERVER)),
                ("the server", cpu.get(SERVER, 0)),
            )
        ),
        "",
        f"{sum(one['calls'] for one in told):,} calls, "
        f"{sum(one['values'] for one in told):,} values checked, "
        f"{sum(errors.values()):,} calls raised"
        + "".join(f", {number:,} {name}" for name, number in sorted(errors.items()))
        + f"; the longest call took {max(one['longest'] for one in told):.1f} s "
        "(its deadline is 10 s), the longest of each process "
        + ", ".join(f"{one['longest']:.1f}" for one in told)
        + " s; one of its threads that slept for 50 ms woke up late by up to "
        + ", ".join(f"{one['overslept']:.1f}" for one in told)
        + " s. "
        "Calls: " + ", ".join(f"{kind} {number:,}" for kind, number in kinds.most_common()) + ".",
        "",
        "## Over time",
        "",
        "Resident memory in MiB / descriptors / OS threads.",
        "",
        "| second | calls | " + " | ".join(samples.processes) + " | its goroutines |",
        "|--:|--:|" + "--:|" * (len(samples.processes) + 1),
    ]
    rows = min(13, len(samples.taken))
    for n in range(rows):
        second, calls, uses = samples.taken[n * (len(samples.taken) - 1) // max(1, rows - 1)]
        cells = [
            "{:.1f} / {} / {}".format(use["memory"] / MIB, use["descriptors"], use["threads"])
            for use in uses.values()
        ]
        cells = [f"{second:,.0f}", f"{calls:,}", *cells, str(uses[SERVER]["goroutines"])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Verdict",
        "",
        f"Of {len(samples.taken)} samples those after the first quarter count, {len(counting)}. "
        "Growth of memory is the median of the slopes between any two of them (Theil and Sen) over "
        f"that time; a client may grow by {arguments.growth:g} MiB, "
        f"{arguments.growth * MIB / calls_of_a_client:,.0f} bytes a call, the server by "
        f"{arguments.server_growth:g} MiB. By the same measure there may be {arguments.counted:g} "
        "more descriptors, threads and goroutines, and a client may have "
        f"{arguments.blocks:,} more of Python's blocks of memory. In brackets: the most that there "
        "was.",
        "",
        "| process | memory, MiB | blocks | descriptors | threads | goroutines |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name in samples.processes:
        cells = [name, f"{samples.growth(name) / MIB:+.2f}", ""]
        if "blocks" in samples.taken[0][2][name]:
            cells[-1] = f"{samples.growth(name, 'blocks'):+,.0f}"
        for what in ("descriptors", "threads", "goroutines"):
            if what in samples.counted(name):
                cells.append(f"{samples.growth(name, what):+.1f} ({samples.most(name, what)})")
            else:
                cells.append("")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Nothing was wrong and nothing grew." if not wrong else "**WRONG**:", ""]
    return "\n".join(lines + [f"- {line}" for line in wrong])


def command_of(arguments):
    """Give the command as it can be typed again."""
    pace = f" SOAK_PACE={arguments.pace:g}" if arguments.pace else ""
    return f"make soak SOAK_SECONDS={arguments.seconds:g}{pace}"


def main():
    """Run, and save the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument(
        "--pace", type=float, default=0, help="calls a second, of all processes; 0 all they can"
    )
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--every", type=float, default=10, help="seconds from sample to sample")
    parser.add_argument("--growth", type=float, default=4, help="MiB that a client may grow by")
    parser.add_argument("--server-growth", type=float, default=16, help="MiB, of the server")
    parser.add_argument("--blocks", type=int, default=20_000, help="of Python, that a client may")
    # A connection or thread more is chance, one for each so many calls is not.
    parser.add_argument(
        "--counted", type=float, default=2, help="of descriptors, threads, goroutines"
    )
    parser.add_argument("--save", help="the file to write the page to, besides standard output")
    arguments = parser.parse_args()
    if arguments.seconds < 8 * arguments.every:
        parser.error("a growth takes eight samples at least: more --seconds, or a smaller --every")
    text, wrong = soak(arguments)
    print(text)
    if arguments.save:
        Path(arguments.save).parent.mkdir(parents=True, exist_ok=True)
        Path(arguments.save).write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
