"""What the layouts share: the base class's behaviour, and a record of what Sentry was told."""

import contextlib
import json
import threading

recorded = []
"""Tuples, the first item naming the tool: ("span", op, tags), ("timing", key, tags) and so on."""


class Cache(dict):
    """The part of Django's cache that the base class uses."""

    def set(self, key, value):
        self[key] = value

    def get_many(self, keys):
        return {key: self[key] for key in keys if key in self}

    def set_many(self, items):
        self.update(items)

    def delete(self, key):
        self.pop(key, None)

    def delete_many(self, keys):
        for key in keys:
            self.pop(key, None)


class Service:
    """A service of Sentry's."""

    def validate(self):
        """Check the settings."""

    def setup(self):
        """Get ready."""


class NodeStorage(threading.local, Service):
    """JSON in nodes, with subkeys, over bytes that a backend keeps.

    Caches whole nodes if there is a `cache`.
    """

    cache = None

    def get(self, id, subkey=None):
        if subkey is None and self.cache is not None and self.cache.get(id):
            return self.cache.get(id)
        value = self._decode(self._get_bytes(id), subkey)
        if subkey is None and self.cache is not None and value:
            self.cache.set(id, value)
        return value

    def get_multi(self, id_list, subkey=None):
        cached = {}
        if subkey is None and self.cache is not None:
            cached = self.cache.get_many(id_list)
        found = self._get_bytes_multi([id for id in id_list if id not in cached])
        items = {id: self._decode(value, subkey) for id, value in found.items()}
        if subkey is None and self.cache is not None:
            self.cache.set_many(items)
        items.update(cached)
        return items

    def set(self, id, data, ttl=None):
        self.set_subkeys(id, {None: data}, ttl=ttl)

    def set_subkeys(self, id, data, ttl=None):
        item = data.get(None)
        self._set_bytes(id, self._encode(data), ttl=ttl)
        if self.cache is not None and item:
            self.cache.set(id, item)

    def _encode(self, data):
        lines = [_dumps(data.pop(None))]
        for subkey, value in data.items():
            lines += [subkey.encode("ascii"), _dumps(value)]
        return b"\n".join(lines)

    def _decode(self, value, subkey):
        if value is None:
            return None
        lines = value.splitlines()
        if subkey is None:
            return json.loads(lines[0].decode("utf-8")) if lines else None
        pairs = dict(zip(lines[1::2], lines[2::2]))
        found = pairs.get(subkey.encode("ascii"))
        return None if found is None else json.loads(found.decode("utf-8"))

    def _delete_cache_item(self, id):
        if self.cache is not None:
            self.cache.delete(id)

    def _delete_cache_items(self, id_list):
        if self.cache is not None:
            self.cache.delete_many(id_list)

    def cleanup(self, cutoff_timestamp):
        raise NotImplementedError

    def bootstrap(self):
        raise NotImplementedError


class NewestNodeStorage(NodeStorage):
    """The base class of 2026: wrappers around the bytes, parameters renamed, passed by position."""

    def get_bytes(self, id):
        return self._get_bytes(id)

    def set_bytes(self, item_id, data, ttl=None):
        return self._set_bytes(item_id, data, ttl)

    def set_subkeys(self, item_id, data, ttl=None):
        item = data.get(None)
        self.set_bytes(item_id, self._encode(data), ttl=ttl)
        if self.cache is not None and item:
            self.cache.set(item_id, item)


class Span:
    """A span, of the older or the newest kind."""

    open_ones = []  # noqa: RUF012 - those of the process, as this is

    def __init__(self, op, setter, description=None):
        self.op = op
        self.description = description
        self.tags = {}
        setattr(self, setter, self.tags.__setitem__)
        recorded.append(("span", op, self.tags))

    def __enter__(self):
        self.open_ones.append(self)
        return self

    def __exit__(self, kind, value, traceback):
        self.open_ones.pop()
        self.tags["failed"] = kind is not None


def current_span():
    """Give the innermost span that is open."""
    return Span.open_ones[-1] if Span.open_ones else None


def _dumps(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


class TracedNodeStorage(NodeStorage):
    """The base class of 2021 and later, which makes a span for each read and write.

    :cvar writing: Op and description of the span of a write.
    """

    writing = ("nodestore", "set_subkeys")

    def get(self, id, subkey=None):
        with Span("nodestore.get", "set_tag"):
            return super().get(id, subkey)

    def get_multi(self, id_list, subkey=None):
        with Span("nodestore.get_multi", "set_tag"):
            return super().get_multi(id_list, subkey)

    def set_subkeys(self, id, data, ttl=None):
        with Span(self.writing[0], "set_tag", self.writing[1]):
            super().set_subkeys(id, data, ttl)


class TracedByFunctionNodeStorage(TracedNodeStorage):
    """As it became later."""

    writing = ("function", "sentry.services.nodestore.base.NodeStorage.set_subkeys")


class Emitter:
    """What the newest metrics give for one operation."""

    def __init__(self, sizes):
        self._sizes = sizes
        self.record_uncompressed_size = sizes.append

    def record_compressed_size(self, value, compression="unknown"):
        self._sizes.append((value, compression))


@contextlib.contextmanager
def measured(operation, usecase, size):
    """Record one operation."""
    sizes = [] if size is None else [size]
    recorded.append(("measure", operation, usecase, sizes))
    yield Emitter(sizes)
