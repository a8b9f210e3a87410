"""`sentry-tablestore delete`: delete nodes."""

import json
from typing import IO, Callable, Iterable, Iterator, List, Optional, Tuple

import click

from .configuration import Configuration
from .group import command, pass_configuration

# Sentry's own most for one call.
_AT_ONCE = 10000


@command("delete")
@click.argument("ids", nargs=-1)
@click.option("--ids", "file", type=click.File("r"), help="More ids, one a line; - is stdin.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of what was done.")
@pass_configuration
def delete(
    configuration: Configuration, ids: Tuple[str, ...], file: Optional[IO[str]], as_json: bool
) -> None:
    """Delete the nodes with these IDS.

    \b
    $ sentry-tablestore delete 2dbc2fd2358e1ea1b7a6bc08ea647b9a
    $ sentry-tablestore delete --ids ids.txt

    Missing ones are fine. In a Sentry they are dropped from its cache of nodes as well. Sentry's
    own records of the events stay: it shows them as events without a body. Needs ots:DeleteRow and
    ots:BatchWriteRow.
    """
    if not ids and file is None:
        raise click.UsageError("which nodes? Give their ids, or --ids FILE")
    store = configuration.store()
    remove: Callable[[List[str]], None] = store.delete_many
    if configuration.is_sentrys():
        remove = configuration.backend().delete_multi
    given = 0
    for some in _some(_all(ids, file)):
        remove(some)
        given += len(some)
    if as_json:
        click.echo(json.dumps({"table": store.table_name, "deleted": given}))
        return
    click.echo("Deleted {:,} {}.".format(given, "node" if given == 1 else "nodes"), err=True)


def _all(ids: Iterable[str], file: Optional[IO[str]]) -> Iterator[str]:
    yield from ids
    try:
        for line in file or ():
            if line.strip():
                yield line.strip()
    except UnicodeDecodeError as error:
        raise click.ClickException(f"--ids holds something else than text: {error}") from None


def _some(ids: Iterator[str]) -> Iterator[List[str]]:
    """Give the ids in pieces of what one call takes."""
    piece: List[str] = []
    for id in ids:
        piece.append(id)
        if len(piece) == _AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece
