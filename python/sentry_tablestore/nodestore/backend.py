"""The backend for `SENTRY_NODESTORE`.

In Sentry's settings::

    SENTRY_NODESTORE = "sentry_tablestore.nodestore.backend.TablestoreNodeStorage"
    SENTRY_NODESTORE_OPTIONS = {
        "end_point": "https://INSTANCE.cn-hangzhou.ots.aliyuncs.com",
        "access_key_id": "…",
        "access_key_secret": "…",
        "default_ttl": timedelta(days=90),
        "automatic_expiry": True,
        "compression": "zstd",
    }

then `sentry upgrade --with-nodestore` creates the table.
"""

import contextlib
import logging
import os
from datetime import datetime, timedelta
from typing import Any, Dict, List, Optional, Union

from ..errors import TablestoreOptionsError
from ..kvstore.tablestore import TablestoreKVStorage
from ..options import DEFAULT_TABLE
from .read_through import OldBytes, ReadThrough
from .sentry import NodeStorage, measured, report, span

try:
    from click import ClickException
except ImportError:  # every Sentry has it; the base class of tests needs none

    class ClickException(Exception):  # type: ignore[no-redef]
        """Stands where click has a base class; never raised itself."""


logger = logging.getLogger("sentry_tablestore.kvstore.tablestore")


class RefusedOptionsError(ClickException, TablestoreOptionsError):
    """Wrong options, as a `sentry` command shows them: a line, not a traceback."""

    exit_code = 1

    def __init__(self, message: str, **others: Any) -> None:
        ClickException.__init__(self, message)
        TablestoreOptionsError.__init__(self, message, **others)

    def format_message(self) -> str:
        """What click prints after `Error: `."""
        return str(self)


