"""`sentry upgrade --with-nodestore` creates the table, and leaves one that is right alone."""

from datetime import timedelta

from installation import Make
from tablestore_local import TablestoreLocal

UPGRADE = ("upgrade", "--noinput", "--with-nodestore")
TTL = timedelta(days=30)


def test_second_upgrade_changes_nothing(install: Make, tablestore: TablestoreLocal) -> None:
    sentry = install(tablestore.nodestore("upgraded", default_ttl=TTL, automatic_expiry=True))

    with sentry.console() as inside:
        sentry.run(*UPGRADE)
        first = sentry.requests.read_text()
        created = inside.call("rows.describe")
        sentry.run(*UPGRADE)
        second = sentry.requests.read_text().removeprefix(first)

        assert "CreateTable" in first
        assert created["primary_key"] == [["id", "STRING"]]
        assert created["time_to_live"] == TTL.total_seconds()
        assert created["max_versions"] == 1
        assert "DescribeTable" in second
        assert "CreateTable" not in second
        assert "UpdateTable" not in second
        assert inside.call("rows.describe") == created
