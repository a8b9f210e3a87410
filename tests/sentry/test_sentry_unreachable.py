"""A nodestore that cannot be reached is an error, never an event that is not there."""

import uuid
from collections.abc import Iterator

import pytest
import tablestore_local
from console import Console, InsideError
from installation import Make

# Seconds; the option `timeout`, which bounds a call with all its attempts.
TIMEOUT = 2.0


@pytest.fixture(scope="module")
def cut_off(install: Make) -> Iterator[Console]:
    """A console inside a Sentry whose Tablestore was there, and was stopped."""
    with tablestore_local.serving() as server:
        made = install(server.nodestore("nodestore", timeout=TIMEOUT))
        with made.console() as running:
            running.call("nodes.bootstrap")
            running.call("nodes.write", node_id="before", data={"a": 1})
            assert running.call("nodes.get", node_id="before") == {"a": 1}
            server.program.stop()
            yield running


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("nodes.get", {"node_id": "before"}),
        ("nodes.get_multi", {"node_ids": ["before", "never written"]}),
        ("nodes.write", {"node_id": uuid.uuid4().hex, "data": {"a": 1}}),
        ("nodes.delete", {"node_id": "before"}),
        ("nodes.delete_multi", {"node_ids": ["before", "never written"]}),
        ("events.save", {"sample": "python"}),
    ],
)
def test_operation_raises_what_sentry_retries(
    cut_off: Console, function: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(InsideError) as raised:
        cut_off.call(function, **arguments)

    assert "sentry_tablestore.errors.TablestoreUnavailableError" in raised.value.classes
    assert "google.api_core.exceptions.ServiceUnavailable" in raised.value.classes
