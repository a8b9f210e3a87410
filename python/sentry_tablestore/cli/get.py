"""`sentry-tablestore get`: print a node."""

import json
from typing import Optional

import click

from . import node, output
from .configuration import Configuration
from .group import command, pass_configuration


@command("get")
@click.argument("id")
@click.option(
    "--project", type=int, metavar="N", help="ID is an event's id (as a URL of Sentry has it) here."
)
@click.option("--subkey", metavar="NAME", help="Print this subkey's JSON.")
@click.option("--raw", is_flag=True, help="Print the whole value as it is: payload and subkeys.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print an object with id, bytes, node and subkeys."
)
@pass_configuration
def get(
    configuration: Configuration,
    id: str,
    project: Optional[int],
    subkey: Optional[str],
    raw: bool,
    as_json: bool,
) -> None:
    """Print the JSON of the node ID.

    \b
    $ sentry-tablestore get 2dbc2fd2358e1ea1b7a6bc08ea647b9a
    $ sentry-tablestore get --project 1 fc6d8c0c43fc4630ad850ee518f1b9d0 | jq .exception

    Sentry's node of an event has its whole JSON; what some parts of Sentry add to a node is in
    subkeys. Exits with 1 when there is no such node or no such subkey. Needs ots:GetRow.
    """
    if raw and subkey is not None:
        raise click.UsageError("--raw prints the whole value: --subkey has no meaning with it")
    if as_json and (raw or subkey is not None):
        raise click.UsageError(
            "--json prints the node with its subkeys: give neither of the others"
        )
    store = configuration.store()
    if project is not None:
        id = node.node_id(project, id)
    value = store.get(id)
    if value is None:
        raise click.ClickException(f"there is no node '{id}' in table '{store.table_name}'")
    if as_json:
        value = _object(id, value)
    elif not raw:
        payload, subkeys = node.split(id, value)
        if subkey is not None and subkey not in subkeys:
            has = ", ".join(subkeys) or "none"
            raise click.ClickException(f"node '{id}' has no subkey '{subkey}'; it has: {has}")
        value = (payload if subkey is None else subkeys[subkey]) + b"\n"
    output.write(value)


def _object(id: str, value: bytes) -> bytes:
    payload, subkeys = node.split(id, value)
    parts = {
        "id": id,
        "bytes": len(value),
        "node": json.loads(payload.decode("utf-8")),
        "subkeys": {name: json.loads(text.decode("utf-8")) for name, text in subkeys.items()},
    }
    try:
        return json.dumps(parts).encode("ascii") + b"\n"
    except RecursionError:
        raise node.too_deep(id) from None
