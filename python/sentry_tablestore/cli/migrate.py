"""`sentry-tablestore migrate`: move a whole nodestore into the table."""

import json
import os
import signal
import sys
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Mapping, Optional, Tuple

import click

from ..errors import TablestoreError
from ..kvstore.tablestore import TablestoreKVStorage
from ..migration import estimate as estimates
from ..migration.carry import Carrier
from ..migration.checkpoint import Checkpoint, CheckpointError, Keeper
from ..migration.checkpoint_file import FileKeeper
from ..migration.checkpoint_table import TableKeeper
from ..migration.legacy import LegacyReader, LegacyReaderError
from ..migration.progress import Progress, duration
from ..migration.rate import Rate, parse_rate
from ..migration.report import report, write_failures
from ..migration.run import FAILED, STOPPED, Migration
from ..migration.sources.database import connector
from ..migration.sources.id_list import IDList, spooled
from ..migration.sources.node_storage import NodeStorageSource
from ..migration.sources.postgresql import TABLE, PostgreSQLSource
from ..migration.sources.source import Source, SourceError
from ..migration.sources.tablestore import TablestoreSource
from .configuration import Configuration
from .configuration import duration as timespan
from .group import command, pass_configuration
from .sentry_settings import NotPortableError, Settings, read

_DJANGO = "django"
_CHECKPOINT = "sentry-tablestore-migrate.checkpoint"
_IN_TABLE = "table"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


class _RateType(click.ParamType):
    """Rows or bytes a second."""

    name = "rate"

    def convert(self, value: Any, param: Any, ctx: Any) -> Rate:
        """Read the text."""
        if isinstance(value, Rate):
            return value
        try:
            return parse_rate(value)
        except ValueError as error:
            return self.fail(str(error), param, ctx)


