"""Where nodes come from, as arguments: for `migrate` and `verify`."""

import functools
import json
import os
import sys
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import click

from ..kvstore.tablestore import TablestoreKVStorage
from ..migration.progress import duration
from ..migration.sources.database import Connect, connector
from ..migration.sources.id_list import IDList, spooled
from ..migration.sources.node_storage import NodeStorageSource
from ..migration.sources.postgresql import TABLE, PostgreSQLSource
from ..migration.sources.source import Source
from ..migration.sources.tablestore import TablestoreSource
from .configuration import Configuration, store_of
from .configuration import duration as timespan
from .moments import Moment
from .sentry_settings import NotPortableError, Settings, read

DJANGO = "django"
_MOMENT = Moment(relative=False)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


class Chosen(NamedTuple):
    """The arguments that name a source.

    :ivar path: `DJANGO`, or that of a NodeStorage class.
    :ivar options: That class's, as JSON, or the file of it behind an @.
    :ivar ids: A file of ids, for such a class; "-" is stdin.
    :ivar database: Alias of DATABASES.
    :ivar table: In that database.
    :ivar since: Only rows written at this moment or later, ms since 1970.
    :ivar until: Only rows written before this moment, ms since 1970.
    """

    path: str
    options: Optional[str]
    ids: Optional[str]
    database: str
    table: str
    since: Optional[int]
    until: Optional[int]


class Opened(NamedTuple):
    """A source and the table that it is for.

    :ivar connect: Opens a connection to the source, where that is a database.
    """

    source: Source
    target: TablestoreKVStorage
    connect: Optional[Connect]


