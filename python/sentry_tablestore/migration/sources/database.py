"""Connections to Sentry's database, made as its own Django makes them."""

from typing import Any, Callable, Mapping

from .source import SourceError

Connect = Callable[[], Any]


def connector(databases: Mapping[str, Any], alias: str = "default") -> Connect:
    """Give a function that opens a new psycopg2 connection.

    Through Django's own wrapper of the configured engine, so that every option of
    `DATABASES[alias]` means what it means to Sentry. Neither Sentry's applications nor its models
    are loaded, which would take 150 MB.

    :param databases: The setting `DATABASES`.
    :raises SourceError: when there is no such database, or it is not PostgreSQL.
    """
    if alias not in databases:
        raise SourceError(
            "DATABASES has no '{}': there are {}".format(alias, ", ".join(sorted(databases)))
        )
    engine = str(databases[alias].get("ENGINE", ""))
    if "postgres" not in engine and "postgis" not in engine:
        raise SourceError(
            f"DATABASES['{alias}'] is {engine or 'without ENGINE'}, and only PostgreSQL can be "
            "read directly; use --source with a list of ids"
        )
    wrapper = _wrapper(databases, alias)
    parameters = wrapper.get_connection_params()
    # Sentry's reader and writer connections take statements that wrap cursors; COPY needs none.
    parameters.pop("cursor_factory", None)
    return lambda: _connect(wrapper, parameters)


def _wrapper(databases: Mapping[str, Any], alias: str) -> Any:
    from django.conf import settings

    if not settings.configured:
        settings.configure(DATABASES=dict(databases))
    from django.db import connections

    return connections[alias]


def _connect(wrapper: Any, parameters: Mapping[str, Any]) -> Any:
    connection = wrapper.get_new_connection(dict(parameters))
    # Each statement stands alone, so that no snapshot keeps the server's vacuum from its work. No
    # other setting of the session: behind PgBouncer it would stay for the next user of the
    # server's connection.
    connection.autocommit = True
    return connection
