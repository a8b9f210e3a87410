"""A table of Tablestore as a source: nodes keep their write times and moments of expiry."""

import functools
import hashlib
from typing import Any, Callable, Dict, List, Optional, Sequence

from ...errors import TablestoreError, TablestoreTimeoutError, TablestoreUnavailableError
from ...kvstore.tablestore import TablestoreKVStorage
from . import source
from .id_list import IDList
from .source import Page, Part, Sample, SourceError, SourceRow, SourceUnavailableError

_HEX = "0123456789abcdef"
# Ids are hex digits of hashes, some of them behind one of these.
_PREFIXES = ("e-g-f:", "i-o:", "p-i-e:")


class TablestoreSource(source.Source):
    """The nodes of a table, all of them or those of a list of ids.

    Its own parts begin with an id and end before another one. A cursor is the id to go on from.

    :param store: The table; its `default_ttl` says which nodes have expired.
    """

    def __init__(self, store: TablestoreKVStorage, ids: Optional[IDList] = None) -> None:
        self.store = store
        self.ids = ids
        ttl = store.default_ttl
        self.lifetime = int(ttl.total_seconds() * 1000) if ttl else 0

    def check(self) -> None:
        try:
            self.store.describe()
        except TablestoreError as error:
            raise SourceError(f"the source: {error}") from error

    def identity(self) -> Dict[str, Any]:
        server = self.store.options.end_point
        return {
            "kind": "tablestore",
            "server": hashlib.sha256(server.encode("utf-8")).hexdigest()[:16],
            "instance": self.store.instance,
            "table": self.store.table_name,
            "ids": self.ids.digest if self.ids else None,
        }

    def describe(self) -> str:
        which = f" for the ids in {self.ids.path}" if self.ids else ""
        return f"table {self.store.table_name} of instance {self.store.instance}{which}"

    def parts(self, count: int) -> List[Part]:
        if self.ids:
            return self.ids.parts(count)
        digits = 1 if count <= len(_HEX) else 2
        bounds = [f"{n:0{digits}x}" for n in range(1, len(_HEX) ** digits)] + ["g"]
        bounds += [prefix + digit for prefix in _PREFIXES for digit in _HEX]
        edges: List[Optional[str]] = [None, *sorted(bounds), None]
        return [Part(after, upto) for after, upto in zip(edges, edges[1:])]

    def sample(self, rows: int) -> Sample:
        if self.ids:
            ids, total = self.ids.sample(rows)
            return Sample(ids, total, 0)
        found: List[str] = []
        written: List[int] = []
        for part in self.parts(len(_HEX)):
            nodes, _ = self.store.scan(
                part.after or "", max(1, rows // len(_HEX)), end=part.upto or ""
            )
            found += [node.id for node in nodes]
            written += [node.written for node in nodes]
        return Sample(found, -1, min(written) if written else 0)

    def reader(self) -> "TablestoreReader":
        return TablestoreReader(self)


class TablestoreReader(source.Reader):
    """Reads the table in the order of its ids, which is that of their bytes."""

    def __init__(self, of: TablestoreSource) -> None:
        self._source = of

    def page(self, part: Part, cursor: Optional[str], max_rows: int, max_bytes: int) -> Page:
        if self._source.ids:
            ids, cursor = self._source.ids.page(part, cursor, min(max_rows, 100))
            return Page(self.fetch(ids), cursor)
        rows: List[SourceRow] = []
        start = (part.after if cursor is None else cursor) or ""  # type: Optional[str]
        while start is not None and not rows:
            # With its end, so that nothing is read of the parts behind a small one.
            scan = functools.partial(self._source.store.scan, end=part.upto or "")
            nodes, start = self._asked(functools.partial(scan, start, max_rows, True))
            rows = [self._row(node) for node in nodes]
        return Page(rows, start)

    def changed(self, rows: List[SourceRow]) -> List[SourceRow]:
        if not rows:
            return []
        ids = [row.id for row in rows]
        nodes = self._asked(functools.partial(self._source.store.scan_many, ids))
        written = {node.id: node.written for node in nodes}
        changed = [row.id for row in rows if written.get(row.id) != row.written]
        return self.fetch(changed)

    def fetch(self, ids: Sequence[str]) -> List[SourceRow]:
        """Read nodes by their ids, in the order of these; GONE where there is none."""
        found: Dict[str, SourceRow] = {}
        for at in range(0, len(ids), source.AT_ONCE):
            wanted = ids[at : at + source.AT_ONCE]
            nodes = self._asked(functools.partial(self._source.store.scan_many, wanted, True))
            found.update((node.id, self._row(node)) for node in nodes)
        return [found.get(id) or SourceRow(id, None, 0, trouble=source.GONE) for id in ids]

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (TablestoreUnavailableError, TablestoreTimeoutError) as error:
            raise SourceUnavailableError(f"the source: {error}") from error
        except TablestoreError as error:
            raise SourceError(f"the source: {error}") from error

    def _row(self, node: Any) -> SourceRow:
        if node.error or node.value is None:
            return SourceRow(
                node.id, None, node.written, trouble=source.UNREADABLE, detail=node.error
            )
        return SourceRow(node.id, node.value, node.written, node.expires)