_OPTIONS = (
    click.option(
        "--source",
        default=DJANGO,
        metavar="django|CLASS",
        help="Sentry's nodestore_node (the default), or the path of a NodeStorage class.",
    ),
    click.option(
        "--source-options",
        metavar="@FILE|JSON",
        help="Options of that CLASS, as JSON; a FILE where they hold a secret.",
    ),
    click.option("--ids", metavar="FILE", help="The nodes, an id a line, of a CLASS; - is stdin."),
    click.option(
        "--database", default="default", metavar="ALIAS", help="Of DATABASES, for django."
    ),
    click.option("--source-table", default=TABLE, metavar="NAME", help="Default: nodestore_node."),
    click.option("--since", type=_MOMENT, help="Only rows written then (UTC) or later."),
    click.option("--until", type=_MOMENT, help="Only rows written before then (UTC)."),
)


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a source; the function gets them as its argument `chosen`."""

    @functools.wraps(function)
    def choose(
        source: str,
        source_options: Optional[str],
        ids: Optional[str],
        database: str,
        source_table: str,
        since: Optional[int],
        until: Optional[int],
        **others: Any,
    ) -> Any:
        if source == DJANGO and (ids or source_options):
            raise click.UsageError("--ids and --source-options are for --source CLASS")
        if source != DJANGO and (since or until):
            raise click.UsageError("--since and --until are for the source django")
        chosen = Chosen(source, source_options, ids, database, source_table, since, until)
        return function(chosen=chosen, **others)

    for add in reversed(_OPTIONS):
        choose = add(choose)
    return choose


def opened(configuration: Configuration, chosen: Chosen, spool: str) -> Opened:
    """Make the source, and the table.

    :param spool: What the path begins with at which to keep the ids that come from stdin.
    :raises SourceError: naming what is wrong.
    """
    settings, target = _settings_and_target(configuration, chosen.path == DJANGO)
    if chosen.path == DJANGO:
        assert settings is not None
        connect = connector(settings.databases, chosen.database)
        lifetime = (target.default_ttl or timedelta()) // _MILLISECOND
        source = PostgreSQLSource(
            connect, chosen.table, since=chosen.since, until=chosen.until, lifetime=lifetime
        )
        return Opened(source, target, connect)
    ids = spooled(sys.stdin.buffer, spool) if chosen.ids == "-" else chosen.ids
    listed = IDList(ids) if ids else None
    parameters = _options(chosen.options)
    if chosen.path.rpartition(".")[2] == "TablestoreNodeStorage":
        store = store_of(_tables_options(parameters))
        return Opened(TablestoreSource(store, listed), target, None)
    if listed is None:
        raise click.UsageError(
            f"{chosen.path} cannot list its nodes: give their ids with --ids FILE"
        )
    # Most such classes need a configured Sentry; those that do not work without one as well.
    try:
        configuration.sentry()
    except click.ClickException as error:
        if "has no Sentry" not in error.format_message():
            raise
    return Opened(NodeStorageSource(chosen.path, parameters, listed), target, None)


def check(source: Source, target: TablestoreKVStorage, writes: bool) -> None:
    """Refuse a source or a target that cannot be used, before anything is written.

    :param writes: Whether rows are to be copied.
    """
    source.check()
    table = target.describe()
    if table.primary_key != [("id", "STRING")]:
        raise click.ClickException(
            f"table '{target.table_name}' has another primary key than one STRING column id: it "
            "belongs to another program"
        )
    oldest = source.sample(0).oldest if writes and source.dated else 0
    if not oldest:
        return
    age = (datetime.now(timezone.utc) - _EPOCH) // _MILLISECOND - oldest
    if target.default_ttl:
        age = min(age, target.default_ttl // _MILLISECOND)
    if age / 1000 > table.max_time_deviation:
        raise click.ClickException(
            f"table '{target.table_name}' takes write times of up to "
            f"{duration(table.max_time_deviation)} ago and the source has rows of "
            f"{duration(age / 1000)} ago: run `sentry upgrade --with-nodestore` with this version "
            "first, which allows them"
        )


def _settings_and_target(
    configuration: Configuration, wants_databases: bool
) -> Tuple[Optional[Settings], TablestoreKVStorage]:
    """Give Sentry's settings, where they are wanted, and the table."""
    sentrys = configuration.is_sentrys()
    if not sentrys and not wants_databases:
        return None, configuration.store()
    arguments = {
        name: value
        for name, value in configuration.arguments.items()
        if sentrys or name in ("config",)
    }
    if configuration.arguments.get("config"):
        # For the process that reads legacy pickles, too, which loads the same settings.
        os.environ["SENTRY_CONF"] = configuration.arguments["config"]
    try:
        settings = read(arguments, sentrys)
    except NotPortableError:
        # Objects in the options: this process becomes a Sentry itself, with the memory of one.
        found = configuration.sentry()
        settings = Settings(dict(found.DATABASES), None, found.SENTRY_NODESTORE)
        return settings, configuration.store()
    if not sentrys:
        return settings, configuration.store()
    if settings.store is None:
        raise click.ClickException(
            f"SENTRY_NODESTORE is {settings.nodestore}, which is not this project's: give the "
            "table's options with --options FILE"
        )
    return settings, configuration.watched(TablestoreKVStorage(**settings.store))


def _tables_options(options: Dict[str, Any]) -> Dict[str, Any]:
    """Give a TablestoreNodeStorage's options as Python has them."""
    if options.get("default_ttl") is not None:
        options["default_ttl"] = timespan("default_ttl", options["default_ttl"])
    options.pop("metrics", None)  # Sentry's own
    return options


def _options(given: Optional[str]) -> Dict[str, Any]:
    """Read what --source-options gives, as JSON or as the name of a file behind an @."""
    text = given or "{}"
    try:
        if text.startswith("@"):
            with open(text[1:], encoding="utf-8") as file:
                text = file.read()
        options = json.loads(text)
    except OSError as error:
        raise click.UsageError(f"--source-options {given}: {error.strerror}") from None
    except ValueError as error:
        # The text of a JSONDecodeError tells a place and not what is there.
        raise click.UsageError(f"--source-options is no JSON: {error}") from None
    if not isinstance(options, dict):
        raise click.UsageError("--source-options must be a JSON object")
    return options
