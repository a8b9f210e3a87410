"""What a migration takes of the memory, in a process of its own."""

import json
import os
import random
import subprocess
import sys
import uuid
from pathlib import Path

import memory
import nodestore_node

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = 40_000
# CPython with psycopg2 and the engine, before the first row, take 45 MB of it.
MOST = 150_000_000


def test_a_migration_that_compresses_anew_takes_little_memory(
    make_table, make_store, server, tmp_path
):
    chance = random.Random(1)
    values = [
        nodestore_node.encoded(json.dumps({"n": [chance.random() for _ in range(size)]}).encode())
        for size in (20, 200, 300, 900)
    ]
    table = make_table()
    table.run(
        "INSERT INTO {table} SELECT md5(n::text), (%s::text[])[n %% 4 + 1], now()"
        " FROM generate_series(1, %s) n",
        [values, ROWS],
    )
    target = make_store(table="t_" + uuid.uuid4().hex)
    target.bootstrap(automatic_expiry=False)
    told = {
        "contestant": "zstd",
        "dsn": " ".join(f"{name}={value}" for name, value in table.parameters.items()),
        "source": table.name,
        "options": server.client_options(),
        "table": target.table_name,
        "folder": str(tmp_path),
        "rows": ROWS,
        "workers": 4,
    }
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "bench" / "migrate" / "contestant.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        universal_newlines=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT / "python")),
    )
    watched = memory.Watched(process)
    process.communicate(json.dumps(told))
    watched.join()
    target.destroy()
    assert process.returncode == 0
    assert watched.together < MOST
