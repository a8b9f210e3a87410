"""`sentry-tablestore bootstrap`: create the table or bring its options up to date."""

import json
from typing import Any, Dict, Optional

import click

from ..errors import TablestoreTableMissingError
from ..kvstore.tablestore import TablestoreKVStorage
from .configuration import Configuration
from .group import command, pass_configuration
from .spans import span

_WORDS = {
    "time_to_live": "nodes are kept (TimeToLive)",
    "max_versions": "versions of a value (MaxVersions)",
    "max_time_deviation": "write times may be old by (DeviationCellVersionInSec)",
    "reserved_read": "reserved read capacity units",
    "reserved_write": "reserved write capacity units",
}


@command("bootstrap")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@pass_configuration
def bootstrap(configuration: Configuration, as_json: bool) -> None:
    """Create the table, or bring its options to the configured ones.

    Does what `sentry upgrade --with-nodestore` does for the nodes, and tells what it did. Repeating
    it changes nothing. A table of that name with another primary key is left as it is, which is an
    error. Waits until a new table can be read, three minutes at most.

    With automatic_expiry the table drops nodes after default_ttl by itself; changing these two and
    bootstrapping again changes that for the nodes that are there, too.

    \b
    Needs the RAM actions ots:DescribeTable, ots:CreateTable, ots:UpdateTable and ots:GetRow.
    """
    store = configuration.store()
    before = _describe(store)
    store.bootstrap(automatic_expiry=store.options.automatic_expiry)
    after = _describe(store) or {}
    changes = {
        name: [before[name], value]
        for name, value in after.items()
        if before is not None and before[name] != value
    }
    if as_json:
        done = {
            "table": store.table_name,
            "result": "created" if before is None else "changed" if changes else "unchanged",
            "changes": changes,
            "options": after,
        }
        click.echo(json.dumps(done))
        return
    if before is None:
        click.echo(f"Table '{store.table_name}' has been created:")
        lines = [f"{_WORDS[name]}: {_words(name, value)}" for name, value in after.items()]
    elif changes:
        click.echo(f"Table '{store.table_name}' has been changed:")
        lines = [
            f"{_WORDS[name]}: {_words(name, old)} -> {_words(name, new)}"
            for name, (old, new) in changes.items()
        ]
    else:
        click.echo(f"Table '{store.table_name}' is as it should be: nothing to do.")
        lines = []
    for line in lines:
        click.echo("  " + line)


def _describe(store: TablestoreKVStorage) -> Optional[Dict[str, int]]:
    """Give the options of the table, or None when there is none."""
    try:
        description = store.describe()
    except TablestoreTableMissingError:
        return None
    return {name: getattr(description, name) for name in _WORDS}


def _words(name: str, value: Any) -> str:
    if name == "time_to_live" and value == -1:
        return "for ever"
    return span(value) if name in ("time_to_live", "max_time_deviation") else str(value)
