"""A migration that is killed again and again while Sentry saves, reads and deletes events.

MIGRATION_ROWS, MIGRATION_KILLS and MIGRATION_RESULT (a file) make it the proof of
`make migration-proof`.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import migrating
import migration_page
import nodestore_rows as kinds
import pytest
import services
from console import Console
from migrating import Migrate, Switched
from sentry_tablestore.testing import LocalServer
from tablestore_local import TablestoreLocal

ROWS = int(os.environ.get("MIGRATION_ROWS", "4000"))
KILLS = int(os.environ.get("MIGRATION_KILLS", "3"))
RESULT = os.environ.get("MIGRATION_RESULT", "")
SAMPLES = ("python", "javascript", "java", "ruby")
# Bytes: with Sentry's settings, its database driver, the engine and four workers.
MOST_MEMORY = 200_000_000
# Rows a second while it is killed, so that there is something left for the last run.
SLOWLY = max(1000, ROWS // (2 * KILLS))
# Rows whose values the migration has to bring, or finds brought by itself.
MOVED = (kinds.NORMAL, kinds.SAME, kinds.OLDER)


@pytest.fixture(scope="module")
def switched(
    sentry_environment: Path,
    postgresql: services.PostgreSQL,
    redis: services.Redis,
    tablestore: TablestoreLocal,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Switched]:
    folder = tmp_path_factory.mktemp("proof")
    with migrating.switched("proof", ROWS, folder, postgresql, redis, tablestore) as made:
        yield made


def test_a_migration_that_is_killed_again_and_again_is_complete(
    switched: Switched, postgresql: services.PostgreSQL, tablestore: TablestoreLocal
) -> None:
    gathered = migration_page.begun(ROWS, KILLS)
    chance = random.Random(ROWS)
    migrate = Migrate(switched.sentry, switched.folder / "checkpoint")
    database, before = switched.database, switched.folder / "before"
    made = Counter(kinds.kind(n) for n in range(ROWS))
    assert database.count() == ROWS
    deletable = migrating.ids(ROWS, switched.now, kinds.DELETED)
    pieces = [deletable[n :: KILLS + 1] for n in range(KILLS + 1)]
    kills: list[int] = []
    # Nodes that were deleted between two runs and no run had counted; and those deleted during a
    # run, of which it may have counted some.
    unread = racing = deleted_meanwhile = 0
    # The kills, Ctrl-C and the restart of PostgreSQL are all over the table.
    step = ROWS // (KILLS + 3)
    begun = time.monotonic()
    with contextlib.ExitStack() as running:
        running.enter_context(switched.sentry.worker(["events.save_event"], 2))
        inside = running.enter_context(switched.sentry.console())
        deleting = running.enter_context(switched.sentry.console())
        reader = running.enter_context(switched.sentry.console())
        seen = running.enter_context(reading(switched, reader))
        saved = running.enter_context(saving(inside, reader))
        for number, piece in enumerate(pieces):
            if migrate.checkpoint.exists():
                shutil.copy(migrate.checkpoint, before)
            deleted = Deleting(deleting, piece[::2])
            if number < KILLS:
                ended = migrate.run(
                    "--rate",
                    str(SLOWLY),
                    ended_by=signal.SIGKILL,
                    at=(number + 1) * step,
                    after=chance.uniform(0, 0.2),
                    meanwhile=deleted,
                )
                assert ended.status == -signal.SIGKILL, ended.stdout + ended.stderr
                kills.append(migrating.rows_counted(migrate.checkpoint))
            else:
                with throttled(tablestore) as busy:
                    interrupted = migrate.run(
                        "--rate",
                        str(SLOWLY),
                        ended_by=signal.SIGINT,
                        at=(KILLS + 1) * step,
                        meanwhile=deleted,
                    )
                assert interrupted.status == 130, interrupted.stdout + interrupted.stderr
                assert interrupted.seconds < 1
            racing += len(deleted.ids) - database.counted(before, deleted.ids)
            deleted_meanwhile += len(deleted.ids)
            left = [id for id in piece if id not in deleted.ids]
            unread += len(left) - database.counted(migrate.checkpoint, left)
            deleting.call("nodes.delete_multi", node_ids=left)
    # The last run: PostgreSQL is restarted under it, without a Sentry, which would lose events.
    last = migrate.run("--rate", str(SLOWLY), meanwhile=restarted(postgresql))
    seconds = time.monotonic() - begun
    assert deleted_meanwhile > len(deletable) // 10
    assert max(busy) > 10

    # 1. Every line of the report, with those of the runs that were killed, against what was made.
    assert last.status == 1, last.stdout + last.stderr
    assert "Finished:" in last.stdout, last.stdout + last.stderr
    counts = last.counts()
    assert counts["read"] == sum(counts[name] for name in counts if name != "read")
    overtaken = ROWS - unread - counts["read"]
    assert 0 <= overtaken <= racing
    expected = {name: made[name] for name in (kinds.NEWER, kinds.EXPIRED, "pickle", "broken")}
    assert {name: counts[name] for name in expected} == expected
    brought = sum(made[kind] for kind in (*MOVED, kinds.DELETED)) - unread - overtaken
    assert counts["moved"] + counts.get("deleted", 0) == brought
    assert len(failed(migrate)) == made["pickle"] + made["broken"]

    # 2. Rows that failed, once more.
    pickles = migrate.run("--allow-pickle")
    after = pickles.counts()
    assert pickles.status == 1, pickles.stdout + pickles.stderr
    assert after == {
        **{name: counts[name] for name in counts if name != "pickle"},
        "moved": counts["moved"] + made["pickle"],
    }
    assert sorted(failed(migrate)) == sorted(migrating.ids(ROWS, switched.now, kinds.BROKEN))

    # 3. The comparison of both nodestores as they are now, with the source's own count.
    compared = verified(switched)
    assert compared.pop("nodes") == database.count() == ROWS - made[kinds.DELETED]
    assert compared == {
        "complete": False,
        "same": sum(made[kind] for kind in (*MOVED, "pickle")),
        "newer": made[kinds.NEWER],
        "expired": made[kinds.EXPIRED],
        "unreadable": made[kinds.BROKEN],
    }
    # What nobody can read is taken out of the source, as the report names it.
    assert database.delete(failed(migrate)) == made[kinds.BROKEN]
    complete = verified(switched)
    assert complete == {
        **{name: compared[name] for name in compared if name != "unreadable"},
        "complete": True,
        "nodes": database.count(),
    }

    # 4. Every node of the table against what was made, by the test's own knowledge.
    own = {*saved.nodes, "written-by-parent"}
    wrong = migrating.differences(switched.store, ROWS, switched.now, own, pickles=True)
    assert wrong == []

    assert seen["misses"] == 0, seen["wrong"]
    assert seen["reads"] > 1000
    assert seen["reads of new"] > 0
    assert max(run.alone for run in migrate.runs) < MOST_MEMORY
    if RESULT:
        migration_page.write(
            Path(RESULT),
            gathered=gathered,
            made=made,
            kills=kills,
            interrupted=interrupted,
            last=last,
            pickles=pickles,
            unread=unread,
            overtaken=overtaken,
            deleted_meanwhile=deleted_meanwhile,
            busy=busy,
            saved=len(saved.events),
            seen=seen,
            compared=compared,
            complete=complete,
            compared_nodes=ROWS - made[kinds.DELETED],
            seconds=seconds,
            runs=migrate.runs,
        )


@contextmanager
def reading(switched: Switched, inside: Console) -> Iterator[dict[str, Any]]:
    """Read events in a Sentry all the time; gives what it saw, once the context has ended."""
    wanted = switched.folder / "wanted"
    migrating.write_readable(wanted, ROWS, switched.now)
    seen: dict[str, Any] = {}
    inside.call("migrating.start_reading", wanted=str(wanted), seed=ROWS)
    try:
        yield seen
    finally:
        seen.update(inside.call("migrating.stop_reading"))


class Saved:
    """Events that a worker saved.

    :ivar nodes: The ids of their nodes, all of which could be read at the end.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.nodes: list[str] = []