@command("migrate")
@click.option(
    "--source",
    "source_path",
    default=_DJANGO,
    metavar="django|CLASS",
    help="Sentry's nodestore_node (the default), or the path of a NodeStorage class.",
)
@click.option("--source-options", metavar="JSON", help="Options of that CLASS.")
@click.option("--ids", metavar="FILE", help="Ids to move, one a line, for a CLASS; - is stdin.")
@click.option("--database", default="default", metavar="ALIAS", help="Of DATABASES, for django.")
@click.option("--source-table", default=TABLE, metavar="NAME", help="Default: nodestore_node.")
@click.option("--since", type=_MOMENT, help="Only rows written then (UTC) or later.")
@click.option("--until", type=_MOMENT, help="Only rows written before then (UTC).")
@click.option("--workers", type=click.IntRange(1, 64), default=4, help="Default: 4.")
@click.option(
    "--rate", type=_RateType(), help="At most so many rows (500) or bytes (2MB) a second."
)
@click.option("--allow-pickle", is_flag=True, help="Load legacy pickles, and move them as JSON.")
@click.option(
    "--checkpoint",
    default=_CHECKPOINT,
    metavar="FILE|table",
    help=f"How far it is; 'table' keeps that beside the source. Default: {_CHECKPOINT}",
)
@click.option("--resume/--restart", default=True, help="Go on from the checkpoint, or begin anew.")
@click.option("--failed", metavar="FILE", help="For ids that failed. Default: CHECKPOINT.failed")
@click.option("--patience", default="10m", metavar="TIME", help="For what may pass. Default: 10m")
@click.option("--dry-run", is_flag=True, help="Estimate rows, bytes, capacity units and time.")
@pass_configuration
def migrate(
    configuration: Configuration,
    source_path: str,
    source_options: Optional[str],
    ids: Optional[str],
    database: str,
    source_table: str,
    since: Optional[datetime],
    until: Optional[datetime],
    workers: int,
    rate: Optional[Rate],
    allow_pickle: bool,
    checkpoint: str,
    resume: bool,
    failed: Optional[str],
    patience: str,
    dry_run: bool,
) -> None:
    """Move a whole nodestore into the table, while Sentry runs.

    \b
    $ sentry-tablestore migrate --dry-run
    $ sentry-tablestore migrate
    $ sentry-tablestore verify

    \b
    The order of steps:
    1. Put the table's options into SENTRY_NODESTORE_OPTIONS, with read_through
       to the old nodestore; create the table: sentry upgrade --with-nodestore.
    2. Restart all of Sentry. New events go to the table from now on, and old
       ones are read from the old nodestore. Both are deleted from.
    3. sentry-tablestore migrate. It may be killed and started again at any
       time: what it has saved is not done again, and no count is wrong.
    4. sentry-tablestore verify. Then take read_through out, restart Sentry,
       and drop the old nodestore when you are sure.
    To move before Sentry is switched, migrate with --options FILE first, do
    steps 1 and 2, and migrate --since the day of the first one's start, with
    another --checkpoint, for what was written meanwhile.

    Each row keeps the time of its last write, and so its remaining life. Rows that are older than
    default_ttl are skipped; a newer node in the table is never overwritten. A CLASS other than
    this project's tells no times: its nodes are new in the table, and replace nothing there.

    Failures that may pass (a database that restarts, a target that asks to slow down) are waited
    for, --patience long. Ctrl-C ends within a second, and the next run goes on. When every row is
    done, the next run tries the failed ones again. The exit status is 0 only if nothing failed.

    Needs ots:DescribeTable, ots:BatchWriteRow, ots:BatchGetRow, ots:GetRow, ots:UpdateRow and
    ots:DeleteRow.
    """
    milliseconds = {"since": _milliseconds(since), "until": _milliseconds(until)}
    waits = timespan("--patience", patience).total_seconds()
    if source_path == _DJANGO and (ids or source_options):
        raise click.UsageError("--ids and --source-options are for --source CLASS")
    try:
        settings, target = _settings_and_target(configuration, source_path == _DJANGO)
        source, keeper = _source_and_keeper(
            configuration,
            settings,
            target,
            (source_path, source_options, ids),
            (database, source_table, milliseconds),
            checkpoint,
        )
        _check(source, target)
        if dry_run:
            told = estimates.estimate(source, bool(target.compression))
            for line in estimates.lines(told, workers, rate, target.compression or "as it is"):
                click.echo(line)
            return
        with_failures = (
            failed or (_CHECKPOINT if checkpoint == _IN_TABLE else checkpoint) + ".failed"
        )
        status = _run(
            source, target, keeper, resume, allow_pickle, workers, rate, waits, with_failures
        )
    except (SourceError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error
    if status:
        click.get_current_context().exit(status)


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
    return settings, TablestoreKVStorage(**settings.store)


def _source_and_keeper(
    configuration: Configuration,
    settings: Optional[Settings],
    target: TablestoreKVStorage,
    given: Tuple[str, Optional[str], Optional[str]],
    rows: Tuple[str, str, Mapping[str, Any]],
    checkpoint: str,
) -> Tuple[Source, Keeper]:
    path, options, ids = given
    database, table, moments = rows
    keeper: Keeper = FileKeeper(checkpoint)
    if path == _DJANGO:
        assert settings is not None
        connect = connector(settings.databases, database)
        lifetime = (target.default_ttl or timedelta()) // _MILLISECOND
        if checkpoint == _IN_TABLE:
            keeper = TableKeeper(connect, f"{target.instance}/{target.table_name}")
        return PostgreSQLSource(connect, table, lifetime=lifetime, **moments), keeper
    if checkpoint == _IN_TABLE:
        raise click.UsageError("--checkpoint table is for the source django")
    if any(moments.values()):
        raise click.UsageError("--since and --until are for the source django")
    if ids == "-":
        ids = spooled(sys.stdin.buffer, checkpoint + ".ids")
    listed = IDList(ids) if ids else None
    parameters = _json(options)
    if path.rpartition(".")[2] == "TablestoreNodeStorage":
        return TablestoreSource(_store(parameters), listed), keeper
    if listed is None:
        raise click.UsageError(f"{path} cannot list its nodes: give their ids with --ids FILE")
    # Most such classes need a configured Sentry; those that do not work without one as well.
    try:
        configuration.sentry()
    except click.ClickException as error:
        if "has no Sentry" not in error.format_message():
            raise
    return NodeStorageSource(path, parameters, listed), keeper


def _store(options: Dict[str, Any]) -> TablestoreKVStorage:
    """Make a store of a TablestoreNodeStorage's options."""
    if options.get("default_ttl") is not None:
        options["default_ttl"] = timespan("default_ttl", options["default_ttl"])
    parameters = {
        name: options.pop(name)
        for name in ("default_ttl", "compression", "reserved_throughput", "automatic_expiry")
        if options.get(name) is not None
    }
    options.pop("read_through", None)
    return TablestoreKVStorage(
        options.pop("instance", None),
        options.pop("table", None) or "nodestore",
        options,
        **parameters,
    )


def _check(source: Source, target: TablestoreKVStorage) -> None:
    """Refuse a source or a target that cannot be used, before anything is written."""
    source.check()
    table = target.describe()
    if table.primary_key != [("id", "STRING")]:
        raise click.ClickException(
            f"table '{target.table_name}' has another primary key than one STRING column id: it "
            "belongs to another program"
        )
    oldest = source.sample(0).oldest if source.dated else 0
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


def _run(
    source: Source,
    target: TablestoreKVStorage,
    keeper: Keeper,
    resume: bool,
    allow_pickle: bool,
    workers: int,
    rate: Optional[Rate],
    patience: float,
    failed_file: str,
) -> int:
    """Run the migration and give the exit status."""
    identity = {"source": source.identity(), "target": _identity(target)}
    keeper.lock()
    if not resume:
        keeper.forget()
    saved = Checkpoint(keeper, identity)
    legacy = LegacyReader() if allow_pickle else None
    migration = Migration(source, Carrier(source, target, legacy), saved, workers, rate, patience)
    before = saved.tally().rows
    click.echo(
        "{} {} into table {} of instance {}; {}.".format(
            "Going on with" if saved.resumed else "Moving",
            source.describe(),
            target.table_name,
            target.instance,
            keeper.describe(),
        ),
        err=True,
    )
    progress = Progress(sys.stderr, source.sample(0).total)
    signals = []

    def stop(number: int, frame: Any) -> None:
        signals.append(number)
        migration.stop()

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ending = migration.run(progress)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        progress.finish()
        if legacy is not None:
            legacy.close()
    failures = write_failures(saved, failed_file) if saved.tally().failures else 0
    seconds = migration.status().seconds
    for line in report(saved.tally(), ending, seconds, before, failed_file if failures else ""):
        click.echo(line)
    if ending == FAILED:
        click.echo(f"Error: {_reason(migration.failure)}", err=True)
    if ending == STOPPED:
        click.echo("The same command goes on from here.", err=True)
    status = (
        128 + signals[0] if ending == STOPPED and signals else int(ending == FAILED or failures > 0)
    )
    if not migration.is_idle():
        # A thread that is still in a call would keep the interpreter from ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    saved.close()
    return status


def _identity(target: TablestoreKVStorage) -> Dict[str, str]:
    return {
        "end_point": target.options.end_point,
        "instance": target.instance,
        "table": target.table_name,
    }


def _reason(error: Optional[BaseException]) -> str:
    known = (TablestoreError, SourceError, CheckpointError, LegacyReaderError)
    if isinstance(error, known):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _milliseconds(moment: Optional[datetime]) -> Optional[int]:
    if moment is None:
        return None
    return (moment.replace(tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND


def _json(text: Optional[str]) -> Dict[str, Any]:
    try:
        options = json.loads(text or "{}")
    except ValueError as error:
        raise click.UsageError(f"--source-options is no JSON: {error}") from None
    if not isinstance(options, dict):
        raise click.UsageError("--source-options must be a JSON object")
    return options
