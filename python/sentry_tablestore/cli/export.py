"""`sentry-tablestore export`: the nodes of the table into a file."""

import io
import json
from typing import Any, Optional

import click

from ..errors import TablestoreError
from ..migration import export as exports
from ..migration.node_file import COMPRESSIONS, NodeFileError, compression_of
from . import output
from .configuration import Configuration
from .group import command, pass_configuration
from .moments import Moment
from .pace import Pace

_SHOWN = 20  # ids of nodes that cannot be decoded
_BUFFER = 1 << 20


class _Stdout(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        output.write(data)
        return len(data)


@command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--since", type=Moment(), default=0, help="Only nodes last written from then on.")
@click.option("--until", type=Moment(), default=0, help="Only nodes last written before then.")
@click.option(
    "--compress",
    type=click.Choice(COMPRESSIONS),
    help="How, instead of by FILE's end (.zst, .gz, other: none).",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of what was done.")
@pass_configuration
def export(
    configuration: Configuration,
    file: str,
    since: int,
    until: int,
    compress: Optional[str],
    force: bool,
    as_json: bool,
) -> None:
    """Write the nodes of the table to FILE, or to stdout for "-".

    \b
    $ sentry-tablestore export nodes.jsonl.zst
    $ sentry-tablestore export - --compress zstd | ssh backup 'cat > nodes.jsonl.zst'

    FILE is lines of JSON, one node a line with its id, its value and when it was written, in the
    order of the ids; its last line shows that it is complete. It appears under its name when it is,
    and is for its owner's eyes only. It is no snapshot: nodes written or deleted meanwhile may or
    may not be in it. A moment is a date, a date and a time in UTC, or how long ago: 2026-11-23,
    2026-11-23T10:00, 30d.

    Failures that may pass, such as throttling, are waited for, a minute long. Nodes that cannot be
    decoded are named and left out, which makes the exit status 1. Needs ots:GetRange and, for large
    nodes, ots:GetRow.
    """
    if since and until and since >= until:
        raise click.UsageError("--since must be before --until: nothing would be exported")
    if as_json and file == "-":
        raise click.UsageError('--json has no place to be printed when FILE is "-"')
    store = configuration.store()
    compression = compress or compression_of(file)
    pace = Pace("exported")
    try:
        if file == "-":
            stdout = io.BufferedWriter(_Stdout(), _BUFFER)
            done = exports.export(store, stdout, compression, since, until, pace.show)
        else:
            with exports.new_file(file, replace=force) as out:
                done = exports.export(store, out, compression, since, until, pace.show)
    except NodeFileError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        raise  # nobody reads any further, which is no failure of ours
    except TablestoreError:
        raise  # some are an OSError as well, and none of them the file's
    except OSError as error:
        raise click.ClickException(
            f"{file} cannot be written: {error.strerror or error}"
        ) from error
    for id, why in done.unreadable[:_SHOWN]:
        click.echo(f"node '{id}' cannot be decoded and is not in the file: {why}", err=True)
    told = done._asdict()
    told["unreadable"] = [id for id, _ in done.unreadable]
    if as_json:
        click.echo(json.dumps(told))
    click.echo(
        f"Exported {done.nodes:,} nodes ({done.bytes:,} bytes) of table '{store.table_name}', "
        f"left out {done.left_out:,}.",
        err=True,
    )
    if done.unreadable:
        raise click.ClickException(
            f"{len(done.unreadable):,} nodes cannot be decoded; the file has all others"
        )
