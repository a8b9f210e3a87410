"""Starts a program of its own that uses a store. Runs on CPython 3.6."""

import json
import os
import subprocess
import sys

import forking
from sentry_tablestore import loader

BEGIN = """
import json, sys
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

store = TablestoreKVStorage("sentry", sys.argv[1], json.loads(sys.argv[2]))
key = sys.argv[3]
"""


def start(script, server, table, key, **options):
    """Start a script to which `store` and `key` are known.

    :param options: Other options of its store.
    """
    path = [os.path.dirname(os.path.dirname(os.path.abspath(loader.__file__)))]
    path.append(os.path.dirname(os.path.abspath(forking.__file__)))
    arguments = [table, json.dumps(server.client_options(**options)), key]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", BEGIN + script] + arguments,
        env=dict(os.environ, PYTHONPATH=":".join(path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process, seconds=forking.SECONDS):
    """Wait for a script to end, and give its status and what it printed and complained of.

    :raises AssertionError: when it hung.
    """
    try:
        output, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, complaints = process.communicate()
        raise AssertionError(f"it hung for {seconds} seconds: {output!r} {complaints!r}") from None
    return process.returncode, output.decode(), complaints.decode()
