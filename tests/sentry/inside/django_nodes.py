"""The table of Sentry's Django nodestore, whichever nodestore the settings name."""

import base64
import pickle
import zlib
from datetime import timedelta
from typing import Any, List

from django.db import connection
from sentry.nodestore.models import Node


def present(node_ids: List[str]) -> List[str]:
    """Return which of these nodes the table has, in the order given."""
    found = set(Node.objects.filter(id__in=node_ids).values_list("id", flat=True))
    return [node_id for node_id in node_ids if node_id in found]


def written(node_id: str) -> int:
    """Return when a node was last written, in whole ms since 1970."""
    timestamp = Node.objects.get(id=node_id).timestamp
    return int(timestamp.timestamp()) * 1000 + timestamp.microsecond // 1000


def age(node_ids: List[str], days: int) -> None:
    """Make nodes as old as if they had been written this many days earlier."""
    for node in Node.objects.filter(id__in=node_ids):
        Node.objects.filter(id=node.id).update(timestamp=node.timestamp - timedelta(days=days))


def write_pickle(node_id: str, data: Any) -> None:
    """Write a node as Sentry did before it wrote JSON."""
    compressed = zlib.compress(pickle.dumps(data, protocol=2))
    Node.objects.create(id=node_id, data=base64.b64encode(compressed).decode("ascii"))


def rename(name: str, to: str) -> None:
    """Rename the table, so that every access to it fails, or back."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE %s RENAME TO %s" % (name, to))
