"""A local server for all tests, and stores in it. Runs on CPython 3.6."""

import os
import shutil
import subprocess
import sys
import uuid

import pytest

# The source tree's package, or the installed one in a folder that `make compat` names.
sys.path.insert(
    0,
    os.environ.get("TESTED_PACKAGE")
    or os.path.join(os.path.dirname(os.path.dirname(__file__)), "python"),
)
sys.path.insert(0, os.path.dirname(__file__))

import local_server
from secrets_watch import (  # noqa: F401 - pytest finds them here
    _no_secret_is_shown,
    pytest_runtest_makereport,
    shows_secrets,
)
from sentry_tablestore.attention import attention
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Give pytest-xdist, where `make test` runs it, the parts that stay in one process each.

    A part is a file, for what its tests share. All tests with a real Sentry are one part, the first
    to begin: they share servers and a database that take minutes to make. The first of all hooks:
    pytest-xdist's own, which takes the parts over, is a later plugin's and so the earlier call.
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return

    def part(item):
        path = item.nodeid.partition("::")[0]
        return "sentry" if path.startswith("tests/sentry/") else path

    for item in items:
        item.add_marker(pytest.mark.xdist_group(part(item)))
    items.sort(key=lambda item: part(item) != "sentry")


@pytest.fixture(autouse=True)
def _no_warning_is_held_back():
    """Let each test see the warnings of its own calls, whatever earlier ones warned of."""
    attention.begin_anew()


@pytest.fixture(autouse=True)
def _environment_as_it_was():
    """Undo what a test did to the environment: commands that run in this process set variables."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def server():
    """A server that all tests share: whoever makes it fail undoes that, nobody moves its clock."""
    address = os.environ.get(local_server.VARIABLE)
    if address:
        yield local_server.at(address)
        return
    with local_server.serving() as running:
        yield running


@pytest.fixture(scope="session")
def table(server):
    """Name a table for this run that is there and keeps everything."""
    name = "nodes_" + uuid.uuid4().hex
    store = TablestoreKVStorage("sentry", name, server.client_options())
    store.bootstrap(automatic_expiry=False)
    yield name
    store.destroy()


@pytest.fixture(scope="session")
def make_store(server, table):
    """Make a store of the shared table, with other options where given."""

    def make(**options):
        parameters = {"table_name": options.pop("table", table)}
        for name in ("default_ttl", "compression", "reserved_throughput", "automatic_expiry"):
            if name in options:
                parameters[name] = options.pop(name)
        return TablestoreKVStorage(
            "sentry", client_options=server.client_options(**options), **parameters
        )

    return make


@pytest.fixture(scope="session")
def store(make_store):
    """A store of the shared table."""
    return make_store()


@pytest.fixture
def new_id():
    """Make ids that no other test has."""
    prefix = uuid.uuid4().hex[:12]
    count = iter(range(10**9))
    return lambda: f"{prefix}-{next(count)}"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A folder of certificates that a server can show (tests/certificates)."""
    if not shutil.which("go"):
        pytest.skip("there is no Go to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "certificates")
    subprocess.check_call(["go", "run", ".", str(folder)], cwd=program)
    return folder


@pytest.fixture(scope="session")
def sdk(server):
    """The official Python SDK, as another reader and writer of the server's tables."""
    # Here, not above: these need a newer CPython than the oldest that the contract runs under.
    import interpreters
    import tablestore_sdk

    python = interpreters.find(tablestore_sdk.VERSION)
    if python is None:
        pytest.skip("the SDK's environment needs a CPython " + tablestore_sdk.VERSION)
    with tablestore_sdk.running(python, server) as running:
        yield running
