"""`sentry-tablestore put`: write a node."""

import json
from datetime import datetime, timedelta, timezone
from typing import IO, Optional

import click

from ..kvstore.tablestore import TablestoreKVStorage
from . import node
from .configuration import Configuration, duration
from .group import command, pass_configuration


@command("put")
@click.argument("id")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--subkey", metavar="NAME", help="Set this subkey of a node that is there.")
@click.option("--raw", is_flag=True, help="Write the input's bytes as they are.")
@click.option("--ttl", metavar="TIME", help='Hide the node after this time, such as "14d".')
@click.option("--force", is_flag=True, help="Replace a node or a subkey that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of what was done.")
@pass_configuration
def put(
    configuration: Configuration,
    id: str,
    file: IO[bytes],
    subkey: Optional[str],
    raw: bool,
    ttl: Optional[str],
    force: bool,
    as_json: bool,
) -> None:
    """Write the JSON in FILE (or stdin) as the node ID.

    \b
    $ sentry-tablestore put 2dbc2fd2358e1ea1b7a6bc08ea647b9a event.json

    The JSON is written as Sentry does, on one line with sorted keys; --raw takes any bytes, such as
    what `get --raw` printed. A node that is there is left alone without --force, but this is looked
    up before: a write of another program in between is replaced. One that gets a subkey keeps its
    own time to live. Needs ots:GetRow and ots:PutRow, for a --subkey ots:BatchGetRow as well.
    """
    if raw and subkey is not None:
        raise click.UsageError("--raw writes the whole value: --subkey has no meaning with it")
    lifetime = None if ttl is None else duration("--ttl", ttl)
    if lifetime is not None and lifetime < timedelta(milliseconds=1):
        raise click.UsageError("--ttl must be at least a millisecond: to remove a node, delete it")
    store = configuration.store()
    given = file.read()
    value = given if raw else node.encode(given)
    before = None if force and subkey is None else store.get(id)
    if subkey is not None:
        value = _with_subkey(id, before, subkey, value, force)
    elif before is not None:
        raise click.ClickException(f"there is a node '{id}' already: --force replaces it")
    if subkey is not None and ttl is None:
        lifetime = _left(store, id)
    store.set(id, value, lifetime)
    if configuration.is_sentrys():
        configuration.backend()._delete_cache_item(id)
    if as_json:
        click.echo(json.dumps({"table": store.table_name, "id": id, "bytes": len(value)}))
        return
    click.echo(f"Wrote node '{id}': {len(value):,} bytes.", err=True)


def _left(store: TablestoreKVStorage, id: str) -> Optional[timedelta]:
    """Give what is left of a node's own time to live, None where it has none."""
    for found in store.scan_many([id]):
        if found.expires:
            now = datetime.now(timezone.utc)
            until = datetime.fromtimestamp(found.expires / 1000, timezone.utc)
            return max(until - now, timedelta(milliseconds=1))
    return None


def _with_subkey(id: str, before: Optional[bytes], subkey: str, value: bytes, force: bool) -> bytes:
    if not subkey or "\n" in subkey:
        raise click.UsageError("a subkey must be a line of text")
    if before is None:
        raise click.ClickException(f"there is no node '{id}' that could have a subkey")
    payload, subkeys = node.split(id, before)
    if subkey in subkeys and not force:
        raise click.ClickException(f"node '{id}' has a subkey '{subkey}': --force replaces it")
    subkeys[subkey] = value
    return node.join(payload, subkeys)
