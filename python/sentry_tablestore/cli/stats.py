"""`sentry-tablestore stats`: what fills the table."""

import contextlib
import json
import random
import sys
import time
from typing import Any, Dict, Iterator, List, Optional

import click

from .configuration import Configuration
from .group import command, pass_configuration
from .survey import KINDS, Amount, Estimate, Show, Survey, count_all, sample

_STEPS = 1000


@command("stats")
@click.option(
    "--sample",
    "size",
    type=click.IntRange(min=100),
    metavar="N",
    help="Read about N nodes of each kind, at random places, and estimate.",
)
@click.option(
    "--top", type=click.IntRange(min=0), default=10, metavar="N", help="Largest nodes to list (10)."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@pass_configuration
def stats(configuration: Configuration, size: Optional[int], top: int, as_json: bool) -> None:
    """Tell what fills the table: nodes and bytes by kind, by day and by compression.

    \b
    $ sentry-tablestore stats --sample 20000

    Reads and decodes every node, which costs what reading the table costs; with --sample only so
    many, and gives each total with the error within which it is right 19 times out of 20. Nodes
    that are hidden because they have expired are not counted. Days are those in UTC on which the
    nodes were last written.

    "stored" are the bytes of the values in the table, "raw" before compression; "oldest" and
    "newest" are the last writes of the nodes that were read. Needs ots:GetRange and, for large
    nodes, ots:GetRow.
    """
    store = configuration.store()
    store.scan(limit=1)  # not patiently: a service that was never there is told at once
    with _progress() as show:
        if size is None:
            survey = count_all(store, top, show)
        else:
            survey = sample(store, size, top, random.SystemRandom(), show)
    if as_json:
        click.echo(json.dumps(dict({"table": store.table_name}, **_object(survey))))
    else:
        _print(store.table_name, survey)


@contextlib.contextmanager
def _progress() -> Iterator[Show]:
    """Show a bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda part, nodes: None
        return
    with click.progressbar(length=_STEPS, label="Reading", file=sys.stderr) as bar:
        reached = 0

        def show(part: float, nodes: int) -> None:
            nonlocal reached
            step = int(part * _STEPS)
            if step > reached:
                bar.update(step - reached)
                reached = step

        yield show
        bar.update(_STEPS - reached)


def _object(survey: Survey) -> Dict[str, Any]:
    def amount(one: Amount) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        for name, estimate in zip(Amount._fields, one):
            found[name] = round(estimate.value)
            if not survey.exact:
                found[name + "_error"] = round(estimate.error)
        return found

    return {
        "exact": survey.exact,
        "complete": survey.complete,
        "nodes_read": survey.read,
        "seconds": round(survey.seconds, 3),
        "total": amount(_total(survey)),
        "oldest": _moment(_oldest(survey)) if survey.read else None,
        "newest": _moment(_newest(survey)) if survey.read else None,
        "kinds": {
            name: dict(amount(one), oldest=_moment(oldest), newest=_moment(newest))
            for name, one in survey.of("kind").items()
            for oldest, newest in [survey.written[name]]
        },
        "days": {name: amount(one) for name, one in survey.of("day").items()},
        "compressions": {name: amount(one) for name, one in survey.of("compression").items()},
        "largest": [
            {
                "id": node.id,
                "raw": node.size,
                "stored": node.stored,
                "compression": node.compression,
                "written": _moment(node.written),
            }
            for node in survey.largest
        ],
        "undecodable": {
            "nodes_read": survey.broken_nodes,
            "first": [{"id": id, "error": error} for id, error in survey.broken],
        },
    }


def _print(table: str, survey: Survey) -> None:
    total = _total(survey)
    if not survey.read:
        click.echo(f"Table '{table}' holds no nodes.")
        return
    nodes = _number(total.nodes, survey.exact)
    stored, raw = _bytes(total.stored, survey.exact), _bytes(total.raw, survey.exact)
    noun = "node" if total.nodes == (1, 0) else "nodes"
    click.echo(f"Table '{table}' holds {nodes} {noun}: {stored} stored, {raw} raw.")
    click.echo(f"Written from {_moment(_oldest(survey))} to {_moment(_newest(survey))}.")
    if not survey.exact:
        click.echo(f"Estimated from {survey.read:,} nodes; ± holds 19 times out of 20.")
    if not survey.complete:
        click.echo(
            "There are more of the other ids than were counted: only stats without --sample tells."
        )
    kinds = survey.of("kind")
    names = [name for name in KINDS if name in kinds]
    rows = _rows("kind", {KINDS[name]: kinds[name] for name in names}, survey.exact)
    days = [[_day(moment) for moment in survey.written[name]] for name in names]
    dated = [row + dates for row, dates in zip(rows, [["oldest", "newest"], *days])]
    for table in (
        dated,
        _rows("compression", survey.of("compression"), survey.exact),
        _rows("day", survey.of("day"), survey.exact),
    ):
        click.echo()
        _lines(table, "<" + ">" * (len(table[0]) - 1))
    if survey.largest:
        click.echo("\nlargest nodes read")
        rows = [
            [
                node.id,
                _size(node.size) + " raw",
                _size(node.stored) + " stored",
                _moment(node.written),
            ]
            for node in survey.largest
        ]
        _lines(rows, "<>><")
    if survey.broken_nodes:
        click.echo(f"\n{survey.broken_nodes:,} of the nodes read cannot be decoded, the first:")
        _lines([[id, error] for id, error in survey.broken], "<<")


def _rows(title: str, amounts: Dict[str, Amount], exact: bool) -> List[List[str]]:
    """Give the rows of a table, the headings first."""
    rows = [[title, "nodes", "stored", "raw", "ratio"]]
    for name, one in amounts.items():
        ratio = f"{one.raw.value / one.stored.value:.1f}" if one.stored.value else "-"
        rows.append(
            [
                name,
                _number(one.nodes, exact),
                _bytes(one.stored, exact),
                _bytes(one.raw, exact),
                ratio,
            ]
        )
    return rows


def _lines(rows: List[List[str]], alignment: str) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(alignment))]
    for row in rows:
        cells = [format(cell, f"{side}{n}") for cell, side, n in zip(row, alignment, widths)]
        click.echo("  ".join(cells).rstrip())


def _oldest(survey: Survey) -> int:
    return min(oldest for oldest, _ in survey.written.values())


def _newest(survey: Survey) -> int:
    return max(newest for _, newest in survey.written.values())


def _total(survey: Survey) -> Amount:
    none = Estimate(0, 0)
    return survey.of("all").get("", Amount(none, none, none))


def _number(estimate: Estimate, exact: bool) -> str:
    return f"{estimate.value:,.0f}" + _error(estimate, exact)


def _bytes(estimate: Estimate, exact: bool) -> str:
    return _size(estimate.value) + _error(estimate, exact)


def _error(estimate: Estimate, exact: bool) -> str:
    """Say the error in percent, to the right of a total that was estimated."""
    if exact:
        return ""
    percent = 100 * estimate.error / estimate.value if estimate.value else 0
    return f" ±{percent:.0f}%" if percent >= 10 else f" ±{percent:.1f}%"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _day(milliseconds: int) -> str:
    return _moment(milliseconds)[:10]


def _moment(milliseconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(milliseconds / 1000))
