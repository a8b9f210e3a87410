"""`sentry upgrade --with-nodestore` creates the table, and leaves one that is right alone."""

from datetime import timedelta

from conftest import MakeInstallation
from tablestore_local import TablestoreLocal

UPGRADE = ("upgrade", "--noinput", "--with-nodestore")


def test_second_upgrade_changes_nothing(
    install: MakeInstallation, tablestore: TablestoreLocal
) -> None:
    settings = {"default_ttl": timedelta(days=30), "automatic_expiry": True}
    sentry = install(tablestore.nodestore("upgraded", **settings))

    sentry.run(*UPGRADE)
    first = sentry.requests.read_text()
    created = tablestore.describe("upgraded")
    sentry.run(*UPGRADE)
    second = sentry.requests.read_text().removeprefix(first)

    assert "CreateTable" in first
    assert created.time_to_live == timedelta(days=30)
    assert "DescribeTable" in second
    assert "CreateTable" not in second
    assert "UpdateTable" not in second
    assert tablestore.describe("upgraded") == created
