"""The nodestore's table as Aliyun's own SDK sees it."""

from typing import Any, Dict, Optional

from django.conf import settings

import tablestore


def describe() -> Dict[str, Any]:
    """Return what the service says about the table."""
    description = _client().describe_table(_options()["table"])
    throughput = description.reserved_throughput_details
    return {
        "primary_key": [list(column) for column in description.table_meta.schema_of_primary_key],
        "time_to_live": description.table_options.time_to_live,
        "max_versions": description.table_options.max_version,
        "time_deviation": description.table_options.max_time_deviation,
        "read": throughput.capacity_unit.read,
        "write": throughput.capacity_unit.write,
        "last_increase": throughput.last_increase_time,
        "last_decrease": throughput.last_decrease_time,
    }


def stored_bytes(node_id: str) -> Optional[int]:
    """Return how many bytes of data a row holds, or None when there is no such row."""
    columns = _columns(node_id)
    if columns is None:
        return None
    return sum(len(value) for _, value, _ in columns if isinstance(value, (bytes, bytearray)))


def written(node_id: str) -> Optional[int]:
    """Return when a row was written, in ms since 1970, or None when there is no such row."""
    columns = _columns(node_id)
    return None if columns is None else max(timestamp for _, _, timestamp in columns)


def age(node_id: str, days: int) -> None:
    """Rewrite a row as if it had been written this many days earlier."""
    columns = _columns(node_id)
    if columns is None:
        raise LookupError("there is no row %r" % node_id)
    earlier = days * 86400 * 1000
    aged = [(name, value, timestamp - earlier) for name, value, timestamp in columns]
    row = tablestore.Row([("id", node_id)], aged)
    anyway = tablestore.Condition(tablestore.RowExistenceExpectation.IGNORE)
    _client().put_row(_options()["table"], row, anyway)


def _columns(node_id: str) -> Any:
    """Return a row's attribute columns as (name, value, timestamp), or None when it is missing."""
    _, row, _ = _client().get_row(_options()["table"], [("id", node_id)], max_version=1)
    return None if row is None else row.attribute_columns


def _client() -> tablestore.OTSClient:
    """Make a client for the service that the nodestore uses."""
    options = _options()
    return tablestore.OTSClient(
        options["end_point"],
        options["access_key_id"],
        options["access_key_secret"],
        options["instance"],
    )


def _options() -> Dict[str, Any]:
    """Return the nodestore's options."""
    return dict(settings.SENTRY_NODESTORE_OPTIONS)
