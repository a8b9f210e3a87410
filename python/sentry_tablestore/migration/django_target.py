"""Sentry's own table `nodestore_node` as what a file is imported into: the way back."""

import base64
import importlib
import zlib
from datetime import datetime, timedelta, timezone
from typing import Any, List, Sequence

from ..kvstore.imported import ImportedNode

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_ZLIB_LEVEL = 6  # as Sentry's Django backend
# The last of each is since about Sentry 25.9.
_MODULES = ("sentry.nodestore.django.backend", "sentry.services.nodestore.django.backend")


class DjangoTarget:
    """Takes nodes as `TablestoreKVStorage.import_many` does. Needs a configured Sentry.

    A node's own time of expiry has no place in that table: it is dropped.
    """

    def __init__(self) -> None:
        from django.db import connections, router

        model = _backend().Node
        self.table_name = model._meta.db_table
        self._connection = connections[router.db_for_write(model)]

    def import_many(self, nodes: Sequence[ImportedNode], only_missing: bool = False) -> List[str]:
        """Write nodes with the times that they had, over older ones alone.

        :returns: "written", "same" (there with that time), "newer" (there with a later one) or
            "exists" (`only_missing`, and there) for each.
        :raises django.db.Error: when the database fails; nothing of these was written then.
        """
        quoted = self._connection.ops.quote_name(self.table_name)
        rows: List[Any] = []
        for node in nodes:
            data = base64.b64encode(zlib.compress(node.value, _ZLIB_LEVEL)).decode("ascii")
            rows += [node.id, data, _EPOCH + node.written * _MILLISECOND]
        conflict = (
            "DO NOTHING"
            if only_missing
            else "DO UPDATE SET data = EXCLUDED.data, timestamp = EXCLUDED.timestamp"
            " WHERE was.timestamp < EXCLUDED.timestamp"
        )
        with self._connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO {} AS was (id, data, timestamp) VALUES {} ON CONFLICT (id) {}"
                " RETURNING id".format(quoted, ", ".join(["(%s, %s, %s)"] * len(nodes)), conflict),
                rows,
            )
            written = {id for (id,) in cursor.fetchall()}
            left = [node.id for node in nodes if node.id not in written]
            cursor.execute(f"SELECT id, timestamp FROM {quoted} WHERE id = ANY(%s)", [left])
            there = dict(cursor.fetchall())

        def outcome(node: ImportedNode) -> str:
            if node.id in written:
                return "written"
            if only_missing:
                return "exists"
            # The table has microseconds, of which nodes keep milliseconds.
            at = (there[node.id] - _EPOCH) // _MILLISECOND if node.id in there else 0
            return "newer" if at > node.written else "same"

        return [outcome(node) for node in nodes]


def _backend() -> Any:
    try:
        return importlib.import_module(_MODULES[0])
    except ModuleNotFoundError as error:
        if not (_MODULES[0] + ".").startswith(f"{error.name}."):
            raise
        return importlib.import_module(_MODULES[1])
