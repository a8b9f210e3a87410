"""A real Sentry (releases.py) whose nodestore is this project's, for the tests of this folder."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The modules beside this file are plain ones: `environment.py` is also run by itself.
sys.path.insert(0, str(Path(__file__).parent))

import console
import environment
import installation
import services
import tablestore_local


@pytest.fixture(scope="session")
def sentry_environment() -> Path:
    """Sentry's virtual environment with this project's wheel in it."""
    try:
        home = environment.prepare()
    except environment.UnavailableError as error:
        pytest.skip(f"A real Sentry cannot be had here. {error}")
    environment.install(environment.wheel())
    return home


@pytest.fixture(scope="session")
def redis(sentry_environment: Path) -> Iterator[services.Redis]:
    """A Redis for all installations."""
    with services.redis() as running:
        yield running


@pytest.fixture(scope="session")
def postgresql(
    redis: services.Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[services.PostgreSQL]:
    """A PostgreSQL for all installations."""
    folder = tmp_path_factory.mktemp("migration")
    with installation.migrated_postgresql(folder, redis) as running:
        yield running


@pytest.fixture(scope="session")
def tablestore(sentry_environment: Path) -> Iterator[tablestore_local.TablestoreLocal]:
    """A `tablestore-local` for all installations, each having its own table."""
    with tablestore_local.serving("--faults") as server:
        yield server


@pytest.fixture(scope="session")
def install(
    postgresql: services.PostgreSQL,
    redis: services.Redis,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[installation.Make]:
    """Make installations of Sentry, each with its nodestore and a database of its own."""
    number = 0
    with contextlib.ExitStack() as databases:

        def make(nodestore: installation.Nodestore) -> installation.Installation:
            nonlocal number
            number += 1
            return installation.Installation(
                tmp_path_factory.mktemp("sentry"),
                databases.enter_context(installation.database(postgresql, f"sentry_{number}")),
                nodestore,
                postgresql,
                redis,
                redis_database=number,
            )

        yield make


@pytest.fixture(scope="session")
def sentry(
    install: installation.Make, tablestore: tablestore_local.TablestoreLocal
) -> installation.Installation:
    """A Sentry after `sentry upgrade --with-nodestore`, for tests to which its settings are one."""
    made = install(tablestore.nodestore("nodestore", compression="zstd"))
    made.run("upgrade", "--noinput", "--with-nodestore")
    return made


@pytest.fixture(scope="session")
def inside(sentry: installation.Installation) -> Iterator[console.Console]:
    """A console inside that Sentry."""
    with sentry.console() as running:
        yield running
