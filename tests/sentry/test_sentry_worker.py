"""A Celery prefork worker: a parent that has used the engine, and children forked from it."""

import time

from console import Console
from installation import Installation

SAMPLES = ("python", "javascript", "java", "ruby")
CHILDREN = 3
# Starting and saving take 7 s alone on a machine.
DEADLINE = 90.0
# Celery itself takes 3 s to stop. It would take for ever if a child hung in the engine.
STOPS_WITHIN = 15.0


def test_children_of_a_parent_that_used_the_nodestore_save_events(
    sentry: Installation, inside: Console
) -> None:
    with sentry.worker(["events.save_event"], CHILDREN) as worker:
        event_ids = inside.call("events.submit", samples=[*SAMPLES * 10])
        end = time.monotonic() + DEADLINE
        finished: dict[str, str] = {}
        while len(finished) < len(event_ids) and time.monotonic() < end:
            time.sleep(0.1)
            finished = inside.call("worker.finished")
        assert finished.keys() == set(event_ids), worker.said()[-3000:]
        stopping = time.monotonic()
        status = worker.stop(deadline=60)
        stopped_within = time.monotonic() - stopping

    assert {state.split()[1] for state in finished.values()} == {"SUCCESS"}, worker.said()[-3000:]
    children = {int(state.split()[0]) for state in finished.values()}
    assert len(children) > 1, "one child did all the work, so this showed nothing"
    assert inside.call("worker.parent") == worker.pid, "the parent has not used the nodestore"
    assert worker.pid not in children

    for event_id, sample in zip(event_ids, SAMPLES * 10, strict=True):
        event = inside.call("events.read", event_id=event_id)
        assert (event["event_id"], event["platform"]) == (event_id, sample)
    assert inside.call("nodes.get", node_id="written-by-parent") == {"pid": worker.pid}
    assert status == 0
    assert stopped_within < STOPS_WITHIN
