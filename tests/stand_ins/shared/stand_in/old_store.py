"""A nodestore that was there before: nodes in this process's memory, shared by all threads."""

import json
from datetime import datetime, timezone

from sentry_tablestore.nodestore.sentry import NodeStorage

nodes = {}
"""Payloads by id."""

times = {}
"""When they were last written, by id: what Django's `Node` model has in a column."""

calls = []
"""The calls of all objects, as tuples (method, argument)."""

failures = {}
"""What a method is to raise, by its name."""

meanwhile = []
"""Functions to call, each once, after the next reads."""


class OldNodeStorage(NodeStorage):
    """Cannot tell when a node was written."""

    def __init__(self, colour="blue"):
        if colour != "blue":
            raise ValueError("colour must be blue")
        calls.append(("__init__", colour))

    def validate(self):
        _called("validate", None)

    def _get_bytes_multi(self, id_list):
        _called("_get_bytes_multi", list(id_list))
        found = {id: nodes[id] for id in sorted(id_list) if id in nodes}
        while meanwhile:
            meanwhile.pop(0)()
        return found

    def _decode(self, value, subkey):
        if value.startswith(b"pickle:"):
            return json.loads(value[7:].decode("ascii")) if subkey is None else None
        return super()._decode(value, subkey)

    def delete(self, id):
        _called("delete", id)
        nodes.pop(id, None)

    def delete_multi(self, id_list):
        _called("delete_multi", list(id_list))
        for id in id_list:
            nodes.pop(id, None)

    def cleanup(self, cutoff_timestamp):
        _called("cleanup", cutoff_timestamp)
        nodes.clear()


class DjangoNodeStorage(OldNodeStorage):
    """Can tell, as Sentry's backend of this name."""


class Unrelated:
    """No nodestore."""


class Node:
    """What of a Django model is used."""

    class objects:
        @staticmethod
        def filter(id__in):
            return Rows(id__in)


class Rows:
    def __init__(self, ids):
        self.ids = ids

    def values_list(self, *names):
        assert names == ("id", "timestamp")
        _called("times", list(self.ids))
        for id in self.ids:
            if id in nodes:
                yield id, times[id]


def write(id, payload, written=None):
    """Write a node as another process does."""
    nodes[id] = payload
    times[id] = written or datetime.now(timezone.utc)


def _called(name, argument):
    calls.append((name, argument))
    if name in failures:
        raise failures[name]
