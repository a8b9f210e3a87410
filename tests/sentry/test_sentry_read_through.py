"""A Sentry that goes from its Django nodestore to Tablestore while it runs."""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta

import processes
import pytest
from console import Console, InsideError
from installation import Installation, Make, Nodestore
from tablestore_local import TablestoreLocal

DJANGO = "sentry.nodestore.django.DjangoNodeStorage"
SAMPLES = ("python", "javascript", "native", "transaction")


class Switched:
    """An installation after the switch, and what was saved before it."""

    def __init__(self, install: Make, tablestore: TablestoreLocal) -> None:
        self.sentry: Installation = install(Nodestore())
        self.tablestore = tablestore
        self.pickle, self.node = uuid.uuid4().hex, uuid.uuid4().hex
        with self.sentry.console() as inside:
            self.events = [inside.call("events.save", sample=sample) for sample in SAMPLES]
            self.issue = [inside.call("events.save", sample="ruby") for _ in range(3)]
            inside.call("django_nodes.write_pickle", node_id=self.pickle, data={"legacy": [1, "☃"]})
            subkeys = {"unprocessed": {"raw": 1}}
            inside.call("nodes.write", node_id=self.node, data={"a": 1}, subkeys=subkeys)
        self.switch("switched")
        with self.sentry.console() as inside:
            inside.call("nodes.bootstrap")

    def switch(self, table: str, copy: bool = False, **options: object) -> None:
        """Make a table the nodestore that reads through to Django's."""
        read_through = {"backend": DJANGO, "options": {}, "copy": copy}
        settings = self.tablestore.nodestore(table, read_through=read_through, **options)
        self.sentry.switch(settings)


@pytest.fixture(scope="module")
def switched(install: Make, tablestore: TablestoreLocal) -> Switched:
    return Switched(install, tablestore)


@pytest.fixture
def inside(switched: Switched) -> Iterator[Console]:
    """A console in the Sentry after the switch."""
    switched.switch("switched")
    with switched.sentry.console() as running:
        yield running


def test_events_from_before_the_switch_are_read(switched: Switched, inside: Console) -> None:
    for event in switched.events:
        assert inside.call("events.read", event_id=event["event_id"]) == json.loads(event["json"])
        assert inside.call("rows.stored_bytes", node_id=event["node_id"]) is None
    assert inside.call("nodes.get", node_id=switched.pickle) == {"legacy": [1, "☃"]}
    assert inside.call("nodes.get", node_id=switched.node, subkey="unprocessed") == {"raw": 1}
    assert inside.call("nodes.get", node_id=uuid.uuid4().hex) is None


def test_new_events_go_to_tablestore_alone(inside: Console) -> None:
    event = inside.call("events.save", sample="php")
    assert inside.call("events.read", event_id=event["event_id"]) == json.loads(event["json"])
    assert inside.call("django_nodes.present", node_ids=[event["node_id"]]) == []
    assert inside.call("rows.stored_bytes", node_id=event["node_id"])


def test_bind_nodes_mixes_both_stores(switched: Switched, inside: Console) -> None:
    new = [inside.call("events.save", sample=sample) for sample in SAMPLES]
    mixed = [event for pair in zip(switched.events, new, strict=True) for event in pair]
    event_ids = [event["event_id"] for event in mixed]
    bound = inside.call("events.bound", event_ids=[*event_ids, uuid.uuid4().hex])
    assert [event.get("event_id") for event in bound] == [*event_ids, None]
    assert bound[:-1] == [inside.call("events.unbound", event_id=id) for id in event_ids]


def test_deleting_an_issue_deletes_its_events_in_both(switched: Switched, inside: Console) -> None:
    new = [inside.call("events.save", sample="ruby") for _ in range(2)]
    events = [*switched.issue, *new]
    group = events[0]["group_id"]
    assert [event["group_id"] for event in events] == [group] * 5
    ids = [event["node_id"] for event in events]
    assert inside.call("django_nodes.present", node_ids=ids) == ids[:3]

    event_ids = [event["event_id"] for event in events]
    inside.call("events.delete_issue", group_id=group, event_ids=event_ids)

    assert inside.call("django_nodes.present", node_ids=ids) == []
    assert [inside.call("rows.stored_bytes", node_id=id) for id in ids] == [None] * 5
    assert inside.call("nodes.get_multi", node_ids=ids) == [[id, None] for id in ids]


