"""A table of Tablestore as a source: nodes keep their write times and moments of expiry."""

import hashlib
from typing import Any, Dict, List, Optional, Sequence

from ...errors import TablestoreError, TablestoreTimeoutError, TablestoreUnavailableError
from ...kvstore.tablestore import TablestoreKVStorage
from . import source
from .id_list import IDList
from .source import Page, Part, Sample, SourceError, SourceRow, SourceUnavailableError

_HEX = "0123456789abcdef"


class TablestoreSource(source.Source):
    """The nodes of a table, all of them or those of a list of ids.

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
        # Ids are hex digits of hashes, but for some with a prefix, which come in the last part.
        digits = 1 if count <= len(_HEX) else 2
        bounds = [f"{n:0{digits}x}" for n in range(1, len(_HEX) ** digits)]
        edges: List[Optional[str]] = [None, *bounds, "g", None]
        return [Part(after, upto) for after, upto in zip(edges, edges[1:])]

    def sample(self, rows: int) -> Sample:
        reader = self.reader()
        if self.ids:
            ids, total = self.ids.sample(rows)
            return Sample(reader.fetch(ids), total, 0)
        found: List[SourceRow] = []
        for part in self.parts(len(_HEX)):
            found += reader.page(part, None, max(1, rows // len(_HEX)), 4 << 20).rows
        written = [row.written for row in found]
        return Sample(found, -1, min(written) if written else 0)

    def count(self) -> int:
        if self.ids:
            return self.ids.count()
        count, start = 0, ""  # type: int, Optional[str]
        while start is not None:
            nodes, start = self.store.scan(start, 1000, values=False)
            count += len(nodes)
        return count

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
        after = (part.after if cursor is None else cursor) or ""
        start: Optional[str] = after
        while start is not None and not rows:
            nodes, start = self._scan(start, max_rows)
            for node in nodes:
                if part.upto is not None and _order(node.id) > _order(part.upto):
                    start = None
                    break
                if node.id != after or not after:
                    rows.append(self._row(node))
        if start is None or not rows:
            return Page(rows, None)
        return Page(rows, rows[-1].id)

    def changed(self, rows: List[SourceRow]) -> List[SourceRow]:
        now = self.fetch([row.id for row in rows])
        return [new for old, new in zip(rows, now) if new.written != old.written]

    def fetch(self, ids: Sequence[str]) -> List[SourceRow]:
        """Read nodes by their ids, in the order of these; GONE where there is none."""
        found = []
        for id in ids:
            nodes, _ = self._scan(id, 1)
            same = bool(nodes) and nodes[0].id == id
            found.append(
                self._row(nodes[0]) if same else SourceRow(id, None, 0, trouble=source.GONE)
            )
        return found

    def _scan(self, start: str, limit: int) -> Any:
        try:
            return self._source.store.scan(start, limit, values=True)
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


def _order(id: str) -> bytes:
    return id.encode("utf-8")