@contextmanager
def saving(inside: Console, reader: Console) -> Iterator[Saved]:
    """Have the worker save events all the time, and read what it has saved from then on."""
    saved = Saved()
    submitted: set[str] = set()
    over = threading.Event()

    def tell_the_reader() -> None:
        fresh = [*(set(inside.call("worker.finished")) & submitted - set(saved.events))]
        reader.call("migrating.also_read", event_ids=fresh)
        saved.events += fresh

    def submit() -> None:
        while not over.wait(1.0):
            submitted.update(inside.call("events.submit", samples=[*SAMPLES]))
            tell_the_reader()

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield saved
    finally:
        over.set()
        thread.join()
    end = time.monotonic() + 120
    while len(saved.events) < len(submitted):
        assert time.monotonic() < end, f"{len(saved.events)} of {len(submitted)} events were saved"
        time.sleep(0.2)
        tell_the_reader()
    saved.nodes = [inside.call("events.node_id", event_id=id) for id in saved.events]
    read = inside.call("nodes.get_multi", node_ids=saved.nodes)
    assert {value["event_id"] for _, value in read} == submitted


class Deleting:
    """Deletes nodes in Sentry one by one, as long as the context lasts.

    Whether any of them is left can be told only when a migration has ended: one that was killed may
    have sent some just before.

    :ivar ids: Those that it has deleted.
    """

    def __init__(self, inside: Console, ids: list[str]) -> None:
        self.ids: list[str] = []
        self._inside = inside
        self._todo = ids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._delete)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def _delete(self) -> None:
        for id in self._todo:
            if self._over.is_set():
                return
            self.ids.append(id)
            self._inside.call("nodes.delete_multi", node_ids=[id])


@contextmanager
def throttled(tablestore: TablestoreLocal) -> Iterator[list[int]]:
    """Have the target ask to slow down, whole requests and then rows of them; gives how often.

    Not the first row: Sentry's deletes, of one row each, would not get through before their time.
    """
    hits: list[int] = []
    server = LocalServer(
        tablestore.end_point, "sentry", tablestore.access_key_id, tablestore.access_key_secret
    )
    busy = {"operation": "BatchWriteRow", "code": "OTSServerBusy"}
    with server.failing({**busy, "count": 30}, {**busy, "rows": [2, 4, 6], "count": 200}):
        yield hits
        hits += server.hits()


@contextmanager
def restarted(postgresql: services.PostgreSQL) -> Iterator[None]:
    """Restart PostgreSQL once the context has begun."""
    postgresql.restart()
    yield


def failed(migrate: Migrate) -> list[str]:
    """Give the ids in the file of those that failed."""
    lines = Path(f"{migrate.checkpoint}.failed").read_text().splitlines()
    return [line.split("\t")[0] for line in lines]


def verified(switched: Switched) -> dict[str, Any]:
    """Give what `sentry-tablestore verify` counts."""
    done = switched.sentry.tablestore("verify", "--allow-pickle", "--json", deadline=500)
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["complete"] else 1), done.stderr
    kept = ("complete", "nodes", *migrating.COMPARED)
    return {name: told[name] for name in kept if told[name] or name == "complete"}
