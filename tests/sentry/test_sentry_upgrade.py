"""`sentry upgrade --with-nodestore` creates the table, and leaves one that is right alone."""

from datetime import timedelta

import pytest
from console import InsideError
from installation import Make
from processes import ProgramError
from tablestore_local import TablestoreLocal

UPGRADE = ("upgrade", "--noinput", "--with-nodestore")
TTL = timedelta(days=30)


def test_second_upgrade_changes_nothing(install: Make, tablestore: TablestoreLocal) -> None:
    sentry = install(tablestore.nodestore("upgraded", default_ttl=TTL, automatic_expiry=True))

    with sentry.console() as inside:
        with pytest.raises(InsideError) as before:
            inside.call("nodes.get", node_id="any")
        sentry.run(*UPGRADE)
        first = sentry.requests.read_text()
        created = inside.call("rows.describe")
        sentry.run(*UPGRADE)
        second = sentry.requests.read_text().removeprefix(first)

        assert "sentry upgrade --with-nodestore" in before.value.message
        assert "CreateTable" in first
        assert created["primary_key"] == [["id", "STRING"]]
        assert created["time_to_live"] == TTL.total_seconds()
        assert created["max_versions"] == 1
        assert "DescribeTable" in second
        assert "CreateTable" not in second
        assert "UpdateTable" not in second
        assert inside.call("rows.describe") == created


def test_wrong_option_ends_the_command_with_one_line(
    install: Make, tablestore: TablestoreLocal
) -> None:
    sentry = install(tablestore.nodestore("refused", compresion="zstd"))

    with pytest.raises(ProgramError) as refused:
        sentry.run(*UPGRADE)

    said = str(refused.value)
    assert "Error: " in said
    assert "'compresion'" in said
    assert "'compression'" in said
    assert "Traceback" not in said
    assert "Running migrations" not in said
    assert tablestore.access_key_secret not in said
    assert sentry.requests.read_text() == ""
