"""`sentry-tablestore verify`: whether the table has every node of a source."""

import json
import os
import sys
from typing import IO, Any, List, Optional

import click

from ..migration import private_file
from ..migration.legacy import LegacyReader, LegacyReaderError
from ..migration.sources.source import SourceError
from ..migration.verify import COMPLETE, WORDS, Finding, Verifier
from .configuration import Configuration
from .group import command, pass_configuration
from .pace import Pace
from .sources import Chosen, Opened, check, opened, source_options

_SHOWN = 20


@command("verify")
@source_options
@click.option("--sample", type=click.IntRange(1, 50000), metavar="N", help="Compare so many only.")
@click.option("--repair", is_flag=True, help="Copy what is missing or different.")
@click.option("--allow-pickle", is_flag=True, help="Load legacy pickles, to compare them as JSON.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, help="Default: 4.")
@click.option("--findings", metavar="FILE", help="For every finding, made anew; - is stdout.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@pass_configuration
def verify(
    configuration: Configuration,
    chosen: Chosen,
    sample: Optional[int],
    repair: bool,
    allow_pickle: bool,
    workers: int,
    findings: Optional[str],
    as_json: bool,
) -> None:
    """Compare the old nodestore with the table, node by node, by the SHA-256 of the payloads.

    \b
    $ sentry-tablestore verify --sample 10000
    $ sentry-tablestore verify
    $ sentry-tablestore verify --repair

    Sentry may run. What it has written to the table since the migration is newer there and no
    difference; what it deletes meanwhile, and what has expired, is no finding either. Nodes that
    only the table has are not looked at. --sample takes nodes from all over the source, without
    reading the rest.

    --repair copies what is missing or different, with the time of its last write. It never
    overwrites a newer node; where the source tells no times, it overwrites nothing at all.

    Up to 20 findings are shown; --findings has all: id, what, and detail, with tabs between. The
    exit status is 0 only if the table has everything, after the repair if there was one, and the
    source has any nodes.

    Needs ots:DescribeTable, ots:BatchGetRow, ots:GetRow and ots:GetRange; --repair what migrate
    needs.
    """
    told: List[Finding] = []
    listing: Optional[IO[str]] = None

    def found(finding: Finding) -> None:
        if len(told) < _SHOWN:
            told.append(finding)
        if listing is not None:
            listing.write("\t".join(_escaped(part) for part in finding) + "\n")

    legacy = LegacyReader() if allow_pickle else None
    try:
        sides = opened(configuration, chosen, "sentry-tablestore-verify.ids")
        check(sides.source, sides.target, writes=repair)
        listing = _opened(findings) if findings else None
        verifier = Verifier(sides.source, sides.target, legacy, repair, found)
        _compare(verifier, sample, workers)
    except (SourceError, LegacyReaderError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        if legacy is not None:
            legacy.close()
        if listing not in (None, sys.stdout):
            listing.close()  # type: ignore[union-attr]
    if as_json:
        click.echo(json.dumps(_as_json(verifier, sides, sample, told)))
    else:
        _report(verifier, sides, sample, told)
    if not verifier.complete:
        click.get_current_context().exit(1)


def _opened(path: str) -> IO[str]:
    if path == "-":
        return sys.stdout
    if os.path.exists(path) and not os.path.isfile(path):
        raise click.ClickException(f'{path} is no file: give "-" for standard output')
    try:
        return private_file.create(path, "x", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def _compare(verifier: Verifier, sample: Optional[int], workers: int) -> None:
    if sample is None:
        verifier.full(workers, Pace("compared").show)
    elif verifier.sample(sample) and not verifier.nodes:
        raise click.ClickException(
            "no sample can be taken of this source, such as a view: compare all, without --sample"
        )


def _as_json(verifier: Verifier, sides: Opened, sample: Optional[int], told: List[Finding]) -> Any:
    return {
        "complete": verifier.complete,
        "source": sides.source.describe(),
        "table": sides.target.table_name,
        "sample": sample,
        "nodes": verifier.nodes,
        "bytes": verifier.bytes,
        **verifier.counts,
        "findings": [finding._asdict() for finding in told],
    }


def _report(verifier: Verifier, sides: Opened, sample: Optional[int], told: List[Finding]) -> None:
    for finding in told:
        detail = f": {finding.detail}" if finding.detail else ""
        click.echo(f"{finding.kind} '{_escaped(finding.id)}'{detail}", err=True)
    left = sum(verifier.counts[kind] for kind in WORDS if kind not in COMPLETE) - len(told)
    if left:
        click.echo(f"… and {left:,} more: --findings FILE has all", err=True)
    what = "a sample" if sample is not None else "all"
    click.echo(
        f"Compared {what} of {sides.source.describe()}, {verifier.nodes:,} nodes, with table "
        f"{sides.target.table_name} of instance {sides.target.instance}:"
    )
    for kind, count in verifier.counts.items():
        if count:
            click.echo(f"  {kind:<11}{count:>12,}  {WORDS[kind]}")
    ending = "Complete." if verifier.complete else "Not complete."
    if not verifier.nodes:
        ending = "Nothing was compared: the source has no nodes. Is it the right one?"
    click.echo(ending)
    sys.stdout.flush()


def _escaped(text: str) -> str:
    """Put a text on one line without tabs."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
