"""The benchmark of two nodestores in small: both do all of it, and the page says so."""

import contextlib
from pathlib import Path

import pytest
from installation import Installation, Nodestore
from services import PostgreSQL, Redis

BENCH = Path(__file__).resolve().parents[2] / "bench"
NODES = 400


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmark's modules be imported."""
    for folder in (BENCH, BENCH / "nodestores"):
        monkeypatch.syspath_prepend(folder)


@pytest.mark.usefixtures("modules")
def test_both_nodestores(
    postgresql: PostgreSQL, redis: Redis, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import disk
    import events
    import installation
    import measure
    import page
    import tablestore_local

    file = tmp_path / "events"
    file.write_bytes(b"".join(event + b"\n" for event in events.make_mix(50)))
    plan = measure.Plan(nodes=NODES, clients=2, seconds=0.2, read_at_once=20)
    steps: list[str] = []
    with contextlib.ExitStack() as running:
        database = running.enter_context(installation.database(postgresql, "sentry_bench"))
        local = running.enter_context(tablestore_local.serving())
        stores = []
        for name, nodestore, space in (
            ("PostgreSQL", Nodestore(), disk.PostgreSQLDisk(postgresql, database)),
            ("local", local.nodestore("bench", compression="zstd"), disk.LocalDisk(local, 30, 3)),
        ):
            folder = tmp_path_factory.mktemp("bench")
            made = Installation(folder, database, nodestore, postgresql, redis, log_requests=False)
            stores.append(measure.Store(name, made, space))
        figures = measure.measure(stores, file, plan, steps.append)
        settings = stores[0].disk.settings()
    assert steps[-1] == "done"
    operations = {(operation, n) for operation in ("set", "get", "get_multi") for n in (1, 2)}
    assert set(figures[1].bounds) == operations
    for measured in figures:
        assert set(measured.rates) == {("delete", 1), *operations}
        assert min(measured.rates.values()) > 1
        assert all(measured.rates[key] < bound for key, bound in figures[1].bounds.items())
        # Half a megabyte to four, of 400 events of 10 KB.
        assert 500 * NODES < measured.before.data < 10_000 * NODES
    assert figures[1].after[0].space.data < 0.75 * figures[1].before.data
    text = page.page({"commit": "none"}, plan, *figures, settings, "its defaults")
    assert "| sets a second, 1 client |" in text
    assert "fsync=off" in text  # the test's own PostgreSQL
    assert "- commit: none" in text