def test_a_failing_database_is_no_missing_event(switched: Switched, inside: Console) -> None:
    inside.call("django_nodes.rename", name="nodestore_node", to="away")
    try:
        with pytest.raises(InsideError, match="nodestore_node"):
            inside.call("nodes.get", node_id=uuid.uuid4().hex)
        with pytest.raises(InsideError, match="nodestore_node"):
            inside.call("nodes.get_multi", node_ids=[uuid.uuid4().hex])
    finally:
        inside.call("django_nodes.rename", name="away", to="nodestore_node")
    event = switched.events[0]
    assert inside.call("events.read", event_id=event["event_id"]) == json.loads(event["json"])


def test_sentrys_cache_of_nodes_holds_what_came_from_either(switched: Switched) -> None:
    old, new, missing = switched.events[0]["node_id"], uuid.uuid4().hex, uuid.uuid4().hex
    switched.switch("switched")
    with switched.sentry.console(CACHE_NODES="1") as caching:
        caching.call("nodes.write", node_id=new, data={"a": 1})
        caching.call("nodes.get_multi", node_ids=[old, new, missing])
        assert caching.call("nodes.cached", node_ids=[old, new, missing]) == [old, new]


@pytest.mark.parametrize("expiring", [True, False])
def test_sentry_cleanup_goes_to_both(switched: Switched, expiring: bool) -> None:
    table = "cleaned_expiring" if expiring else "cleaned_both"
    switched.switch(table, default_ttl=timedelta(days=90), automatic_expiry=expiring)
    old, young, copied = (uuid.uuid4().hex for _ in range(3))
    switched.sentry.switch(Nodestore())
    with switched.sentry.console() as before:
        before.call("nodes.write_many", node_ids=[old, young])
        before.call("django_nodes.age", node_ids=[old], days=60)
    switched.switch(table, default_ttl=timedelta(days=90), automatic_expiry=expiring)
    with switched.sentry.console() as inside:
        inside.call("nodes.bootstrap")
        inside.call("nodes.write_many", node_ids=[copied])
        inside.call("rows.age", node_id=copied, days=60)

        switched.sentry.run("cleanup", "--days", "30")

        assert inside.call("django_nodes.present", node_ids=[old, young]) == [young]
        # An expiring table forgets by itself, later.
        assert (inside.call("nodes.get", node_id=copied) is None) is not expiring
        assert inside.call("nodes.get", node_id=young) == {"node": young}


def test_a_wrong_backend_is_refused_by_every_command(switched: Switched) -> None:
    wrong = {"backend": "sentry.nodestore.django.DjangoNodestore"}
    switched.sentry.switch(switched.tablestore.nodestore("switched", read_through=wrong))
    with pytest.raises(processes.ProgramError) as caught:
        switched.sentry.run("cleanup", "--days", "30")
    assert (
        "Error: SENTRY_NODESTORE_OPTIONS: read_through: the backend "
        "'sentry.nodestore.django.DjangoNodestore' cannot be imported: "
    ) in str(caught.value)
    assert "Traceback" not in str(caught.value)
    check = switched.sentry.tablestore("check")
    assert check.returncode == 1
    assert "FAIL  options         SENTRY_NODESTORE_OPTIONS: read_through: the bac" in check.stdout


def test_copies_keep_what_they_are(switched: Switched) -> None:
    """Last: the events are in Tablestore afterwards."""
    switched.switch("copied", copy=True, compression="zstd")
    ids = [event["node_id"] for event in switched.events]
    with switched.sentry.console() as inside:
        inside.call("nodes.bootstrap")
        inside.call("django_nodes.age", node_ids=ids[:1], days=20)
        bound = [event["event_id"] for event in switched.events]
        before = inside.call("events.bound", event_ids=bound)
        assert inside.call("nodes.get", node_id=switched.pickle) == {"legacy": [1, "☃"]}
        written = [inside.call("django_nodes.written", node_id=id) for id in ids]
        assert [inside.call("rows.written", node_id=id) for id in ids] == written
    switched.sentry.switch(switched.tablestore.nodestore("copied"))
    with switched.sentry.console() as inside:
        assert inside.call("events.bound", event_ids=bound) == before
        for event in switched.events:
            assert inside.call("events.read", event_id=event["event_id"]) == json.loads(
                event["json"]
            )
        assert inside.call("nodes.get", node_id=switched.pickle) == {"legacy": [1, "☃"]}
        assert inside.call("nodes.get", node_id=switched.node) is None
