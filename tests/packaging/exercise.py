"""Uses an installed wheel as a user would; prints JSON. Runs on CPython 3.6.

    python -I exercise.py                      with the wheel's own server, also in a forked process
    python -I exercise.py FOLDER END_POINT     the package in that folder, with a server that runs

Its interpreter has the wheel and nothing else, and is not in this folder: see installed.py.
"""

import json
import os
import platform
import subprocess
import sys

sys.path[:0] = sys.argv[1:2]

import sentry_tablestore  # noqa: E402
from sentry_tablestore import engine  # noqa: E402
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage  # noqa: E402

PROGRAM = os.path.join(sys.prefix, "bin", "tablestore-local")
KEY = {"access_key_id": "id", "access_key_secret": "secret"}


def main():
    """Store, read and delete nodes and tell what came of it."""
    if sys.argv[1:]:
        tell(use(sys.argv[2], fork=False))
        return
    command = [PROGRAM, "--memory", "--listen", "127.0.0.1:0"]
    command += ["--access-key-id", KEY["access_key_id"]]
    command += ["--access-key-secret", KEY["access_key_secret"]]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True)
    try:
        end_point = server.stdout.readline().rsplit(None, 1)[-1]
        tell(use(end_point, fork=True))
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def use(end_point, fork):
    """Return what was read back, by what it shows."""
    value = b"from the parent" * 1000
    store = TablestoreKVStorage(
        "sentry", "nodestore", client_options=dict(KEY, end_point=end_point), compression="zstd"
    )
    store.bootstrap(automatic_expiry=False)
    store.set("parent", value)
    read = {"own": store.get("parent") == value, "missing": store.get("never written") is None}
    if fork:
        read["in a child"] = in_a_child(lambda: store.get("parent") == value)
        read["by a child"] = in_a_child(lambda: store.set("child", value) is None)
        read["child's"] = store.get("child") == value
    store.delete("parent")
    read["deleted"] = store.get("parent") is None
    return read


def in_a_child(check):
    """Return whether a forked process ends well and finds this true."""
    child = os.fork()
    if not child:
        # Not by an exception: the child must not go on with what its parent does.
        status = 1
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def tell(read):
    """Print what is installed and what was read."""
    told = {
        "python": "%d.%d" % sys.version_info[:2],
        "patch": platform.python_version(),
        "machine": platform.machine(),
        "version": sentry_tablestore.__version__,
        "engine": engine.version(),
        "file": sentry_tablestore.__file__,
        "read": read,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
