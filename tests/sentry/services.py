"""A PostgreSQL and a Redis of a test's own, on a private socket and a free port of loopback."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import debian
import processes

# What a test database need not survive: a crash of the machine. Without these it is as PostgreSQL
# comes: each commit waits for the disk.
_NOT_DURABLE = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=256MB")


@dataclass(frozen=True)
class PostgreSQL:
    """A running PostgreSQL, reached as superuser `postgres` through a socket in `folder`.

    :ivar restart: Ends it as an administrator does, with all connections, and starts it again;
        returns when it answers.
    """

    folder: Path
    restart: Callable[[], None]

    def create_database(self, name: str, template: str = "template0") -> None:
        """Create a database as a copy of another one to which nobody is connected."""
        self._client("createdb", "--template", template, name)

    def drop_database(self, name: str) -> None:
        """Drop a database along with the connections that its users left open."""
        self._client("dropdb", "--force", name)

    def execute(self, database: str, statement: str) -> str:
        """Execute a statement; return its rows as lines, columns parted by `|`."""
        return self._client(
            "psql", "--no-psqlrc", "--quiet", "-At", "--dbname", database, "--command", statement
        ).strip()

    def _client(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's client programs as the superuser; return what it printed."""
        command = [str(debian.program(program)), *arguments]
        reach = {**os.environ, "PGHOST": str(self.folder), "PGUSER": "postgres"}
        done = subprocess.run(command, env=reach, capture_output=True, text=True)
        if done.returncode:
            raise processes.ProgramError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


@contextlib.contextmanager
def postgresql(
    load: Path | None = None, save: Path | None = None, durable: bool = False
) -> Iterator[PostgreSQL]:
    """Run a private PostgreSQL.

    :param load: Archive to take its data from; without it the PostgreSQL is empty.
    :param save: Archive to put its data into once it has stopped, unless the context failed.
    :param durable: Whether what it commits has to survive a crash of the machine.
    """
    with _folder("postgresql") as folder:
        data = folder / "data"
        owner = "postgres" if os.geteuid() == 0 else None
        if load is None:
            _give(folder, owner)
            _initialise(data, owner)
        else:
            with tarfile.open(load) as archive:
                archive.extractall(folder, filter="fully_trusted")
            _give(folder, owner)
        settings = ["listen_addresses=", f"unix_socket_directories={folder}"]
        if not durable:
            settings += _NOT_DURABLE
        command = [str(debian.program("postgres")), "-D", str(data)]
        for setting in settings:
            command += ["-c", setting]
        with contextlib.ExitStack() as running:

            def start() -> None:
                # SIGINT is PostgreSQL's fast shutdown: it drops connections instead of waiting for
                # them.
                program = running.enter_context(
                    processes.running(command, folder / "log", user=owner, stop_with=signal.SIGINT)
                )
                probe = [str(debian.program("pg_isready")), "--quiet", f"--host={folder}"]
                program.wait_for(lambda: subprocess.run(probe).returncode == 0, "PostgreSQL")

            def restart() -> None:
                running.close()
                start()

            start()
            yield PostgreSQL(folder, restart)
        if save is not None:
            # The archive appears whole or not at all.
            partial = save.with_name(save.name + ".partial")
            with tarfile.open(partial, "w") as archive:
                archive.add(data, "data")
            partial.replace(save)


def _initialise(data: Path, owner: str | None) -> None:
    """Make an empty PostgreSQL data folder."""
    command = [str(debian.program("initdb")), "--auth=trust", "--username=postgres"]
    command += ["--encoding=UTF8", "--no-locale", "--no-sync", f"--pgdata={data}"]
    done = subprocess.run(
        command,
        user=owner,
        cwd=data.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise processes.ProgramError(f"initdb: {done.stderr.strip()}")


@dataclass(frozen=True)
class Redis:
    """A running Redis on 127.0.0.1."""

    port: int


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    """Run a private Redis that keeps nothing on disk."""
    with _folder("redis") as folder:
        port = _free_port()
        command = [str(debian.program("redis-server")), "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        with processes.running(command, folder / "log") as program:
            program.wait_for(lambda: "Ready to accept connections" in program.said(), "Redis")
            yield Redis(port)


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    """Make a temporary folder with a short path, since a socket's may have 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give(folder: Path, owner: str | None) -> None:
    """Make the user PostgreSQL runs as the owner of the folder and all in it."""
    if owner is None:
        return
    shutil.chown(folder, owner, owner)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            shutil.chown(Path(parent, name), owner, owner)


def _free_port() -> int:
    """Return a TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
