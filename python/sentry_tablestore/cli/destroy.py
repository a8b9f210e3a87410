"""`sentry-tablestore destroy`: drop the table."""

import json
import sys
from typing import Optional

import click

from .configuration import Configuration
from .group import command, pass_configuration


@command("destroy")
@click.option("--yes-destroy", metavar="TABLE", help="The table's name once more; asks for none.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of what was done.")
@pass_configuration
def destroy(configuration: Configuration, yes_destroy: Optional[str], as_json: bool) -> None:
    """Drop the table with everything in it.

    Asks for the table's name first; a script gives it with --yes-destroy. There is no way back.
    Needs ots:DeleteTable.
    """
    store = configuration.store()
    if yes_destroy is None:
        if not sys.stdin.isatty():
            raise click.UsageError("this is no terminal to ask at: give --yes-destroy TABLE")
        click.echo(
            f"This deletes all nodes in table '{store.table_name}' of instance '{store.instance}' "
            f"at {store.options.end_point}, for ever.",
            err=True,
        )
        yes_destroy = click.prompt(
            "Type the table's name to go on", default="", show_default=False, err=True
        )
    if yes_destroy != store.table_name:
        raise click.ClickException(
            f"that is not the name of the table, '{store.table_name}': nothing was done"
        )
    store.destroy()
    if as_json:
        click.echo(json.dumps({"table": store.table_name, "result": "destroyed"}))
        return
    click.echo(f"Table '{store.table_name}' is gone.", err=True)
