"""What this Sentry is told of calls of its nodestore: its metrics, and the spans of its SDK."""

from typing import Any, Dict, List
from unittest import mock

import sentry_sdk
from sentry import nodestore
from sentry.metrics.base import MetricsBackend
from sentry.utils import metrics
from sentry_sdk.transport import Transport

from inside import nodes

PREFIX = "nodestore."


class _Kept(Transport):
    """Keeps transactions in place of sending them."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: List[Any] = []

    def capture_event(self, event: Any) -> None:
        """Drop an event that is no transaction."""

    def capture_envelope(self, envelope: Any) -> None:
        self.transactions.append(envelope.get_transaction_event())


class _Recorded(MetricsBackend):
    """A backend other than the dummy one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: List[List[Any]] = []

    def incr(self, key, instance=None, tags=None, amount=1, sample_rate=1):  # type: ignore[no-untyped-def]
        self._keep(key, amount, tags)

    def timing(self, key, value, instance=None, tags=None, sample_rate=1):  # type: ignore[no-untyped-def]
        self._keep(key, value, tags)

    def _keep(self, key: str, value: float, tags: Any) -> None:
        if key.startswith(PREFIX):
            self.seen.append([key, value, dict(tags or {})])


def calls(node_id: str, missing_id: str) -> Dict[str, Any]:
    """Write, read and delete a node; give the metrics, and op and tags of each span, of these."""
    transport, recorded = _Kept(), _Recorded()
    client = sentry_sdk.Client(
        dsn="https://key@127.0.0.1/1", traces_sample_rate=1.0, transport=transport
    )
    if hasattr(metrics.backend, "inner"):
        recording = mock.patch.object(metrics.backend, "inner", recorded)
    else:  # up to 22.12.0
        recording = mock.patch.object(metrics, "backend", recorded)
    with sentry_sdk.Hub(client), recording, sentry_sdk.start_transaction(op="test", name="test"):
        nodes.write(node_id, {"message": "x" * 5000})
        nodes.get(node_id)
        nodes.get_multi([node_id, missing_id])
        nodestore.backend._get_bytes(node_id)
        nodes.delete_multi([node_id, missing_id])
    spans = [
        [span["op"], span.get("tags") or {}]
        for transaction in transport.transactions
        for span in transaction["spans"]
        if span["op"].startswith("nodestore")
    ]
    return {"metrics": recorded.seen, "spans": spans}
