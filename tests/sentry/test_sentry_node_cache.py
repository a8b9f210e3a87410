"""What the cache `nodedata`, which self-hosted Sentry does not define, saves of requests."""

from collections import Counter

import pytest
from installation import Installation

SAMPLES = ("python", "javascript", "ruby")
READS = 4


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({}, {"PutRow": 3, "GetRow": 12, "BatchGetRow": 4}, id="without"),
        pytest.param({"CACHE_NODES": "1"}, {"PutRow": 3}, id="with"),
    ],
)
def test_requests_for_events_that_are_looked_at(
    sentry: Installation, variables: dict[str, str], expected: dict[str, int]
) -> None:
    """Each of three events is opened four times, and listed with the others as often."""
    with sentry.console(**variables) as inside:
        inside.call("nodes.get", node_id="0" * 32)
        before = sentry.requests.read_text()
        event_ids = [inside.call("events.save", sample=name)["event_id"] for name in SAMPLES]
        for _ in range(READS):
            for event_id in event_ids:
                assert inside.call("events.read", event_id=event_id)
            assert all(inside.call("events.bound", event_ids=event_ids))
        sent = sentry.requests.read_text().removeprefix(before)

    assert Counter(line.split()[0] for line in sent.splitlines()) == expected
