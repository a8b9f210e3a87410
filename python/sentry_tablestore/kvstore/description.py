"""The table as the service describes it."""

import json
from typing import List, NamedTuple, Tuple


class TableDescription(NamedTuple):
    """A table.

    :ivar name: Its name.
    :ivar primary_key: Name and type of each column of its primary key.
    :ivar time_to_live: Seconds that it keeps data, -1 for ever.
    :ivar max_versions: Versions of a column that it keeps.
    :ivar max_time_deviation: Seconds that a time given by a client may be from the service's clock.
    :ivar reserved_read: Capacity units a second reserved for reads.
    :ivar reserved_write: And for writes.
    """

    name: str
    primary_key: List[Tuple[str, str]]
    time_to_live: int
    max_versions: int
    max_time_deviation: int
    reserved_read: int
    reserved_write: int


def table_description(text: bytes) -> TableDescription:
    """Give the description that the engine's JSON tells."""
    told = json.loads(text.decode("utf-8"))
    return TableDescription(
        name=told["name"],
        primary_key=[(column["name"], column["type"]) for column in told["primary_key"]],
        reserved_read=told["throughput"]["read"],
        reserved_write=told["throughput"]["write"],
        **told["options"],
    )
