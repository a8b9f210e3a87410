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
