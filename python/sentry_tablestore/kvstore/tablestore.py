"""Keys and values in one table of Tablestore. Needs no Sentry."""

from datetime import datetime, timedelta
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from ..engine import Client
from ..errors import TablestoreError, TablestoreOptionsError
from ..metrics import Observers
from ..options import Options, check_time_to_live
from .arguments import checked_id, checked_ids, checked_value, cutoff_milliseconds, ttl_milliseconds
from .description import TableDescription, table_description
from .imported import ImportedNode, columns, encoding_number, outcomes
from .scanned import ScannedNode, scanned_nodes

__all__ = ["TablestoreError", "TablestoreKVStorage"]

Value = Union[bytes, bytearray, memoryview]


class TablestoreKVStorage:
    """A mapping of ids (str) to values (bytes), kept in one table.

    Constructing it checks the options and starts nothing. The first operation of each process opens
    the engine's client, which all threads and all stores with the same options share. A forked
    child gets a client of its own.

    A read that finds nothing gives nothing; a read that fails raises. A write that returned is
    durable; one that raised may be repeated. Every operation ends within the option `timeout`
    (seconds, over all attempts), except `bootstrap`, which waits for a new table, and `cleanup`,
    which takes it for each request.

    >>> store = TablestoreKVStorage(
    ...     instance="sentry",
    ...     table_name="nodestore",
    ...     client_options={"end_point": "http://127.0.0.1:8087"},
    ...     default_ttl=timedelta(days=30),
    ...     compression="zstd",
    ... )

    :param instance: Name of the instance; None takes it from an instance endpoint's host, else
        `sentry`.
    :param table_name: Name of the table.
    :param client_options: Other options: see `sentry_tablestore.options`.
    :param default_ttl: How long a value lives after it was written; None for ever. Reads hide what
        is older.
    :param compression: None, "zlib" or "zstd", for new values. Reads take any.
    :param reserved_throughput: Capacity units (read, write) for `bootstrap`, or the SDK's object of
        that name.
    :param automatic_expiry: Whether the table itself drops values after `default_ttl`, as a table
        does that was bootstrapped so. Needs whole seconds and at least a day.
    :ivar observers: Who is told of each call: see `sentry_tablestore.metrics`.
    :raises TablestoreOptionsError: naming what is wrong; also a ValueError.
    """

    def __init__(
        self,
        instance: Optional[str],
        table_name: str,
        client_options: Optional[Mapping[str, Any]] = None,
        default_ttl: Optional[timedelta] = None,
        compression: Union[bool, str, None] = None,
        reserved_throughput: Any = None,
        *,
        automatic_expiry: bool = False,
    ) -> None:
        parameters = {
            "instance": instance,
            "table": table_name,
            "default_ttl": default_ttl,
            "compression": compression,
            "reserved_throughput": reserved_throughput,
            "automatic_expiry": automatic_expiry,
        }
        refused = None
        try:
            self.options = _options(parameters, client_options)
        except TablestoreOptionsError as error:
            refused = error
        finally:
            # An error monitor records the local variables of every frame, and these hold the
            # secret.
            client_options = None
        if refused is not None:
            refused.__context__ = None
            raise refused.with_traceback(None)
        self.instance = self.options.instance
        self.table_name = self.options.table
        self.default_ttl = self.options.default_ttl
        self.compression = self.options.compression or None
        self.observers = Observers(self.options.metrics)
        self._client = self._client_for(self.options.automatic_expiry)

    def get(self, key: str) -> Optional[bytes]:
        """Give the value, or None when there is none or it has expired.

        :raises TablestoreError: when it cannot be told, or the row cannot be decoded.
        """
        return self._client.call("get", checked_id(key))

    def get_many(self, keys: Iterable[str]) -> Iterator[Tuple[str, bytes]]:
        """Give the pairs (key, value) of those that exist, in the order of `keys`, each once.

        All values are read before this returns, so an error is raised here and not by the iterator.

        :raises TablestoreError: when any of them cannot be told: `failures` says which.
        """
        ids = checked_ids(keys)
        if not ids:
            return iter(())
        values = self._client.call("get_many", ids)
        return iter([(id, value) for id, value in zip(ids, values) if value is not None])

    def set(self, key: str, value: Value, ttl: Optional[timedelta] = None) -> None:
        """Write the value, in the place of any that was there.

        :param value: Up to 64 MiB.
        :param ttl: Hides this value after that time, where this is earlier than it would go anyway.
        :raises TablestoreValueTooLargeError: above the limit; nothing was written.
        :raises TablestoreError: when it was not, or perhaps not, written.
        """
        self._client.call("set", checked_id(key), checked_value(value), ttl_milliseconds(ttl))

    def set_many(
        self,
        items: Union[Mapping[str, Value], Iterable[Tuple[str, Value]]],
        ttl: Optional[timedelta] = None,
    ) -> None:
        """Write many values, a mapping or pairs (key, value); of equal keys the last one counts.

        :param ttl: As for `set`, for each of them.
        :raises TablestoreError: when any was not, or perhaps not, written: `failures` says which.
            The others were.
        """
        pairs = items.items() if isinstance(items, Mapping) else items
        values: Dict[str, bytes] = {checked_id(key): checked_value(value) for key, value in pairs}
        ttl_ms = ttl_milliseconds(ttl)
        if values:
            self._client.call("set_many", list(values), list(values.values()), ttl_ms)

    def delete(self, key: str) -> None:
        """Delete the value; a missing one is fine.

        :raises TablestoreError: when it was not, or perhaps not, deleted.
        """
        self._client.call("delete", checked_id(key))

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete many values; missing ones and duplicates are fine.

        :raises TablestoreError: when any was not, or perhaps not, deleted: `failures` says which.
            The others were.
        """
        ids = checked_ids(keys)
        if ids:
            self._client.call("delete_many", ids)

    def import_many(
        self, nodes: Iterable[ImportedNode], encoding: str = "raw", only_missing: bool = False
    ) -> List[str]:
        """Write nodes of another store, each with the time at which it was written there.

        Never overwrites anything newer, whoever writes at the same moment. A zlib stream is stored
        as it is where this store compresses with zlib; otherwise values are compressed anew.

        :param nodes: With different ids.
        :param encoding: Of their values: "raw", "zlib" (a stream of the value), or "base64+zlib"
            (that in base64, as in Django's table `nodestore_node`).
        :param only_missing: Whether to overwrite nothing at all.
        :returns: What became of each, in their order: "written"; "same" (a node written at exactly
            that time was there); "newer" (a newer one was, and is); "exists" (`only_missing`, and
            one was there); "expired" (it is older than `default_ttl`; not written); "pickle" (from
            Django, but no JSON object; not written); "broken" (it cannot be decoded; not written).
        :raises TablestoreError: when not all could be written. Repeating it is safe.
        """
        ids, values, written, expires = columns(nodes)
        if not ids:
            return []
        letters = self._client.call(
            "import_many", ids, values, written, expires, encoding_number(encoding), only_missing
        )
        return outcomes(letters)

    def discard_many(self, ids: List[str], written: List[int]) -> int:
        """Delete those of the nodes that were written at exactly these times: takes an import back.

        :param written: Milliseconds since 1970, one for each id.
        :returns: How many were deleted.
        """
        if len(ids) != len(written):
            raise ValueError("ids and written differ in number")
        if not ids:
            return 0
        return self._client.call("discard_many", [checked_id(id) for id in ids], list(written))

    def scan(
        self, start: str = "", limit: int = 1000, values: bool = False, end: str = ""
    ) -> Tuple[List[ScannedNode], Optional[str]]:
        """Read nodes in the order of their ids, which is that of their bytes in UTF-8.

        :param start: The id to start from, which is included; "" is the beginning.
        :param limit: Nodes to give at most. Fewer come when they are large, even none.
        :param values: Whether to decode their values.
        :param end: The id to end at, which is not included; "" is the table's end.
        :returns: The nodes, and the id to go on from, None at the end.
        :raises ValueError: for a limit below 1.
        """
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        first = checked_id(start) if start else ""
        last = checked_id(end) if end else ""
        return scanned_nodes(self._client.call("scan", first, last, min(limit, 5000), values))

    def scan_many(self, ids: Iterable[str], values: bool = False) -> List[ScannedNode]:
        """Tell of those of the nodes that are there what `scan` does, in the order of the ids.

        :param values: Whether to decode their values.
        """
        wanted = checked_ids(ids)
        return scanned_nodes(self._client.call("scan_many", wanted, values))[0] if wanted else []

    def describe(self) -> TableDescription:
        """Tell what the table is at the moment.

        :raises TablestoreTableMissingError: when there is none.
        """
        return table_description(self._client.call("describe"))

    def bootstrap(self, automatic_expiry: bool = True) -> None:
        """Create the table, or bring its options to this store's; harmless when all is so already.

        Waits until rows can be read, three minutes at most. Several processes may do this at once.

        :param automatic_expiry: Whether the table drops values after `default_ttl` by itself (its
            TimeToLive), or keeps them until `cleanup`.
        :raises TablestoreOptionsError: for `automatic_expiry` with a `default_ttl` that no table
            can have.
        :raises TablestoreTableMismatchError: when a table of that name has another primary key; it
            is left as it is.
        """
        if automatic_expiry:
            check_time_to_live(self.default_ttl)
        self._client_for(automatic_expiry).call("bootstrap")

    def destroy(self) -> None:
        """Drop the table with everything in it; a missing one is fine."""
        self._client.call("destroy")

    def cleanup(self, cutoff: datetime) -> int:
        """Delete what was last written before this moment.

        Reads the whole table's row times, except where the table expires values by itself: then it
        deletes nothing. May be stopped and called again at any time.

        :param cutoff: With a time zone.
        :returns: How many values were deleted.
        """
        return self._client.call("cleanup", cutoff_milliseconds(cutoff))

    def close(self) -> None:
        """Close this process's connections, for all stores with the same options.

        Calls that other threads are making may fail with TablestoreClosedError. The next operation
        opens new ones.
        """
        self._client.close()

    def _client_for(self, automatic_expiry: bool) -> Client:
        return Client(
            self.options.to_engine(automatic_expiry),
            self.options.logger_name,
            self.options.rotation,
            self.observers,
            self.options.timeout,
        )

    def __repr__(self) -> str:
        # Without options while the constructor refuses them, where an error monitor looks at it.
        return "<TablestoreKVStorage {!r}>".format(vars(self).get("options"))

    def __reduce__(self) -> Any:
        raise TypeError("a store cannot be pickled or copied: make it from its options")


def _options(parameters: Mapping[str, Any], client_options: Optional[Mapping[str, Any]]) -> Options:
    """Join the two places of options.

    :raises TablestoreOptionsError: also for an option given in both.
    """
    twice = sorted(set(parameters) & set(client_options or ()))
    if twice:
        raise TablestoreOptionsError(
            "{} must be given as a parameter of the store, not in client_options".format(
                ", ".join(twice)
            )
        )
    return Options({**parameters, **(client_options or {})})
