"""Events through Sentry's own code: its samples, EventManager, event store, tasks and deletions."""

import inspect
from datetime import datetime, timezone
from time import time
from typing import Any, Dict, List
from unittest import mock

from django.conf import settings
from sentry import deletions, eventstore
from sentry.event_manager import EventManager
from sentry.eventstore.models import Event
from sentry.eventstore.processing import event_processing_store
from sentry.eventstore.snuba import SnubaEventStorage
from sentry.models import Group, Project
from sentry.tasks.store import submit_save_event
from sentry.utils.samples import load_data

from inside import nodes


def save(sample: str) -> Dict[str, Any]:
    """Save one of Sentry's sample events; return its ids and the JSON of what was saved."""
    manager = _normalized(sample)
    event = manager.save(_project().id)
    return {
        "event_id": event.event_id,
        "node_id": event.data.id,
        "group_id": event.group_id,
        "json": nodes.json_of(dict(event.data.data.items())),
    }


def submit(samples: List[str]) -> List[str]:
    """Queue sample events for a worker to save, as ingestion does in the end; return their ids."""
    event_ids = []
    for sample in samples:
        data = dict(_normalized(sample).get_data())
        data["project"] = _project().id
        submit_save_event(
            **_whose(),
            from_reprocessing=False,
            cache_key=event_processing_store.store(data),
            event_id=data["event_id"],
            start_time=int(time()),
            data=None,
        )
        event_ids.append(data["event_id"])
    return event_ids


def read(event_id: str) -> Any:
    """Read an event's node by the id that Sentry derives from the event's."""
    return nodes.get(Event.generate_node_id(_project().id, event_id))


def node_id(event_id: str) -> str:
    """Return the id of an event's node."""
    return str(Event.generate_node_id(_project().id, event_id))


def bound(event_ids: List[str]) -> List[Dict[str, Any]]:
    """Return the data of events whose nodes one `bind_nodes` fetched, as in Sentry's lists."""
    events = [Event(_project().id, event_id) for event_id in event_ids]
    eventstore.backend.bind_nodes(events)
    return [dict((event.data._node_data or {}).items()) for event in events]


def unbound(event_id: str) -> Dict[str, Any]:
    """Return the data of an event that fetches its node by itself, when first asked for data."""
    return dict(Event(_project().id, event_id).data.items())


def delete_issue(group_id: int, event_ids: List[str]) -> None:
    """Delete an issue as a user does, with all its events.

    Which events an issue has is Snuba's knowledge; there is none here, so it is given.
    """
    known = {"timestamp": datetime.now(timezone.utc).isoformat()}
    events = [
        Event(_project().id, event_id, group_id=group_id, snuba_data=known)
        for event_id in event_ids
    ]
    answers = mock.patch.object(SnubaEventStorage, "get_unfetched_events", side_effect=[events, []])
    with answers:
        task = deletions.get(model=Group, query={"id": group_id})
        while task.chunk():
            pass


def issues() -> int:
    """Count the issues in the database."""
    return int(Group.objects.count())


def _whose() -> Dict[str, Any]:
    """Return the arguments of `submit_save_event` that not every release has."""
    if "project" in inspect.signature(submit_save_event).parameters:  # 21.9.0
        return {"project": _project()}
    return {"project_id": _project().id, "has_attachments": False}


def _project() -> Project:
    """Return the project that every installation of Sentry begins with."""
    return Project.objects.get(id=settings.SENTRY_PROJECT)


def _normalized(sample: str) -> EventManager:
    """Load a sample of Sentry's and normalize it, as Relay does with every event."""
    manager = EventManager(load_data(sample))
    manager.normalize(project_id=_project().id)
    return manager