class TablestoreNodeStorage(NodeStorage):
    """Sentry's nodes in a table of Tablestore.

    Sentry's base class is a `threading.local`: this constructor runs again in every thread. It
    checks the options and starts nothing. Wrong options do not make it fail: `validate`, which
    every `sentry` command calls at its start, refuses them before any network, and so does every
    operation. Commands that skip validation go on working.

    :param instance: Name of the instance; None takes it from an instance endpoint's host, else
        `sentry`.
    :param table: Name of the table.
    :param automatic_expiry: Whether the table drops nodes after `default_ttl` by itself. `sentry
        cleanup` then leaves the nodes alone.
    :param default_ttl: `timedelta` that nodes live for; None for ever, or until `sentry cleanup`.
    :param compression: False, True or "zlib", or "zstd", for new nodes. Reads take any.
    :param reserved_throughput: Capacity units (read, write) for `bootstrap`.
    :param read_through: The store that was there before, for as long as it has what the table does
        not: see `sentry_tablestore.nodestore.read_through`.
    :param client_options: Every other option: see `sentry_tablestore.options`.
    """

    store_class = TablestoreKVStorage

    def __init__(
        self,
        instance: Optional[str] = None,
        table: str = DEFAULT_TABLE,
        automatic_expiry: bool = False,
        default_ttl: Optional[timedelta] = None,
        compression: Union[bool, str, None] = False,
        reserved_throughput: Any = None,
        read_through: Any = None,
        **client_options: Any,
    ) -> None:
        self._store: Optional[TablestoreKVStorage] = None
        self._read_through: Optional[ReadThrough] = None
        self._refusal = ""
        try:
            if read_through is not None:
                self._read_through = ReadThrough(read_through)
            self._store = self.store_class(
                instance=instance,
                table_name=table,
                client_options=client_options,
                default_ttl=default_ttl,
                compression=compression,
                reserved_throughput=reserved_throughput,
                automatic_expiry=automatic_expiry,
            )
            self._store.observers.add(report)
        except TablestoreOptionsError as error:
            self._refusal = error.message
        self.automatic_expiry = automatic_expiry
        self.skip_deletes = bool(automatic_expiry) and "_SENTRY_CLEANUP" in os.environ

    @property
    def store(self) -> TablestoreKVStorage:
        """The store under this backend.

        :raises TablestoreOptionsError: when there is none, because the options are wrong.
        """
        if self._store is None:
            raise RefusedOptionsError("SENTRY_NODESTORE_OPTIONS: " + self._refusal)
        return self._store

    def validate(self) -> None:
        """Refuse wrong options. Starts nothing and touches no network.

        :raises TablestoreOptionsError: naming what is wrong.
        """
        store = self.store
        if self._read_through is not None:
            try:
                self._read_through.validate(store)
            except TablestoreOptionsError as error:
                raise RefusedOptionsError("SENTRY_NODESTORE_OPTIONS: " + error.message) from None

    def setup(self) -> None:
        """Start nothing: this runs in the parent of every worker, and each starts its own."""

    def _get_bytes(self, id: str) -> Optional[bytes]:
        with measured("get", compression=self.store.compression) as record_size:
            data = self.store.get(id)
            if data:
                record_size(len(data))
        if data is None and self._read_through is not None:
            return self._read_through.read([id], self.store).get(id)
        return data

    def _get_bytes_multi(self, id_list: List[str]) -> Dict[str, Optional[bytes]]:
        nodes: Dict[str, Optional[bytes]] = dict.fromkeys(id_list)
        with measured("get-multi", num_ids=len(id_list)):
            nodes.update(self.store.get_many(id_list))
        missing = [id for id, data in nodes.items() if data is None]
        if missing and self._read_through is not None:
            nodes.update(self._read_through.read(missing, self.store))
        return nodes

    def _decode(self, value: Optional[bytes], subkey: Optional[str]) -> Any:
        if isinstance(value, OldBytes):
            return value.backend._decode(value, subkey)
        return super()._decode(value, subkey)

    def _set_bytes(self, id: str, data: bytes, ttl: Optional[timedelta] = None) -> None:
        with measured("put", len(data), self.store.compression):
            self.store.set(id, data, ttl)

    def delete(self, id: str) -> None:
        """Delete the node; a missing one is fine.

        :raises TablestoreError: when it was not deleted. The cached item is dropped all the same.
        """
        with self._old_store_first("delete", id):
            if self.skip_deletes:
                return
            with span("nodestore.tablestore.delete"):
                try:
                    with measured("delete"):
                        self.store.delete(id)
                finally:
                    self._delete_cache_item(id)

    def delete_multi(self, id_list: List[str]) -> None:
        """Delete the nodes, any number of them; missing ones and duplicates are fine.

        :raises TablestoreError: when any was not deleted. The cached items are dropped all the
            same.
        """
        with self._old_store_first("delete_multi", id_list):
            if self.skip_deletes:
                return
            with span("nodestore.tablestore.delete_multi", num_ids=len(id_list)):
                try:
                    with measured("delete-multi"):
                        self.store.delete_many(id_list)
                finally:
                    self._delete_cache_items(id_list)

    def cleanup(self, cutoff_timestamp: datetime) -> None:
        """Delete the nodes that were last written before this moment (with a time zone).

        Leaves the table alone in `sentry cleanup` when that expires nodes by itself.
        """
        with self._old_store_first("cleanup", cutoff_timestamp):
            if self.skip_deletes:
                return
            with span("nodestore.tablestore.cleanup"):
                deleted = self.store.cleanup(cutoff_timestamp)
            logger.info(
                "Deleted %d nodes last written before %s.", deleted, cutoff_timestamp.isoformat()
            )

    def _old_store_first(self, operation: str, *arguments: Any) -> Any:
        """Give the context in which to do an operation that the old store, if any, does as well.

        :raises TablestoreOptionsError: for wrong options, before anything is done in either.
        """
        self.store  # noqa: B018 - the property refuses
        if self._read_through is None:
            return contextlib.ExitStack()
        return self._read_through.first(operation, *arguments)

    def bootstrap(self) -> None:
        """Create the table or bring its options to these; harmless when repeated."""
        with span("nodestore.tablestore.bootstrap"):
            self.store.bootstrap(automatic_expiry=self.automatic_expiry)
