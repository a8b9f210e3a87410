"""The engine, the credentials and the table: is it there, and as the options say?"""

import time
from datetime import timedelta
from typing import Any, Optional

from ... import loader
from ...errors import (
    TablestoreAuthenticationError,
    TablestoreError,
    TablestorePermissionError,
    TablestoreTableMissingError,
    TablestoreTimeoutError,
    TablestoreUnavailableError,
)
from ...kvstore.tablestore import TablestoreKVStorage
from ..spans import span
from .report import FAILED, OK, SKIPPED, WARNING, Report, told

NAMES = [
    "engine",
    "credentials",
    "DescribeTable",
    "table",
    "primary key",
    "time to live",
    "versions",
    "write times",
]

BOOTSTRAP = "Run `sentry-tablestore bootstrap` (or `sentry upgrade --with-nodestore`)."

_TEN_YEARS = 10 * 365 * 86400


def check(report: Report, store: TablestoreKVStorage) -> bool:
    """Ask for the table's description, and compare it with the options.

    :returns: Whether its nodes can be expected to be usable.
    """
    start = time.monotonic()
    try:
        loader.process()
    except TablestoreError as error:
        report.add("engine", FAILED, told(error), error.advice)
        report.skip(NAMES[1:], "the engine does not load")
        return False
    report.add("engine", OK, "loads on this machine", milliseconds=_since(start))
    start = time.monotonic()
    try:
        description = store.describe()
    except TablestoreAuthenticationError as error:
        report.add("credentials", FAILED, told(error), refusal(store, error))
        sent = error.http_status > 0
        report.skip(
            NAMES[2:],
            "the service does not take the credentials" if sent else "there are no credentials",
        )
        return False
    except TablestorePermissionError as error:
        report.add("credentials", OK, "the service knows the access key")
        report.add("DescribeTable", FAILED, told(error), allow("DescribeTable", store))
        report.skip(NAMES[3:], "the table may not be described")
        return True
    except TablestoreTableMissingError:
        report.add("credentials", OK, "the service knows the access key")
        report.add("DescribeTable", OK, "allowed", milliseconds=_since(start))
        report.add(
            "table",
            FAILED,
            f"there is no table '{store.table_name}' in instance '{store.instance}'",
            BOOTSTRAP + " If it should be there, correct the options instance and table.",
        )
        report.skip(NAMES[4:], "there is no table")
        return False
    except TablestoreError as error:
        report.add("credentials", SKIPPED, "no answer that tells")
        report.add("DescribeTable", FAILED, told(error), error.advice)
        report.skip(NAMES[3:], "the table could not be described")
        return not isinstance(error, (TablestoreUnavailableError, TablestoreTimeoutError))
    report.add("credentials", OK, "the service knows the access key")
    report.add("DescribeTable", OK, "allowed", milliseconds=_since(start))
    report.add("table", OK, f"'{store.table_name}' is in instance '{store.instance}'")
    if not _check_primary_key(report, description):
        report.skip(NAMES[5:], "the table is another program's")
        return False
    _check_time_to_live(report, store, description.time_to_live)
    _check_versions(report, description.max_versions)
    _check_write_times(report, store, description.max_time_deviation)
    return True


def allow(action: str, store: TablestoreKVStorage) -> str:
    """Say what to add to the policy of the access key's user."""
    return (
        f"Allow the access key the RAM action ots:{action} on "
        f"acs:ots:*:*:instance/{store.instance}/table/{store.table_name}."
    )


def refusal(store: TablestoreKVStorage, error: TablestoreAuthenticationError) -> str:
    """Say what to change, by the text with which the service refuses the credentials."""
    places = store.options.places
    for text, advice in (
        (
            "AccessKeyID does not exist",
            "Correct {access_key_id}; a temporary key also needs {sts_token}.".format(**places),
        ),
        (
            "Signature mismatch",
            "Correct {access_key_secret}, or the option region.".format(**places),
        ),
        ("instance is not found", f"Correct the option instance, now '{store.instance}'."),
        ("system time", "Set this machine's clock, and keep it right with NTP."),
    ):
        if text in error.message:
            return advice
    return error.advice


def _check_primary_key(report: Report, description: Any) -> bool:
    key = ", ".join("{} {}".format(*column) for column in description.primary_key)
    if [tuple(column) for column in description.primary_key] == [("id", "STRING")]:
        report.add("primary key", OK, key)
        return True
    report.add(
        "primary key",
        FAILED,
        f"is {key}, not one STRING column id",
        "Name another table in the option table: this one belongs to another program.",
    )
    return False


def _check_time_to_live(report: Report, store: TablestoreKVStorage, seconds: int) -> None:
    """Compare how long the table keeps rows with the options.

    :param seconds: -1 for ever.
    """
    kept: Optional[timedelta] = None if seconds == -1 else timedelta(seconds=seconds)
    wanted = store.default_ttl
    has = "for ever" if kept is None else span(seconds)
    if store.options.automatic_expiry:
        if kept == wanted:
            report.add("time to live", OK, f"the table keeps nodes {has}, as default_ttl says")
        else:
            report.add(
                "time to live",
                FAILED,
                f"the table keeps nodes {has}, and default_ttl says {_words(wanted)}",
                BOOTSTRAP + " Or change the option default_ttl.",
            )
    elif kept is None:
        report.add(
            "time to live",
            OK,
            "the table keeps nodes for ever; `sentry cleanup` deletes them"
            + (f", and reads hide them after {_words(wanted)}" if wanted else ""),
        )
    elif wanted is not None and wanted <= kept:
        report.add(
            "time to live",
            WARNING,
            f"the table drops nodes after {has} by itself, and automatic_expiry is off",
            "Set the option automatic_expiry, or bootstrap to have the table keep them.",
        )
    else:
        report.add(
            "time to live",
            FAILED,
            f"the table drops nodes after {has}, and the options say {_words(wanted)}",
            BOOTSTRAP + " Or set the options default_ttl and automatic_expiry to that.",
        )


def _check_versions(report: Report, versions: int) -> None:
    if versions == 1:
        report.add("versions", OK, "one of each value")
    else:
        report.add(
            "versions",
            WARNING,
            f"the table keeps {versions} versions of each value, and only the last is read",
            BOOTSTRAP,
        )


def _check_write_times(report: Report, store: TablestoreKVStorage, seconds: int) -> None:
    """Tell whether a migration can give nodes the times when they were first written."""
    wanted = _TEN_YEARS
    if store.options.automatic_expiry and store.default_ttl is not None:
        wanted = int(store.default_ttl.total_seconds())
    if seconds >= wanted:
        report.add("write times", OK, f"migrated nodes may be up to {span(seconds)} old")
    else:
        report.add(
            "write times",
            WARNING,
            f"the table refuses nodes that were first written more than {span(seconds)} ago, so a "
            "migration of older ones fails",
            BOOTSTRAP,
        )


def _words(wanted: Optional[timedelta]) -> str:
    return "for ever" if wanted is None else span(int(wanted.total_seconds()))


def _since(start: float) -> float:
    return (time.monotonic() - start) * 1000
