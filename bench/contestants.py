"""The contestants in Python: two ways to the same rows.

Each lives alone in a process, see client.py.
"""

import base64
import logging
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Sequence, Tuple

TABLE = "nodestore"
# What the service takes in one request.
DELETED_AT_ONCE = 200
READ_AT_ONCE = 100


class Contestant:
    """What both can do."""

    def get(self, id: str) -> Optional[bytes]:
        """Read a node."""
        raise NotImplementedError

    def set(self, id: str, value: bytes) -> None:
        """Write a node."""
        raise NotImplementedError

    def get_many(self, ids: Sequence[str]) -> Iterable[Tuple[str, bytes]]:
        """Read nodes."""
        raise NotImplementedError

    def delete_many(self, ids: Sequence[str]) -> None:
        """Delete nodes."""
        raise NotImplementedError


class Package(Contestant):
    """This package, as a program without Sentry uses it."""

    def __init__(self, service: Dict[str, str]) -> None:
        from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

        options = {
            name: service[name] for name in ("end_point", "access_key_id", "access_key_secret")
        }
        # A batch of 200 KB values may take longer than usual on a busy machine.
        options["timeout"] = 60
        self.store = TablestoreKVStorage(service["instance"], TABLE, options, compression="zstd")
        self.get = self.store.get
        self.set = self.store.set
        self.delete_many = self.store.delete_many

    def get_many(self, ids: Sequence[str]) -> Iterable[Tuple[str, bytes]]:
        """Read the nodes."""
        return list(self.store.get_many(ids))


class PythonSDK(Contestant):
    """The predecessor's calls: `tablestore` 6.4.8 in the shape of sentry-tablestore 1.0.0b2, which
    makes batches one after the other.

    Its logger is at WARNING: at its default the SDK writes every request as text for nobody.
    """

    ZSTD = 2

    def __init__(self, service: Dict[str, str]) -> None:
        logging.getLogger("tablestore-client").setLevel(logging.WARNING)
        # Said at the import on every Python but 3.12, for which alone it ships its encoder in C++.
        logging.disable(logging.WARNING)
        import zstandard

        import tablestore

        logging.disable(logging.NOTSET)
        self.sdk = tablestore
        self.zstandard = zstandard
        self.client = tablestore.OTSClient(
            service["end_point"],
            service["access_key_id"],
            service["access_key_secret"],
            service["instance"],
        )

    def get(self, id: str) -> Optional[bytes]:
        """Read the row in its newest version."""
        _, row, _ = self.client.get_row(TABLE, [("id", id)], max_version=1)
        return self._decode(row)

    def set(self, id: str, value: bytes) -> None:
        """Write the row."""
        columns = [
            ("data", bytearray(self.zstandard.ZstdCompressor().compress(value))),
            ("flags", self.ZSTD),
        ]
        self.client.put_row(TABLE, self.sdk.Row([("id", id)], columns))

    def get_many(self, ids: Sequence[str]) -> Iterable[Tuple[str, bytes]]:
        """Read the rows."""
        found = []
        for chunk in _chunks(ids, READ_AT_ONCE):
            request = self.sdk.BatchGetRowRequest()
            keys = [[("id", id)] for id in chunk]
            request.add(self.sdk.TableInBatchGetRowItem(TABLE, keys, max_version=1))
            response = self.client.batch_get_row(request)
            for id, item in zip(chunk, response.get_result_by_table(TABLE)):
                if not item.is_ok:
                    raise RuntimeError(item.error_message)
                value = self._decode(item.row)
                if value is not None:
                    found.append((id, value))
        return found

    def delete_many(self, ids: Sequence[str]) -> None:
        """Delete the rows."""
        condition = self.sdk.Condition(self.sdk.RowExistenceExpectation.IGNORE)
        for chunk in _chunks(ids, DELETED_AT_ONCE):
            rows = [self.sdk.Row([("id", id)], None) for id in chunk]
            request = self.sdk.BatchWriteRowRequest()
            items = [self.sdk.DeleteRowItem(row, condition) for row in rows]
            request.add(self.sdk.TableInBatchWriteRowItem(TABLE, items))
            failed = self.client.batch_write_row(request).get_failed_of_delete()
            if failed:
                raise RuntimeError(failed[0].error_message)

    def _decode(self, row: Any) -> Optional[bytes]:
        if row is None:
            return None
        columns = {cell[0]: cell[1:] for cell in row.attribute_columns}
        value = columns["data"][0]
        if columns["flags"][0] & self.ZSTD:
            value = self.zstandard.ZstdDecompressor().decompress(value)
        return value

    def record(self, call: Callable[[], Any]) -> Dict[str, Any]:
        """Make a call of one request and tell what went over the wire, for the bare exchange."""
        connection = self.client.connection
        exchange: Dict[str, Any] = {}

        def send_receive(path: str, headers: Dict[str, str], body: bytes) -> Any:
            answer = type(connection).send_receive(connection, path, headers, body)
            exchange["path"] = path
            exchange["headers"] = {str(name): _text(headers[name]) for name in headers}
            exchange["body"] = base64.b64encode(body).decode()
            exchange["answered"] = len(answer[3])
            return answer

        connection.send_receive = send_receive
        try:
            call()
        finally:
            del connection.send_receive
        return exchange


def _chunks(all: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(all), size):
        yield all[at : at + size]


def _text(header: Any) -> str:
    return header.decode() if isinstance(header, bytes) else str(header)


CONTESTANTS: Dict[str, Callable[[Dict[str, str]], Contestant]] = {
    "package": Package,
    "sdk": PythonSDK,
}
