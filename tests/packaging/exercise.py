"""Uses an installed wheel as a user would, in a process that forks; prints JSON.

Runs on CPython 3.6.
Its interpreter has the wheel and nothing else, and is not in this folder: see installed.py.
"""

import json
import os
import subprocess
import sys

import sentry_tablestore
from sentry_tablestore import engine
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

PROGRAM = os.path.join(sys.prefix, "bin", "tablestore-local")
KEY = {"access_key_id": "id", "access_key_secret": "secret"}


def main():
    """Store, read and delete nodes on the wheel's own server, also in a forked process."""
    command = [PROGRAM, "--memory", "--listen", "127.0.0.1:0"]
    command += ["--access-key-id", KEY["access_key_id"]]
    command += ["--access-key-secret", KEY["access_key_secret"]]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True)
    try:
        end_point = server.stdout.readline().rsplit(None, 1)[-1]
        tell(use(end_point))
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def use(end_point):
    """Return what was read back, by what it shows."""
    store = TablestoreKVStorage(
        "sentry", "nodestore", client_options=dict(KEY, end_point=end_point), compression="zstd"
    )
    store.bootstrap(automatic_expiry=False)
    store.set("parent", b"from the parent" * 1000)
    child = os.fork()
    if not child:
        # Not by an exception: the child must not go on with what its parent does.
        status = 1
        try:
            if store.get("parent") == b"from the parent" * 1000:
                store.set("child", b"from the child")
                status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    read = {
        "own": store.get("parent") == b"from the parent" * 1000,
        "child ended well": status == 0,
        "child's": store.get("child") == b"from the child",
        "missing": store.get("never written") is None,
    }
    store.delete("parent")
    read["deleted"] = store.get("parent") is None
    return read


def tell(read):
    """Print what is installed and what was read."""
    server = subprocess.check_output([PROGRAM, "--version"], universal_newlines=True)
    print(
        json.dumps(
            {
                "python": "%d.%d" % sys.version_info[:2],
                "version": sentry_tablestore.__version__,
                "engine": engine.version(),
                "server": server.split(" ", 1)[1].strip(),
                "file": sentry_tablestore.__file__,
                "read": read,
            }
        )
    )


if __name__ == "__main__":
    main()
