"""Any NodeStorage class as a source, such as S3, files or Bigtable, for a list of ids."""

import hashlib
import importlib
import json
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import source
from .id_list import IDList
from .source import Page, Part, Sample, SourceError, SourceRow

_READ_AT_ONCE = 100
_ATTEMPTS = 4


class NodeStorageSource(source.Source):
    """Nodes that a NodeStorage class reads, by their ids.

    Such a class tells no write times: the nodes count as written when they are moved, and replace
    nothing.

    :param path: Of the class, such as `sentry.nodestore.filesystem.FilesystemNodeStorage`.
    :param options: Its keyword arguments.
    :raises SourceError: when there is no such class, or it refuses its options.
    """

    dated = False

    def __init__(self, path: str, options: Mapping[str, Any], ids: IDList) -> None:
        self.path = path
        self.ids = ids
        self.options = options
        self.storage = imported(path, options)

    def check(self) -> None:
        """Leave it to the class whether it validates itself, as Sentry does."""
        validate = getattr(self.storage, "validate", None)
        if validate is None:
            return
        try:
            validate()
        except Exception as error:
            raise SourceError(f"{self.path} refuses its options: {_said(error)}") from error

    def identity(self) -> Dict[str, Any]:
        options = json.dumps(self.options, sort_keys=True, default=str)
        return {
            "kind": "class",
            "class": self.path,
            "options": hashlib.sha256(options.encode("utf-8")).hexdigest()[:16],
            "ids": self.ids.digest,
        }

    def describe(self) -> str:
        return f"{self.path} for the ids in {self.ids.path}"

    def parts(self, count: int) -> List[Part]:
        return self.ids.parts(count)

    def sample(self, rows: int) -> Sample:
        ids, total = self.ids.sample(rows)
        return Sample(NodeStorageReader(self).fetch(ids), total, 0)

    def count(self) -> int:
        return self.ids.count()

    def reader(self) -> "NodeStorageReader":
        return NodeStorageReader(self)


class NodeStorageReader(source.Reader):
    """Reads through the class; it is a `threading.local`, so each thread has its own of it."""

    def __init__(self, of: NodeStorageSource) -> None:
        self._source = of

    def page(self, part: Part, cursor: Optional[str], max_rows: int, max_bytes: int) -> Page:
        rows: List[SourceRow] = []
        # A class says nothing of sizes beforehand: few at a time, so that the limit is kept about.
        while len(rows) < max_rows and sum(len(row.value or b"") for row in rows) < max_bytes:
            ids, cursor = self._source.ids.page(
                part, cursor, min(_READ_AT_ONCE, max_rows - len(rows))
            )
            rows += self.fetch(ids)
            if cursor is None:
                break
        return Page(rows, cursor)

    def changed(self, rows: List[SourceRow]) -> List[SourceRow]:
        if not rows:
            return []
        now = self.fetch([row.id for row in rows])
        # A node that was deleted and not one that was written again: without times nobody could
        # tell which of two values is the newer one.
        return [row for row in now if row.trouble == source.GONE]

    def fetch(self, ids: Sequence[str]) -> List[SourceRow]:
        """Read nodes, one by one where many at once fail."""
        try:
            found = self._source.storage._get_bytes_multi(list(ids))
            return [_row(id, found.get(id)) for id in ids]
        except Exception:  # noqa: BLE001 - any class of S3's, Google's or others; each id tells
            return [self._read_one(id) for id in ids]

    def _read_one(self, id: str) -> SourceRow:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _row(id, self._source.storage._get_bytes(id))
            except Exception as error:  # noqa: BLE001 - see above; the report names it
                if _says_missing(error):
                    return _row(id, None)
                if attempt == _ATTEMPTS:
                    return SourceRow(id, None, 0, trouble=source.UNREADABLE, detail=_said(error))
                time.sleep(0.1 * 4**attempt / 4)
        raise AssertionError("every last attempt returns")


def imported(path: str, options: Mapping[str, Any]) -> Any:
    """Import a class and make an object of it, as Sentry does with SENTRY_NODESTORE.

    :raises SourceError: naming what failed.
    """
    module, _, name = path.rpartition(".")
    try:
        backend = getattr(importlib.import_module(module), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise SourceError(f"there is no class {path}: {error}") from None
    try:
        return backend(**options)
    except Exception as error:
        raise SourceError(f"{path} refuses its options: {_said(error)}") from error


def _row(id: str, value: Any) -> SourceRow:
    if value is None:
        return SourceRow(id, None, 0, trouble=source.GONE)
    return SourceRow(id, bytes(value), 0)


def _says_missing(error: BaseException) -> bool:
    """Whether a backend for files, Sentry's own among them, says so that there is no such node.

    When the folder is not there either, it may as well be a disk that is not mounted.
    """
    if not isinstance(error, FileNotFoundError) or not error.filename:
        return False
    return os.path.isdir(os.path.dirname(os.path.abspath(error.filename)))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
