"""An installation of the real Sentry: its settings, its database, its commands."""

import contextlib
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import console
import debian
import environment
import processes
import services
from releases import CHOSEN

_TEMPLATE_DATABASE = "sentry_template"

_SETTINGS = Template('''\
"""The smallest settings that Sentry runs with: no Kafka, Snuba, ClickHouse or Relay."""

from sentry.conf.server import *

import datetime
import os

DATABASES = {
    "default": {
        "ENGINE": "sentry.db.postgres",
        "NAME": $database,
        "USER": "postgres",
        "HOST": $socket,
    }
}
SENTRY_CACHE = "sentry.cache.redis.RedisCache"
SENTRY_RATELIMITER = "sentry.ratelimits.redis.RedisRateLimiter"
SENTRY_EVENTSTREAM = "inside.eventstream.QuietEventStream"
SENTRY_SINGLE_ORGANIZATION = True
SENTRY_BEACON = False
BROKER_URL = "redis://127.0.0.1:$redis_port/$redis_database"

SENTRY_NODESTORE = $nodestore
SENTRY_NODESTORE_OPTIONS = $nodestore_options
CELERY_IMPORTS += ("inside.worker",)
$settings_of_release

# Off as in self-hosted Sentry, unless a test asks for it.
if os.environ.get("CACHE_NODES"):
    CACHES["nodedata"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

# One line for each request that the nodestore sends, unless that level is off as it is by default.
LOGGING["handlers"]["requests"] = {"class": "logging.FileHandler", "filename": $requests}
LOGGING["loggers"]["tablestore-client"] = {
    "level": $requests_level, "handlers": ["requests"], "propagate": False
}
''')

_OPTIONS = Template("""\
system.secret-key: '$secret_key'
mail.backend: dummy
redis.clusters:
  default:
    hosts:
      0: {host: 127.0.0.1, port: $redis_port, db: $redis_database}
""")


@dataclass(frozen=True)
class Nodestore:
    """What `SENTRY_NODESTORE` and `SENTRY_NODESTORE_OPTIONS` are set to."""

    backend: str = "sentry.nodestore.django.DjangoNodeStorage"
    options: dict[str, Any] = field(default_factory=dict)


class Installation:
    """One Sentry, configured in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        database: str,
        nodestore: Nodestore,
        postgresql: services.PostgreSQL,
        redis: services.Redis,
        redis_database: int = 0,
        log_requests: bool = True,
    ) -> None:
        self.folder = folder
        self.requests = folder / "requests.log"
        folder.mkdir(exist_ok=True)
        self._values = {
            "database": repr(database),
            "socket": repr(str(postgresql.folder)),
            "redis_port": redis.port,
            "redis_database": redis_database,
            "requests": repr(str(self.requests)),
            "requests_level": repr("DEBUG" if log_requests else "WARNING"),
            "settings_of_release": CHOSEN.settings,
            "secret_key": secrets.token_hex(25),
        }
        (folder / "config.yml").write_text(_OPTIONS.substitute(self._values))
        self.switch(nodestore)

    def switch(self, nodestore: Nodestore) -> None:
        """Change the settings to another nodestore, for the processes that start from now on."""
        values = {
            "nodestore": repr(nodestore.backend),
            "nodestore_options": repr(nodestore.options),
        }
        settings = _SETTINGS.substitute(self._values, **values)
        (self.folder / "sentry.conf.py").write_text(settings)

    def run(self, *command: str, deadline: float = 300) -> str:
        """Run a command of Sentry's to its end and return what it printed.

        :param deadline: Seconds it may take.
        :raises processes.ProgramError: when it fails.
        """
        done = subprocess.run(
            [*self._sentry, *command],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline,
        )
        if done.returncode:
            raise processes.ProgramError(f"sentry {' '.join(command)}:\n{done.stdout[-3000:]}")
        return done.stdout

    def tablestore(
        self, *arguments: str, given: str = "", deadline: float = 120, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `sentry-tablestore` to its end, as a person in Sentry's container does.

        :param given: What it gets on standard input.
        :param deadline: Seconds it may take.
        :param variables: More environment variables for it.
        """
        return subprocess.run(
            [str(environment.HOME / "bin" / "sentry-tablestore"), *arguments],
            env={**self._environment(), **variables},
            input=given,
            capture_output=True,
            text=True,
            timeout=deadline,
        )

    @contextlib.contextmanager
    def console(self, **variables: str) -> Iterator[console.Console]:
        """Start a Sentry process that runs functions of the package `inside`.

        :param variables: More environment variables for it.
        """
        with processes.running(
            [str(environment.HOME / "bin" / "python"), "-m", "inside.console"],
            self.folder / "console.log",
            environment={**self._environment(), **variables},
            pipes=True,
        ) as program:
            yield console.Console(program)

    @contextlib.contextmanager
    def worker(self, queues: Sequence[str], concurrency: int) -> Iterator[processes.Program]:
        """Start `sentry run worker`: a Celery parent that forks children for its tasks."""
        command = [*self._sentry, "run", "worker", "--concurrency", str(concurrency)]
        command += ["--queues", ",".join(queues), "--without-gossip", "--without-mingle"]
        with processes.running(
            command, self.folder / "worker.log", environment=self._environment()
        ) as program:
            program.wait_for(lambda: "[queues]" in program.said(), "the worker")
            yield program

    @property
    def _sentry(self) -> list[str]:
        """Sentry's command line."""
        return [str(environment.HOME / "bin" / "sentry")]

    def _environment(self) -> dict[str, str]:
        """What Sentry's processes find in their environment."""
        return {
            **os.environ,
            "SENTRY_CONF": str(self.folder),
            "PYTHONPATH": str(environment.HERE),
            "PYTHONUNBUFFERED": "1",
            "C_FORCE_ROOT": "1",  # Celery refuses to run as root without it
        }


Make = Callable[[Nodestore], Installation]


@contextlib.contextmanager
def database(postgresql: services.PostgreSQL, name: str) -> Iterator[str]:
    """Create a database that Sentry's migrations have gone through; it ends with the context."""
    postgresql.create_database(name, _TEMPLATE_DATABASE)
    try:
        yield name
    finally:
        postgresql.drop_database(name)


@contextlib.contextmanager
def migrated_postgresql(
    folder: Path, redis: services.Redis, durable: bool = False
) -> Iterator[services.PostgreSQL]:
    """Run a PostgreSQL that holds the migrated database which `database` copies.

    Migrating takes a minute, so its result is kept beside the environment that made it.

    :param folder: For the settings of the Sentry that migrates.
    :param durable: As for `services.postgresql`.
    """
    version = subprocess.check_output([str(debian.program("postgres")), "--version"], text=True)
    release = version.split()[2].split(".")[0]
    archive = environment.HOME / f"postgresql-{release}.tar"
    with environment.alone():
        if not archive.exists():
            with services.postgresql(save=archive) as fresh:
                fresh.create_database(_TEMPLATE_DATABASE)
                installation = Installation(folder, _TEMPLATE_DATABASE, Nodestore(), fresh, redis)
                installation.run("upgrade", "--noinput", deadline=1200)
    with services.postgresql(load=archive, durable=durable) as ready:
        yield ready
