"""The command `sentry-tablestore` and the list of its commands.

A command is a function in a file of its own, made with `command` of `.group`, which gives it the
options of the connection. It takes `Configuration` by `pass_configuration` and raises
`TablestoreError` or `click.ClickException`; either is shown as one line.
"""

import click

from .. import __version__
from .bootstrap import bootstrap
from .check import check
from .delete import delete
from .destroy import destroy
from .export import export
from .get import get
from .group import Group, connection_options
from .import_ import import_
from .migrate import migrate
from .put import put
from .stats import stats
from .verify import verify


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@connection_options(hidden=False)
@click.version_option(__version__, prog_name="sentry-tablestore")
def main() -> None:
    """Look after the table of Tablestore that holds Sentry's nodes.

    Where the options of the connection come from:

    \b
    - in a Sentry, from SENTRY_NODESTORE_OPTIONS of its settings, which are
      looked up as `sentry` itself does: --config, SENTRY_CONF, ~/.sentry;
    - --options or SENTRY_TABLESTORE_OPTIONS, a file with a JSON object of
      options, in place of Sentry's settings:
      {"end_point": "https://…", "table": "nodestore", "default_ttl": "90d"};
    - the environment, one variable an option: SENTRY_TABLESTORE_END_POINT,
      SENTRY_TABLESTORE_TABLE, SENTRY_TABLESTORE_DEFAULT_TTL=90d and so on.
      The end point alone, without --config, also replaces Sentry's settings;
    - the arguments below, before the command or after it.

    A later one in this list wins. Without any access key, that of
    ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and
    ALIBABA_CLOUD_SECURITY_TOKEN is used; none is taken as an argument, where
    other users of the machine would see it.

    The exit status is 0, or 1 for an error or a failed check, or 2 for wrong
    arguments.
    """


# One line for each command, in the order of a table's life.
main.add_command(check)
main.add_command(bootstrap)
main.add_command(stats)
main.add_command(get)
main.add_command(put)
main.add_command(delete)
main.add_command(export)
main.add_command(import_)
main.add_command(migrate)
main.add_command(verify)
main.add_command(destroy)
