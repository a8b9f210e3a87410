"""Sentry's settings, read by a process that ends: a configured Sentry takes 150 MB of memory.

What is taken over is the setting DATABASES and what the nodestore gives to its store, whatever
other options it has.
"""

import json
import os
import pickle
import subprocess
import sys
from typing import Any, Dict, List, NamedTuple, Optional

import click

from ..kvstore.tablestore import TablestoreKVStorage


class Settings(NamedTuple):
    """What a migration takes from Sentry's settings.

    :ivar databases: The setting DATABASES.
    :ivar store: Keyword arguments of the nodestore's TablestoreKVStorage; None when the nodestore
        is not this project's, and `nodestore` names it.
    :ivar nodestore: The setting SENTRY_NODESTORE.
    """

    databases: Dict[str, Any]
    store: Optional[Dict[str, Any]]
    nodestore: str


class NotPortableError(Exception):
    """The settings hold objects that only a process that loads them itself can have."""


def read(arguments: Dict[str, Any], wants_store: bool) -> Settings:
    """Read Sentry's settings in another process.

    :param arguments: Of `cli.configuration.Configuration`.
    :param wants_store: Whether the nodestore's options matter.
    :raises click.ClickException: when they cannot be loaded, in the words of whoever failed.
    :raises NotPortableError: see there.
    """
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [package] + [part for part in [os.environ.get("PYTHONPATH")] if part]
    receive, send = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(send), json.dumps([arguments, wants_store])],
        stdin=subprocess.DEVNULL,
        stdout=2,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(path)),
        pass_fds=[send],
    )
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        answer = pipe.read()
    if process.wait() != 0 or not answer:
        raise click.ClickException(
            "Sentry's settings cannot be loaded: the process that loads them ended with status "
            f"{process.returncode}"
        )
    try:
        kind, content = pickle.loads(answer)
    except Exception as error:  # of objects whose modules only the settings make known
        raise NotPortableError(str(error)) from error
    if kind == "error":
        raise click.ClickException(content)
    if kind == "not portable":
        raise NotPortableError(content)
    return Settings(*content)


def _of_this_process(configuration: Any, wants_store: bool) -> Settings:
    from django.utils.module_loading import import_string

    settings = configuration.sentry()
    store = None
    if wants_store:
        cls = import_string(settings.SENTRY_NODESTORE)
        if issubclass(getattr(cls, "store_class", object), TablestoreKVStorage):
            cls.store_class = _Recording  # this process ends before anybody else uses it
            store = dict(configuration.store().arguments)
            # They tell of Sentry, and have been looked at.
            store["client_options"] = dict(store["client_options"], metrics=None)
    return Settings(dict(settings.DATABASES), store, settings.SENTRY_NODESTORE)


def _check_portable(settings: Any) -> None:
    """Refuse a store that needs more of this process than its own options.

    :raises NotPortableError: as a provider of credentials may use what the settings have imported,
        or made importable.
    """
    given = (Settings(*settings).store or {}).get("client_options", {}).get("credentials_provider")
    if given is not None and not str(given).startswith("ecs_ram_role"):
        raise NotPortableError("credentials_provider is a function of the user's")


class _Recording(TablestoreKVStorage):
    """A store that remembers what it was made of."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        super().__init__(**arguments)


def main(arguments: List[str]) -> None:
    """Write the settings to the pipe that the arguments name."""
    from .configuration import Configuration

    given, wants_store = json.loads(arguments[1])
    configuration = Configuration()
    configuration.arguments = given
    answer: Any
    try:
        answer = "settings", tuple(_of_this_process(configuration, wants_store))
    except Exception as error:  # noqa: BLE001 - the process that asked shows it
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        answer = "error", said or type(error).__name__
    try:
        if answer[0] == "settings":
            _check_portable(answer[1])
        data = pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001 - objects may refuse it with anything
        data = pickle.dumps(("not portable", str(error)))
    with os.fdopen(int(arguments[0]), "wb") as pipe:
        pipe.write(data)


if __name__ == "__main__":
    main(sys.argv[1:])
