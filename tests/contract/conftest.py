"""The backend in each layout that Sentry has had. Runs on CPython 3.6."""

import sys

import pytest
import running_sentry


@pytest.fixture(params=running_sentry.LAYOUTS, scope="module")
def backend(request):
    """The backend's module, in each layout."""
    with running_sentry.layout(request.param) as module:
        module.layout = request.param
        yield module


@pytest.fixture
def recorded(backend):
    """What the stand-in of Sentry was told during this test."""
    record = sys.modules["stand_in"].recorded
    del record[:]
    return record


@pytest.fixture
def make_nodes(backend, server, table):
    """Make a backend with these options, on the shared table."""

    def make(**options):
        return backend.TablestoreNodeStorage(
            **server.client_options(**dict({"table": table}, **options))
        )

    return make
