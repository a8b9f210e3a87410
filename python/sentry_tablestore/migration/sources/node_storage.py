"""Any NodeStorage class as a source, such as S3, files or Bigtable, for a list of ids."""

import hashlib
import importlib
import json
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import source
from .id_list import IDList
from .source import Page, Part, Sample, SourceError, SourceRow, SourceUnavailableError

_ATTEMPTS = 4
_ASKED_AT_FIRST = 5


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
        # An id for which there was an answer, if only that there is no such node.
        self._answered: Optional[str] = None

    def check(self) -> None:
        """Leave it to the class whether it validates itself, as Sentry does, and ask it for nodes
        until it answers.
        """
        try:
            getattr(self.storage, "validate", lambda: None)()
        except Exception as error:
            raise SourceError(f"{self.path} refuses its options: {_said(error)}") from error
        ids, _ = self.ids.sample(_ASKED_AT_FIRST)
        failures = []
        for id in ids:
            try:
                self.read(id)
                return
            except Exception as error:  # noqa: BLE001 - of any class; told below
                failures.append(_said(error))
        if failures:
            raise SourceUnavailableError(
                f"{self.path} gives none of {len(ids)} nodes from all over {self.ids.path}, the "
                f"first one because of {failures[0]}"
            )

    def read(self, id: str) -> Optional[bytes]:
        """Read one node; None when there is none. Raises whatever the class does."""
        try:
            value = self.storage._get_bytes(id)
        except Exception as error:
            if not _says_missing(error):
                raise
            value = None
        self._answered = id
        return value

    def read_many(self, ids: Sequence[str]) -> Mapping[str, Optional[bytes]]:
        """Read nodes at once. Raises whatever the class does."""
        found = self.storage._get_bytes_multi(list(ids))
        self._answered = ids[0] if ids else self._answered
        return found

    def answers(self) -> bool:
        """Whether it still answers for a node for which it has: then the failure of another one is
        that node's own, and no time to wait for something.
        """
        if self._answered is None:
            return False
        try:
            self.read(self._answered)
        except Exception:  # noqa: BLE001 - of any class; the caller has one to tell
            return False
        return True

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
        return Sample(ids, total, 0)

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
                part, cursor, min(source.AT_ONCE, max_rows - len(rows))
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
        """Read nodes, one by one where many at once fail.

        :raises SourceUnavailableError: when it is not these nodes that fail.
        """
        try:
            found = self._source.read_many(ids)
            return [_row(id, found.get(id)) for id in ids]
        except Exception:  # noqa: BLE001 - any class of S3's, Google's or others; each id tells
            return [self._read_one(id) for id in ids]

    def _read_one(self, id: str) -> SourceRow:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _row(id, self._source.read(id))
            except Exception as error:
                if attempt == _ATTEMPTS:
                    if not self._source.answers():
                        raise SourceUnavailableError(
                            f"{self._source.path} does not answer: {_said(error)}"
                        ) from error
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
