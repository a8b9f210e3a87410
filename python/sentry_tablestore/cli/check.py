"""`sentry-tablestore check`: find what keeps the nodestore from working, and say what to do."""

import json
from typing import Optional

import click

from ..endpoint import is_open
from ..errors import TablestoreError
from ..kvstore.tablestore import TablestoreKVStorage
from .checks import network, nodes, table
from .checks.report import FAILED, OK, SKIPPED, WARNING, Outcome, Report
from .configuration import Configuration
from .group import command, pass_configuration
from .spans import span

_SHOWN = {OK: "ok", WARNING: "warn", FAILED: "FAIL", SKIPPED: "skip"}
_COLOURS = {OK: "green", WARNING: "yellow", FAILED: "red"}
_WIDTH = 15


@command("check")
@click.option("--large", is_flag=True, help="Also write a node of 5 MiB, in parts (UpdateRow).")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
@pass_configuration
def check(configuration: Configuration, ctx: click.Context, large: bool, as_json: bool) -> None:
    """Find what keeps the nodestore from working, and say what to do.

    Checks the options, the way to the service (name, connection, certificate, clock), the
    credentials, the table (primary key, time to live, versions, age of nodes) and each operation
    that Sentry needs, on nodes of its own that are removed again. Goes on after a failure where
    that can tell more. Changes nothing else.

    Exits with 1 when anything failed; warnings are for the exit status no failure.
    """
    report = Report(lambda outcome: None if as_json else _print(outcome))
    store = _check_options(report, configuration)
    if store is None:
        report.skip(network.NAMES + table.NAMES + nodes.names(large), "there are no options")
    elif not network.check(report, store.options.end_point, store.options.timeout):
        report.skip(table.NAMES + nodes.names(large), "the service cannot be reached")
    elif not table.check(report, store):
        report.skip(nodes.names(large), "the table cannot be used")
    else:
        nodes.check(report, store, large)
    nodes.say_what_is_not_tried(report)
    failed, warnings = report.count(FAILED), report.count(WARNING)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": not failed,
                    "failed": failed,
                    "warnings": warnings,
                    "checks": [dict(outcome._asdict()) for outcome in report.outcomes],
                }
            )
        )
    else:
        click.echo(_summary(failed, warnings))
    ctx.exit(1 if failed else 0)


def _check_options(report: Report, configuration: Configuration) -> Optional[TablestoreKVStorage]:
    try:
        store = configuration.store()
    except (TablestoreError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        report.add("options", FAILED, text, "See `sentry-tablestore --help`.")
        return None
    try:
        configuration.validate()
    except click.ClickException as error:
        report.add(
            "options", FAILED, error.format_message(), "Every `sentry` command ends with this."
        )
        return store
    options = store.options
    kept = "for ever"
    if options.default_ttl is not None:
        kept = span(int(options.default_ttl.total_seconds()))
        kept += " by the table" if options.automatic_expiry else " by cleanup"
    message = "from {}: instance {}, table {}, nodes kept {}, {}".format(
        configuration.source,
        store.instance,
        store.table_name,
        kept,
        options.compression or "no compression",
    )
    if is_open(options.end_point):
        report.add(
            "options",
            WARNING,
            message,
            "Begin end_point with https://: anyone on the way can read what goes over http://.",
        )
    else:
        report.add("options", OK, message)
    return store


def _print(outcome: Outcome) -> None:
    word = click.style(_SHOWN[outcome.status].ljust(4), fg=_COLOURS.get(outcome.status))
    took = "" if outcome.milliseconds is None else f" ({outcome.milliseconds:,.1f} ms)"
    click.echo(f"{word}  {outcome.name.ljust(_WIDTH)} {outcome.message}{took}".rstrip())
    if outcome.advice:
        click.echo(" " * (_WIDTH + 7) + "-> " + outcome.advice)


def _summary(failed: int, warnings: int) -> str:
    parts = []
    if failed:
        parts.append(f"{failed} failed")
    if warnings:
        parts.append("{} {}".format(warnings, "warning" if warnings == 1 else "warnings"))
    return ", ".join(parts) + "." if parts else "All is well."
