"""`sentry cleanup` in both ways a table can forget: by itself, or by being cleaned."""

import uuid
from datetime import timedelta
from itertools import chain

import pytest
from installation import Installation, Make
from tablestore_local import TablestoreLocal

RETENTION = timedelta(days=90)
CLEANUP = ("cleanup", "--days", "30")


@pytest.fixture(scope="module")
def cleaned(install: Make, tablestore: TablestoreLocal) -> Installation:
    """A Sentry whose table keeps rows for ever, so that only `sentry cleanup` makes room."""
    return install(tablestore.nodestore("cleaned", default_ttl=RETENTION))


@pytest.fixture(scope="module")
def expiring(install: Make, tablestore: TablestoreLocal) -> Installation:
    """A Sentry whose table drops rows by itself."""
    return install(tablestore.nodestore("expiring", default_ttl=RETENTION, automatic_expiry=True))


def test_cleanup_deletes_rows_older_than_the_cutoff_and_no_others(cleaned: Installation) -> None:
    with cleaned.console() as inside:
        inside.call("nodes.bootstrap")
        assert inside.call("rows.describe")["time_to_live"] == -1
        ages: dict[int, list[str]] = {0: [], 29: [], 31: [], 60: []}
        for days, nodes in ages.items():
            nodes += [uuid.uuid4().hex for _ in range(150)]
            inside.call("nodes.write_many", node_ids=nodes)
            for node in nodes if days else []:
                inside.call("rows.age", node_id=node, days=days)
        event = inside.call("events.save", sample="python")
        assert _count(inside.call("nodes.get_multi", node_ids=list(chain(*ages.values())))) == 600

        cleaned.run(*CLEANUP)

        left = {
            days: _count(inside.call("nodes.get_multi", node_ids=nodes))
            for days, nodes in ages.items()
        }
        assert left == {0: 150, 29: 150, 31: 0, 60: 0}
        assert inside.call("rows.stored_bytes", node_id=ages[31][0]) is None
        assert inside.call("events.read", event_id=event["event_id"])


def test_cleanup_leaves_the_rows_of_an_expiring_table_to_the_table(expiring: Installation) -> None:
    with expiring.console() as inside:
        inside.call("nodes.bootstrap")
        assert inside.call("rows.describe")["time_to_live"] == RETENTION.total_seconds()
        old, new = uuid.uuid4().hex, uuid.uuid4().hex
        inside.call("nodes.write_many", node_ids=[old, new])
        inside.call("rows.age", node_id=old, days=60)
        before = expiring.requests.read_text()

        expiring.run(*CLEANUP)

        sent = expiring.requests.read_text().removeprefix(before)
        assert "DeleteRow" not in sent
        assert "BatchWriteRow" not in sent
        assert inside.call("nodes.get", node_id=old) == {"node": old}
        assert inside.call("nodes.get", node_id=new) == {"node": new}


@pytest.mark.parametrize(("mode", "kept"), [("expiring", True), ("cleaned", False)])
def test_deletes_during_cleanup_are_skipped_where_the_table_expires(
    request: pytest.FixtureRequest, mode: str, kept: bool
) -> None:
    sentry: Installation = request.getfixturevalue(mode)
    nodes = [uuid.uuid4().hex for _ in range(3)]
    # `sentry cleanup` sets this variable for itself and its children.
    with sentry.console(_SENTRY_CLEANUP="1") as inside:
        inside.call("nodes.bootstrap")
        inside.call("nodes.write_many", node_ids=nodes)

        inside.call("nodes.delete", node_id=nodes[0])
        inside.call("nodes.delete_multi", node_ids=nodes[1:])

        expected = [[node, {"node": node} if kept else None] for node in nodes]
        assert inside.call("nodes.get_multi", node_ids=nodes) == expected


def _count(answer: list[list[object]]) -> int:
    """Count the nodes that are there."""
    return sum(data is not None for _, data in answer)
