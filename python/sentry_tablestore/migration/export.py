"""The nodes of a table into a file, and back into this or another table."""

import contextlib
import functools
import os
import time
from datetime import datetime, timezone
from typing import IO, Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..kvstore.imported import ImportedNode
from ..kvstore.tablestore import TablestoreKVStorage
from . import private_file
from .node_file import NodeFileError, Reader, Writer
from .patience import patiently

_SCANNED = 1000  # rows a call
_IMPORTED = 500  # nodes a call
_IMPORTED_BYTES = 8 * 1024 * 1024

Progress = Callable[[int, int], None]
"""Called now and then with the nodes and the bytes of their values so far."""


class Exported(NamedTuple):
    """What an export did.

    :ivar nodes: How many are in the file.
    :ivar bytes: Of their values, before compression.
    :ivar left_out: Nodes that were written outside of the time asked for.
    :ivar unreadable: Pairs (id, why) of nodes that could not be decoded; they are not in the file.
    """

    nodes: int
    bytes: int
    left_out: int
    unreadable: List[Tuple[str, str]]


def export(
    store: TablestoreKVStorage,
    file: IO[bytes],
    compression: str,
    since: int = 0,
    until: int = 0,
    progress: Optional[Progress] = None,
) -> Exported:
    """Write the nodes of a table to an open file, in the order of their ids.

    It is no snapshot: what is written or deleted meanwhile may or may not be in it. Failures that
    may pass, such as throttling, are waited for after the first request, a minute besides the
    store's own `timeout`s.

    :param since: Only nodes last written at this time or later, in ms since 1970.
    :param until: Only nodes last written before it; 0 for no such limit.
    :raises TablestoreError: when the table cannot be read.
    :raises NodeFileError: when this Python cannot compress so.
    """
    about = {
        "instance": store.instance,
        "table": store.table_name,
        "exported": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    writer = Writer(file, compression, about)
    size, left_out = 0, 0
    unreadable: List[Tuple[str, str]] = []
    start: Optional[str] = ""
    while start is not None:
        # Not at first: a service that was never there is told at once.
        scan = functools.partial(patiently, store.scan) if start else store.scan
        rows, start = scan(start, _SCANNED, values=True)
        for row in rows:
            if row.written < since or (until and row.written >= until):
                left_out += 1
            elif row.error:
                unreadable.append((row.id, row.error))
            else:
                writer.write(ImportedNode(row.id, row.value, row.written, row.expires))
                size += len(row.value)
        if progress is not None:
            progress(writer.nodes, size)
    writer.finish(len(unreadable))
    return Exported(writer.nodes, size, left_out, unreadable)


@contextlib.contextmanager
def new_file(path: str, replace: bool) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name whole or not at all.

    Only its owner can read it: it holds what users' programs sent.

    :param replace: Whether a file of that name may be there.
    :raises NodeFileError: when it cannot be written, or is there.
    """
    partial = path + ".partial"
    if os.path.exists(path) and not replace:
        raise NodeFileError(f"{path} is there already")
    try:
        opened = private_file.create(partial, "xb")
    except OSError as error:
        raise NodeFileError(f"{partial} cannot be written: {error.strerror}") from error
    try:
        with opened as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.rename(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def import_file(
    target: Any,
    reader: Reader,
    only_missing: bool = False,
    progress: Optional[Progress] = None,
) -> Dict[str, int]:
    """Write the nodes of a file to a table, with the times that they had.

    Nothing newer is overwritten, so that this can be repeated after it was stopped. Failures that
    may pass, such as throttling, are waited for: a minute, besides the store's own `timeout`s.

    :param target: A TablestoreKVStorage, or another with its `import_many`.
    :param only_missing: Leave alone whatever the table has, older nodes included.
    :returns: How many nodes had each outcome of `import_many`.
    :raises TablestoreError: when nodes could not be written.
    :raises NodeFileError: when the file is not complete; the nodes before its end were written.
    """
    outcomes: Dict[str, int] = {}
    batch: List[ImportedNode] = []
    nodes, size, in_batch = 0, 0, 0
    now = int(time.time() * 1000)

    def send() -> None:
        for outcome in patiently(target.import_many, batch, only_missing=only_missing):
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if progress is not None:
            progress(nodes, size)
        del batch[:]

    for node in reader:
        nodes += 1
        size += len(node.value)
        if node.expires and node.expires <= now:
            outcomes["expired"] = outcomes.get("expired", 0) + 1
            continue
        batch.append(node)
        in_batch += len(node.value)
        if len(batch) >= _IMPORTED or in_batch >= _IMPORTED_BYTES:
            send()
            in_batch = 0
    if batch:
        send()
    return outcomes
