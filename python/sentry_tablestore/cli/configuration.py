"""Where a command's options come from: Sentry's settings, a file, the environment, arguments."""

import difflib
import json
import logging
import os
import re
import sys
from datetime import timedelta
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import click

from ..errors import TablestoreOptionsError
from ..kvstore.tablestore import TablestoreKVStorage
from ..options import DEFAULT_TABLE, KNOWN
from . import output

PREFIX = "SENTRY_TABLESTORE_"
FILE_VARIABLE = PREFIX + "OPTIONS"

_PROJECT_LOGGER = "sentry_tablestore.kvstore.tablestore"

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\s*\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_HOW = (
    "say which table: --config with Sentry's settings, --options FILE, or --end-point URL "
    "(see sentry-tablestore --help)"
)


class Configuration:
    """The table that a command is for. Commands get it by `group.pass_configuration`.

    :ivar arguments: Options given as arguments, by their names; also `config` and `options`.
    :ivar verbose: Whether to tell of every request.
    :ivar source: Where the options came from, in words; "" before `store` was called.
    """

    def __init__(self) -> None:
        self.arguments: Dict[str, Any] = {}
        self.verbose = False
        self.source = ""
        self._store: Optional[TablestoreKVStorage] = None
        self._backend: Any = None
        self._sentry_is_ready = False

    def store(self) -> TablestoreKVStorage:
        """Give the table.

        :raises TablestoreOptionsError: when an option is missing or wrong.
        :raises click.ClickException: when Sentry's settings cannot be loaded.
        """
        if self._store is None:
            self._store = self.watched(self._make_store())
        return self._store

    def watched(self, store: TablestoreKVStorage) -> TablestoreKVStorage:
        """Let a store tell of its requests what the command is asked to show."""
        # They tell of Sentry, and a file of them is that of Sentry's user.
        store.observers.remove(store.options.metrics)
        if self.verbose:
            _show_requests(store.options.logger_name)
        else:
            # Where nothing handles a WARNING, Python writes it to stderr: a command says there
            # itself why it failed.
            logging.getLogger(_PROJECT_LOGGER).addHandler(logging.NullHandler())
        return store

    def backend(self) -> Any:
        """Give the NodeStorage of Sentry's settings, whatever its class is.

        The options of arguments and environment are over its own, where it is this project's.

        :raises click.ClickException: outside a Sentry.
        """
        if self._backend is None:
            self._backend = self._make_backend()
        return self._backend

    def validate(self) -> None:
        """Do what every `sentry` command does at its start with the options of its settings.

        :raises click.ClickException: with which each of them would end.
        """
        if not self.is_sentrys():
            return
        try:
            self.backend().validate()
        except click.ClickException:
            raise
        except Exception as error:
            # The old store of read_through is another project's, which may raise anything.
            raise click.ClickException(
                f"{self.sentry().SENTRY_NODESTORE} is not valid: {type(error).__name__}: {error}"
            ) from error

    def sentry(self) -> Any:
        """Configure the Sentry of this Python environment, and give Django's settings.

        Its services are not validated: a command for the table must not need a message queue.

        :raises click.ClickException: when there is none, or its settings are broken.
        """
        if not self._sentry_is_ready:
            _configure_sentry(self.arguments.get("config"))
            self._sentry_is_ready = True
        from django.conf import settings

        return settings

    def is_sentrys(self) -> bool:
        """Whether the options are those of Sentry's settings: the backend is then for this table.

        :raises click.ClickException: when no place has any options.
        """
        given = self.arguments
        if given.get("options") or given.get("config"):
            return not given.get("options")
        if os.environ.get(FILE_VARIABLE) or os.environ.get(PREFIX + "END_POINT"):
            return False
        if given.get("end_point"):
            return False
        if os.environ.get("SENTRY_CONF") or os.path.exists(os.path.expanduser("~/.sentry")):
            return True
        raise TablestoreOptionsError(_HOW)

    def _make_store(self) -> TablestoreKVStorage:
        if not self.is_sentrys():
            return store_of(self._without_sentry())
        store = getattr(self.backend(), "store", None)
        if not isinstance(store, TablestoreKVStorage):
            raise click.ClickException(
                f"SENTRY_NODESTORE is {self.sentry().SENTRY_NODESTORE}, which is not this "
                "project's: give the table's options with --options FILE"
            )
        self.source = "Sentry's settings in {}".format(os.environ["SENTRY_CONF"])
        return store

    def _make_backend(self) -> Any:
        settings = self.sentry()
        from django.utils.module_loading import import_string

        # As Sentry's own LazyServiceWrapper does, which has moved between versions.
        try:
            cls = import_string(settings.SENTRY_NODESTORE)
        except ImportError as error:
            raise click.ClickException(
                f"SENTRY_NODESTORE {settings.SENTRY_NODESTORE} cannot be imported: {error}"
            ) from error
        options = dict(settings.SENTRY_NODESTORE_OPTIONS)
        if issubclass(getattr(cls, "store_class", object), TablestoreKVStorage):
            options = _with(options, self._overriding())
        return cls(**options)

    def _without_sentry(self) -> Dict[str, Any]:
        path = self.arguments.get("options") or os.environ.get(FILE_VARIABLE)
        options: Dict[str, Any] = {}
        self.source = "arguments and environment"
        if path:
            options = read_file(path)
            self.source = path
        return _with(options, self._overriding())

    def _overriding(self) -> Dict[str, Any]:
        """Give the options of the environment, and those of arguments over them."""
        options = from_environment(os.environ)
        options.update(
            (name, value)
            for name, value in self.arguments.items()
            if name not in ("config", "options")
        )
        return options


