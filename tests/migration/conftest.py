"""A PostgreSQL with tables like Sentry's `nodestore_node`."""

import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "sentry"))
sys.path.insert(0, str(Path(__file__).parent))

import debian
import nodestore_node
import services
from sentry_tablestore.migration.sources.postgresql import PostgreSQLReader


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL for all tests, with one database."""
    try:
        debian.program("postgres")
    except debian.MissingPackagesError as error:
        pytest.skip(str(error))
    with services.postgresql() as running:
        running.create_database("nodes")
        yield running


@pytest.fixture
def make_table(postgresql):
    """Make a table like `nodestore_node` with a name of its own."""

    def make() -> nodestore_node.Table:
        return nodestore_node.Table(postgresql.folder, "nodes", "node_" + uuid.uuid4().hex)

    return make


@pytest.fixture
def fetched(monkeypatch):
    """Bytes of values that each call of a reader's `fetch` gave."""
    sizes = []

    def fetch(self, ids, fetch=PostgreSQLReader.fetch):
        rows = fetch(self, ids)
        sizes.append(sum(len(row.value or b"") for row in rows))
        return rows

    monkeypatch.setattr(PostgreSQLReader, "fetch", fetch)
    return sizes
