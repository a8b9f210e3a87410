"""What all commands of `sentry-tablestore` share: the options of the connection, and failing."""

import logging
import os
import sys
from typing import Any, Callable, List

import click

from ..errors import TablestoreError
from .configuration import Configuration

pass_configuration = click.make_pass_decorator(Configuration, ensure=True)

# As a shell tells of a program that SIGINT or SIGPIPE ended.
_INTERRUPTED = 130
_PIPE_BROKEN = 141


_project = logging.getLogger("sentry_tablestore.kvstore.tablestore")


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record is not the log's warning of a failed call, which a command shows itself."""
    return not record.getMessage().startswith(("Calls fail", "Calls run into"))


class Group(click.Group):
    """Ends every failure with one line on stderr: no traceback, and nothing for an interruption."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        """Give the commands in the order in which they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        :raises click.ClickException: for every failure that is an error.
        """
        _project.addFilter(_is_news)
        try:
            result = super().invoke(ctx)
            # A pipe that is broken shows here, and not when the interpreter ends.
            sys.stdout.flush()
            return result
        except click.ClickException:
            raise  # may be a TablestoreError as well: the backend's refusal of options
        except BrokenPipeError:
            # What is still buffered must not be written at the interpreter's end either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(_PIPE_BROKEN)
        except TablestoreError as error:
            raise click.ClickException(str(error)) from error
        except (KeyboardInterrupt, click.Abort):  # at a question of click's it is the latter
            click.echo(err=True)  # the terminal shows ^C at the line's beginning
            ctx.exit(_INTERRUPTED)
        finally:
            _project.removeFilter(_is_news)


def command(name: str) -> Callable[[Any], click.Command]:
    """Make a function a command that also takes the options of the connection."""

    def decorate(function: Any) -> click.Command:
        made = click.command(name)(connection_options(hidden=True)(function))
        made.epilog = "The options of the connection may stand here too: sentry-tablestore --help."
        return made

    return decorate


def connection_options(hidden: bool) -> Callable[[Any], Any]:
    """Add the options that say which table, to the group and to each command.

    :param hidden: Whether `--help` is silent about them.
    """

    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.ensure_object(Configuration).arguments[parameter.name] = value

    def option(*names: str, **others: Any) -> Callable[[Any], Any]:
        return click.option(*names, hidden=hidden, expose_value=False, callback=keep, **others)

    def be_verbose(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(Configuration).verbose = True

    def decorate(function: Any) -> Any:
        for add in reversed(
            (
                option("--config", metavar="PATH", help="Sentry's settings, as for `sentry`."),
                option("--options", metavar="FILE", help="A JSON object of options."),
                option("--end-point", metavar="URL", help="http(s)://HOST[:PORT] of the instance."),
                option("--instance", metavar="NAME", help="The instance."),
                option("--table", metavar="NAME", help="The table."),
                option("--region", metavar="ID", help="Sign with V4 for this region."),
                option("--timeout", type=float, metavar="SECONDS", help="For one operation."),
                click.option(
                    "-v",
                    "--verbose",
                    is_flag=True,
                    hidden=hidden,
                    expose_value=False,
                    callback=be_verbose,
                    help="Tell of every request on stderr.",
                ),
            )
        ):
            function = add(function)
        return function

    return decorate
