"""What Sentry deletes is gone, and nothing else is."""

import uuid
from collections.abc import Iterator

import pytest
from console import Console
from installation import Installation

# Sentry's own deletions hand over up to this many ids in one call.
LARGEST_CALL = 10_000


@pytest.fixture(scope="module")
def caching(sentry: Installation) -> Iterator[Console]:
    """A console inside a Sentry that caches nodes."""
    with sentry.console(CACHE_NODES="1") as running:
        yield running


def test_deleted_node_is_gone(inside: Console) -> None:
    kept, deleted = _written(inside, 2)

    inside.call("nodes.delete", node_id=deleted)

    assert inside.call("nodes.get", node_id=deleted) is None
    assert inside.call("nodes.get", node_id=kept) == {"node": kept}


def test_deleting_an_unknown_node_is_fine(inside: Console) -> None:
    inside.call("nodes.delete", node_id=uuid.uuid4().hex)


def test_deleting_an_issue_deletes_its_events(inside: Console) -> None:
    events = [inside.call("events.save", sample="ruby") for _ in range(3)]
    other = inside.call("events.save", sample="php")
    group = events[0]["group_id"]
    assert [event["group_id"] for event in events] == [group] * 3
    issues = inside.call("events.issues")

    event_ids = [event["event_id"] for event in events]
    inside.call("events.delete_issue", group_id=group, event_ids=event_ids)

    assert inside.call("events.issues") == issues - 1
    assert [inside.call("events.read", event_id=event_id) for event_id in event_ids] == [None] * 3
    assert inside.call("events.read", event_id=other["event_id"])


def test_largest_call_deletes_known_nodes_among_unknown_and_repeated_ones(inside: Console) -> None:
    kept, *deleted = _written(inside, 500)
    unknown = [uuid.uuid4().hex for _ in range(LARGEST_CALL - 2 * len(deleted))]

    inside.call("nodes.delete_multi", node_ids=[*deleted, *unknown, *deleted])

    assert {data for _, data in inside.call("nodes.get_multi", node_ids=deleted)} == {None}
    assert inside.call("nodes.get", node_id=kept) == {"node": kept}


def test_empty_call_deletes_nothing(inside: Console) -> None:
    (kept,) = _written(inside, 1)

    inside.call("nodes.delete_multi", node_ids=[])

    assert inside.call("nodes.get", node_id=kept) == {"node": kept}


def test_deletion_drops_cached_nodes(caching: Console) -> None:
    nodes = _written(caching, 4)
    assert caching.call("nodes.cached", node_ids=nodes) == nodes

    caching.call("nodes.delete", node_id=nodes[0])
    caching.call("nodes.delete_multi", node_ids=nodes[1:3])

    assert caching.call("nodes.cached", node_ids=nodes) == nodes[3:]
    assert caching.call("nodes.get", node_id=nodes[0]) is None


def _written(console: Console, count: int) -> list[str]:
    """Write this many nodes and return their ids."""
    nodes = [uuid.uuid4().hex for _ in range(count)]
    console.call("nodes.write_many", node_ids=nodes)
    return nodes
