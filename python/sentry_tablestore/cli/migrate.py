"""`sentry-tablestore migrate`: move a whole nodestore into the table."""

import contextlib
import os
import signal
import sys
from typing import Any, Dict, Optional

import click

from ..errors import TablestoreError
from ..kvstore.tablestore import TablestoreKVStorage
from ..migration import estimate as estimates
from ..migration.carry import Carrier
from ..migration.checkpoint import Checkpoint, CheckpointError, Keeper
from ..migration.checkpoint_file import FileKeeper
from ..migration.checkpoint_table import JOURNAL, TableKeeper
from ..migration.legacy import LegacyReader, LegacyReaderError
from ..migration.progress import Progress
from ..migration.rate import Rate, parse_rate
from ..migration.report import report, shown_failures, write_failures
from ..migration.run import FAILED, STOPPED, Migration
from ..migration.sources.source import Source, SourceError
from .configuration import Configuration
from .configuration import duration as timespan
from .group import command, pass_configuration
from .sources import DJANGO, Chosen, check, opened, source_options

_CHECKPOINT = "sentry-tablestore-migrate.checkpoint"
_IN_TABLE = "table"


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
@source_options
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
@click.option(
    "--failed", metavar="FILE", help="For ids that failed. Default: CHECKPOINT.failed, or none."
)
@click.option("--patience", default="10m", metavar="TIME", help="For what may pass. Default: 10m")
@click.option("--dry-run", is_flag=True, help="Estimate rows, bytes, capacity units and time.")
@pass_configuration
def migrate(
    configuration: Configuration,
    chosen: Chosen,
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
    another --checkpoint, for what was written meanwhile. What Sentry deletes
    before the switch, after it was moved, stays in the table until it expires.

    Each row keeps the time of its last write, and so its remaining life. Rows that are older than
    default_ttl are skipped; a newer node in the table is never overwritten. A CLASS other than
    this project's tells no times: its nodes are new in the table, and replace nothing there.

    Failures that may pass (a database that restarts, a target that asks to slow down) are waited
    for, --patience long. Ctrl-C ends within a second, and the next run goes on. When every row is
    done, the next run tries the failed ones again. The exit status is 0 only if nothing failed. Up
    to 20 ids that failed are shown; --failed FILE, or with --checkpoint table the table
    sentry_tablestore_migration_failed there, has all.

    Needs ots:DescribeTable, ots:BatchWriteRow, ots:BatchGetRow, ots:GetRow and ots:UpdateRow; for
    a table as the source ots:DescribeTable, ots:GetRange, ots:BatchGetRow and ots:GetRow there.
    """
    waits = timespan("--patience", patience).total_seconds()
    if checkpoint == _IN_TABLE and chosen.path != DJANGO:
        raise click.UsageError("--checkpoint table is for the source django")
    try:
        source, target, connect = opened(configuration, chosen, checkpoint + ".ids")
        check(source, target, writes=True)
        if dry_run:
            told = estimates.estimate(source, bool(target.compression))
            for line in estimates.lines(told, workers, rate, target.compression or "as it is"):
                click.echo(line)
            return
        keeper: Keeper = FileKeeper(checkpoint)
        if checkpoint == _IN_TABLE and connect is not None:
            keeper = TableKeeper(connect, f"{target.instance}/{target.table_name}")
        if failed is None and checkpoint != _IN_TABLE:
            failed = checkpoint + ".failed"
        with contextlib.closing(keeper):
            status = _run(
                source, target, keeper, resume, allow_pickle, workers, rate, waits, failed
            )
    except (SourceError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error
    if status:
        click.get_current_context().exit(status)


def _run(
    source: Source,
    target: TablestoreKVStorage,
    keeper: Keeper,
    resume: bool,
    allow_pickle: bool,
    workers: int,
    rate: Optional[Rate],
    patience: float,
    failed_file: Optional[str],
) -> int:
    """Run the migration and give the exit status."""
    identity = {"source": source.identity(), "target": _identity(target)}
    warning = keeper.lock()
    if warning:
        click.echo(warning, err=True)
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
    failures = saved.tally().failures
    where = _keep_failures(saved, failed_file)
    seconds = migration.status().seconds
    for line in report(saved.tally(), ending, seconds, saved.seconds, before, where):
        click.echo(line)
    for line in shown_failures(saved):
        click.echo(line, err=True)
    if ending == FAILED:
        click.echo(f"Error: {_reason(migration.failure)}", err=True)
    if ending == STOPPED:
        click.echo("The same command goes on from here.", err=True)
    status = (
        128 + signals[0] if ending == STOPPED and signals else int(ending == FAILED or failures > 0)
    )
    if ending == STOPPED or not migration.is_idle():
        # A thread that is still in a call would keep the interpreter from ending, and a person who
        # has pressed Ctrl-C does not want to wait until all that Sentry imports is torn down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _keep_failures(saved: Checkpoint, path: Optional[str]) -> str:
    """Write the file of rows that failed, if there is to be one, and say where they are."""
    try:
        failures = saved.tally().failures if path is None else write_failures(saved, path)
    except (OSError, CheckpointError) as error:
        click.echo(f"{path} cannot be written: {error}", err=True)
        return ""
    if not failures:
        return ""
    return f"table {JOURNAL}, beside the source" if path is None else path


def _identity(target: TablestoreKVStorage) -> Dict[str, Optional[str]]:
    return {
        "end_point": target.options.end_point,
        "instance": target.instance,
        "table": target.table_name,
        # By it rows were skipped as expired.
        "default_ttl": str(target.default_ttl) if target.default_ttl else None,
    }


def _reason(error: Optional[BaseException]) -> str:
    known = (TablestoreError, SourceError, CheckpointError, LegacyReaderError)
    if isinstance(error, known):
        return str(error)
    return f"{type(error).__name__}: {error}"