def _with(options: Dict[str, Any], over: Dict[str, Any]) -> Dict[str, Any]:
    """Give the options with others over them, whose credentials replace all that were there."""
    replaced: Tuple[str, ...] = ()
    if "credentials_provider" in over:
        replaced = ("access_key_id", "access_key_secret", "sts_token")
    elif "access_key_id" in over:
        replaced = ("access_key_secret", "sts_token", "credentials_provider")
    return {**{name: options[name] for name in options if name not in replaced}, **over}


def read_file(path: str) -> Dict[str, Any]:
    """Read options from a file with a JSON object.

    A default_ttl in it is a number with its unit, such as "90d".

    :raises TablestoreOptionsError: when there is no such file, or it holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            options = json.load(file)
    except OSError as error:
        raise TablestoreOptionsError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        # The text of a JSONDecodeError tells a place and not what is there.
        raise TablestoreOptionsError(f"{path} holds no JSON: {error}") from None
    if not isinstance(options, dict):
        raise TablestoreOptionsError(f"{path} must hold a JSON object of options")
    if options.get("default_ttl") is not None:
        options["default_ttl"] = duration("default_ttl", options["default_ttl"])
    return options


def from_environment(variables: Mapping[str, str]) -> Dict[str, Any]:
    """Take the options that variables such as SENTRY_TABLESTORE_TABLE give.

    Other variables of this prefix pass: a container may be linked to a service of this name.

    :raises TablestoreOptionsError: for a value that cannot be read, or a name that is nearly one.
    """
    options: Dict[str, Any] = {}
    for variable, text in variables.items():
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE or not text:
            continue
        name = variable[len(PREFIX) :].lower()
        if name in KNOWN:
            options[name] = _READ.get(name, _text)(variable, text)
            continue
        meant = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.8)
        if meant:
            raise TablestoreOptionsError(
                f"{variable} in the environment is no option: "
                f"did you mean {PREFIX}{meant[0].upper()}?"
            )
    return options


def duration(name: str, given: Any) -> timedelta:
    """Read a number with its unit: s, m, h, d or w.

    :param name: What to call it in an error.
    :raises TablestoreOptionsError: also for a bare number, whose unit nobody can know.
    """
    found = _DURATION.match(given) if isinstance(given, str) else None
    try:
        if found is not None:
            return timedelta(**{_UNITS[found.group(2)]: float(found.group(1))})
    except OverflowError:
        pass  # no datetime can tell so many years
    raise TablestoreOptionsError(
        f'{name} must be a number with its unit (s, m, h, d, w) such as "90d", not {given!r}'
    )


def _text(variable: str, text: str) -> str:
    return text


def _boolean(variable: str, text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise TablestoreOptionsError(f"{variable} must be true or false, not {text!r}")
    return known[text.lower()]


def _number(cls: Callable[[str], Any], text: str) -> Any:
    try:
        return cls(text)
    except ValueError:
        return text  # the options refuse it, and say what they want


def _compression(variable: str, text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


_READ: Dict[str, Callable[[str, str], Any]] = {
    "default_ttl": duration,
    "automatic_expiry": _boolean,
    "compression": _compression,
    "timeout": lambda variable, text: _number(float, text),
    "socket_timeout": lambda variable, text: _number(float, text),
    "max_connection": lambda variable, text: _number(int, text),
    "reserved_throughput": lambda variable, text: [_number(int, n) for n in text.split(",")],
}


def store_of(options: Dict[str, Any]) -> TablestoreKVStorage:
    """Make a store of options in one place: its constructor wants some as parameters."""
    parameters = {
        name: options.pop(name)
        for name in ("default_ttl", "compression", "reserved_throughput", "automatic_expiry")
        if options.get(name) is not None
    }
    options.pop("read_through", None)  # of Sentry, not of a table
    return TablestoreKVStorage(
        options.pop("instance", None),
        options.pop("table", None) or DEFAULT_TABLE,
        options,
        **parameters,
    )


def _show_requests(logger_name: str) -> None:
    """Show the engine's records on stderr, whatever Sentry does with them."""
    shown = logging.StreamHandler()
    shown.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    for name in (_PROJECT_LOGGER, logger_name):
        logger = logging.getLogger(name)
        logger.addHandler(shown)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False


def _configure_sentry(config: Optional[str]) -> None:
    """Do what `sentry` does at its start, in every version from 21.9."""
    if config:
        os.environ["SENTRY_CONF"] = config
    os.environ.setdefault("SENTRY_CONF", "~/.sentry")
    # The older versions know only this name.
    os.environ["SENTRY_SKIP_BACKEND_VALIDATION"] = "1"
    try:
        from sentry.runner import configure
    except ModuleNotFoundError as error:
        if error.name not in ("sentry", "sentry.runner"):
            raise
        raise click.ClickException(
            f"Sentry's settings are asked for, and {sys.executable} has no Sentry: use the Python "
            "environment of Sentry, or --options FILE"
        ) from None
    try:
        with output.of_others_to_stderr():
            configure()
        output.logs_to_stderr()
    except Exception as error:
        # Settings are a program, which may raise anything. Not str(error): Sentry's own
        # ConfigurationError is a ClickException without the message that this would show.
        text = str(error.args[0]) if error.args else getattr(error, "message", "")
        if not isinstance(error, click.ClickException):
            text = f"{type(error).__name__}: {text}"
        raise click.ClickException(
            "Sentry's settings in {} cannot be loaded: {}".format(os.environ["SENTRY_CONF"], text)
        ) from error
