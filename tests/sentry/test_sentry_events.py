"""Events that Sentry saves are what it reads back, by whichever way it reads."""

import json
import uuid

import pytest
from console import Console

# Among them a native crash, a React Native event of 430 KB, a report and a transaction.
SAMPLES = ("python", "javascript", "java", "native", "react-native", "csp", "transaction")


@pytest.mark.parametrize("sample", SAMPLES)
def test_saved_event_is_read_back(inside: Console, sample: str) -> None:
    saved = inside.call("events.save", sample=sample)

    assert inside.call("nodes.get", node_id=saved["node_id"]) == json.loads(saved["json"])
    assert inside.call("events.read", event_id=saved["event_id"]) == json.loads(saved["json"])


def test_bind_nodes_fetches_many_events_at_once(inside: Console) -> None:
    saved = [inside.call("events.save", sample=sample) for sample in SAMPLES * 2]
    event_ids = [event["event_id"] for event in saved]

    bound = inside.call("events.bound", event_ids=event_ids)

    assert [event["event_id"] for event in bound] == event_ids
    assert bound == [inside.call("events.unbound", event_id=event_id) for event_id in event_ids]


def test_bind_nodes_leaves_an_unknown_event_empty(inside: Console) -> None:
    saved = inside.call("events.save", sample="python")

    known, unknown = inside.call("events.bound", event_ids=[saved["event_id"], uuid.uuid4().hex])

    assert known["event_id"] == saved["event_id"]
    assert unknown == {}


def test_unknown_event_is_none(inside: Console) -> None:
    assert inside.call("events.read", event_id=uuid.uuid4().hex) is None


def test_get_multi_keeps_the_order_and_names_what_is_missing(inside: Console) -> None:
    written = [uuid.uuid4().hex for _ in range(250)]
    inside.call("nodes.write_many", node_ids=written)
    missing = uuid.uuid4().hex
    asked = [*written[::-1], missing]

    answer = inside.call("nodes.get_multi", node_ids=asked)

    assert answer == [*([node, {"node": node}] for node in written[::-1]), [missing, None]]


def test_subkeys_are_stored_with_their_node(inside: Console) -> None:
    node = uuid.uuid4().hex
    event, unprocessed = {"message": "processed ☃"}, {"message": "as it came in\n"}
    inside.call("nodes.write", node_id=node, data=event, subkeys={"unprocessed": unprocessed})

    assert inside.call("nodes.get", node_id=node) == event
    assert inside.call("nodes.get", node_id=node, subkey="unprocessed") == unprocessed
    assert inside.call("nodes.get", node_id=node, subkey="other") is None
    assert inside.call("nodes.get_multi", node_ids=[node], subkey="unprocessed") == [
        [node, unprocessed]
    ]


def test_plain_write_drops_subkeys(inside: Console) -> None:
    node = uuid.uuid4().hex
    inside.call("nodes.write", node_id=node, data={"a": 1}, subkeys={"unprocessed": {"b": 2}})
    inside.call("nodes.write", node_id=node, data={"a": 2})

    assert inside.call("nodes.get", node_id=node) == {"a": 2}
    assert inside.call("nodes.get", node_id=node, subkey="unprocessed") is None
