"""A backend that reads through to an old nodestore, in each layout of Sentry."""

import sys

import pytest
from old_nodestore import OLD


@pytest.fixture
def old(backend):
    """The old store's module, empty."""
    import stand_in.old_store as module

    for kept in (module.nodes, module.times, module.calls, module.failures, module.meanwhile):
        kept.clear()
    state = sys.modules["sentry_tablestore.nodestore.read_through"]._State
    state.copying_from, state.reported_at, state.since_report = 0.0, 0.0, {}
    return module


@pytest.fixture
def make_nodes(backend, old, server, table):
    """Make a backend on the shared table that reads through to the old store."""

    def make(path=OLD, copy=False, **options):
        read_through = {"backend": path, "options": {}, "copy": copy}
        defaults = {"table": table, "read_through": read_through}
        return backend.TablestoreNodeStorage(**server.client_options(**dict(defaults, **options)))

    return make


@pytest.fixture
def nodes(make_nodes):
    made = make_nodes()
    made.validate()
    return made


@pytest.fixture
def counted(backend, old):
    """Tell how many nodes were counted since the last time, by result."""
    record = sys.modules["stand_in"].recorded
    del record[:]

    def count():
        counts = {}
        for entry in record:
            if entry[:2] == ("incr", "nodestore.tablestore.read_through"):
                result = entry[3]["result"]
                counts[result] = counts.get(result, 0) + entry[2]
        del record[:]
        return counts

    return count
