"""Rows that were sent to the target and not yet looked at again in the source.

What Sentry deletes from the source between a page's reading and its writing is found by that second
look, and taken back. When a page is read again instead, after a failure or by the next run, such a
row is no longer among its rows: only what is noted here tells that it may be in the target.
"""

from typing import Callable, Dict, List, Mapping, Optional

from .sources.source import SourceRow


class Sent:
    """The rows that one worker has sent, by id and write time.

    :param keep: Told all of them before more are sent, to keep them for a later run.
    :param rows: That an earlier run kept: write times by id.
    """

    def __init__(
        self,
        keep: Callable[[Dict[str, int]], None] = lambda rows: None,
        rows: Optional[Mapping[str, int]] = None,
    ) -> None:
        self._keep = keep
        self._written: Dict[str, int] = dict(rows or {})

    def add(self, rows: List[SourceRow]) -> None:
        """Note rows that are about to be sent."""
        if rows:
            self._written.update((row.id, row.written) for row in rows)
            self._keep(self._written)

    def rows(self) -> List[SourceRow]:
        """Give what was sent, without the values."""
        return [SourceRow(id, None, written) for id, written in self._written.items()]

    def clear(self) -> None:
        """Forget rows that were looked at again. What is kept of them does no harm."""
        self._written = {}
