"""`sentry-tablestore import`: the nodes of a file into the table."""

import json
import sys
from typing import Any, Dict

import click

from ..errors import TablestoreError
from ..migration.django_target import DjangoTarget
from ..migration.export import import_file
from ..migration.node_file import NodeFileError, Reader
from .configuration import Configuration
from .group import command, pass_configuration
from .pace import Pace

_WORDS = (
    ("written", "written"),
    ("same", "were there"),
    ("newer", "newer in the table"),
    ("exists", "there in another version"),
    ("expired", "expired"),
)


@command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--only-missing", is_flag=True, help="Leave alone every node that is there.")
@click.option("--to-django", is_flag=True, help="Into Sentry's nodestore_node: the way back.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of what was done.")
@pass_configuration
def import_(
    configuration: Configuration, file: str, only_missing: bool, to_django: bool, as_json: bool
) -> None:
    """Write the nodes of FILE, or of stdin for "-", to the table.

    \b
    $ sentry-tablestore import nodes.jsonl.zst
    $ sentry-tablestore import nodes.jsonl.zst --table another

    Each node gets the time of its last write that it had, so that it expires as it would have. A
    node that is newer in the table stays as it is; with --only-missing every one that is there. So
    it can be stopped and repeated at any time. Failures that may pass, such as throttling, are
    waited for, a minute long.

    With --to-django the nodes go to PostgreSQL, where Sentry's Django nodestore keeps them, by the
    same rules; this needs Sentry's settings, and no table of Tablestore.

    FILE is read twice: it is checked to its end before anything is written. Of stdin this shows
    only at the end. Needs ots:BatchWriteRow, ots:BatchGetRow, ots:GetRow and ots:UpdateRow.
    """
    pace = Pace("imported")
    try:
        target: Any = _django(configuration) if to_django else configuration.store()
        if file == "-":
            reader = Reader(sys.stdin.buffer, "stdin")
            outcomes = import_file(target, reader, only_missing, pace.show)
        else:
            with open(file, "rb") as opened:
                if not opened.seekable():
                    raise click.UsageError(f'{file} cannot be read twice: give "-" and a pipe')
                Reader(opened, file).check()
                opened.seek(0)
                outcomes = import_file(target, Reader(opened, file), only_missing, pace.show)
    except NodeFileError as error:
        before = f" {pace.nodes:,} nodes before that were imported." if pace.nodes else ""
        raise click.ClickException(f"{error}.{before}") from error
    except TablestoreError:
        raise  # some are an OSError as well, and none of them the file's
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        if not to_django or not type(error).__module__.startswith("django.db"):
            raise
        # Sentry adds the whole statement to what the database said first.
        cause: BaseException = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
        said = " ".join(str(cause).split()) or type(cause).__name__
        raise click.ClickException(f"Sentry's nodestore_node: {said}") from error
    if as_json:
        click.echo(json.dumps(outcomes))
    click.echo(f"Imported into table '{target.table_name}': {_in_words(outcomes)}.", err=True)


def _django(configuration: Configuration) -> DjangoTarget:
    configuration.sentry()
    return DjangoTarget()


def _in_words(outcomes: Dict[str, int]) -> str:
    told = [f"{outcomes[name]:,} {words}" for name, words in _WORDS if outcomes.get(name)]
    return ", ".join(told) or "no nodes"
