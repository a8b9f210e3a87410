"""What is in the table: counted in full, or estimated from a sample.

Sentry's ids are hashes in hexadecimal, plain or after a prefix, and so are spread evenly over their
space. A run of consecutive nodes from a random id on covers a part d of that space and holds a part
x of any total (nodes, bytes, nodes of a day). Over several runs, sum(x) / sum(d) estimates that
total, and how far single runs are from it tells the error (the ratio estimator of cluster samples).
"""

import math
import re
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..kvstore.scanned import ScannedNode
from ..kvstore.tablestore import TablestoreKVStorage
from ..migration.patience import patiently

KINDS = {
    "event": "events (32 hexadecimal digits)",
    "i-o:": "issue occurrences (i-o:…)",
    "p-i-e:": "performance problems (p-i-e:…)",
    "e-g-f:": "escalating forecasts (e-g-f:…)",
    "other": "other ids",
}
PREFIXES = ("e-g-f:", "i-o:", "p-i-e:")

_EVENT = re.compile(r"[0-9a-f]{32}\Z")
_HEXADECIMAL = re.compile(r"[0-9a-f]*")
_PAGE = 1000
_DIGITS = 13  # of an id, as many as a float holds exactly
_FEWEST_RUNS = 20
_NODES_A_RUN = 100
_CONFIDENCE = 1.96  # standard errors on either side: 95 %

# Where ids begin that are no hashes: from the first (inclusive) to the second, "" being the end.
_BETWEEN = (
    ("", "0"),
    (":", "a"),
    ("g", "i-o:"),
    ("i-o;", "p-i-e:"),
    ("p-i-e;", ""),
)

Key = Tuple[str, str]
Show = Callable[[float, int], None]


class Estimate(NamedTuple):
    """A total: `error` is half of the interval in which it lies with 95 %, 0 when counted."""

    value: float
    error: float


class Amount(NamedTuple):
    """How much there is of something: nodes, their bytes in the table, and before compression."""

    nodes: Estimate
    stored: Estimate
    raw: Estimate


class Survey:
    """What was found.

    :ivar exact: Whether every node was counted.
    :ivar complete: False where there are more ids that are no hashes than were counted.
    :ivar read: Nodes that were read.
    :ivar seconds: How long it took.
    :ivar written: Of the nodes read of each kind, when the oldest and the newest were written, in
        ms since 1970.
    :ivar largest: The largest nodes read, by bytes before compression, the largest first.
    :ivar broken: Id and reason of nodes read that cannot be decoded, the first of them.
    :ivar broken_nodes: How many of those were read.
    """

    def __init__(self, top: int) -> None:
        self.exact = True
        self.complete = True
        self.read = 0
        self.seconds = 0.0
        self.written: Dict[str, Tuple[int, int]] = {}
        self.largest: List[ScannedNode] = []
        self.broken: List[Tuple[str, str]] = []
        self.broken_nodes = 0
        self._top = top
        self._totals: Dict[Key, List[float]] = {}

    def of(self, group: str) -> Dict[str, Amount]:
        """Give the amounts of a group ("all", "kind", "day" or "compression") by name."""
        found = {}
        for (its, name), totals in sorted(self._totals.items()):
            if its == group:
                found[name] = Amount(
                    *(Estimate(totals[i], _CONFIDENCE * math.sqrt(totals[i + 3])) for i in range(3))
                )
        return found

    def see(self, node: ScannedNode) -> Dict[Key, List[int]]:
        """Note a node that was read, and give what it adds to which total."""
        self.read += 1
        kind = kind_of(node.id)
        oldest, newest = self.written.get(kind, (node.written, node.written))
        self.written[kind] = min(oldest, node.written), max(newest, node.written)
        if node.error:
            self.broken_nodes += 1
            if len(self.broken) < self._top:
                self.broken.append((node.id, node.error))
        elif self._top:
            self.largest.append(node._replace(value=None))
            if len(self.largest) > 10 * self._top + 100:
                self.cut()
        day = time.strftime("%Y-%m-%d", time.gmtime(node.written / 1000))
        adds = [1, node.stored, max(node.size, 0)]
        compression = "cannot be decoded" if node.error else node.compression or "none"
        keys = [("all", ""), ("kind", kind), ("day", day), ("compression", compression)]
        return dict.fromkeys(keys, adds)

    def cut(self) -> None:
        """Keep no more of the largest nodes than are asked for."""
        # Runs of a sample may overlap.
        distinct = {node.id: node for node in self.largest}.values()
        self.largest = sorted(distinct, key=lambda node: (-node.size, node.id))[: self._top]

    def add(self, key: Key, amounts: List[float], variances: Tuple[float, ...] = (0, 0, 0)) -> None:
        """Add amounts to a total, with the squares of their standard errors."""
        totals = self._totals.setdefault(key, [0.0] * 6)
        for i, value in enumerate(list(amounts) + list(variances)):
            totals[i] += value


class _Run(NamedTuple):
    """What a run of nodes holds, and which part of the space it covers."""

    covered: float
    sums: Dict[Key, List[float]]


def count_all(store: TablestoreKVStorage, top: int, show: Show) -> Survey:
    """Read every node.

    :param top: How many of the largest nodes to keep.
    :param show: Called with how far it is, from 0 to 1, and the nodes read so far.
    :raises TablestoreError: when a part of the table cannot be read.
    """
    survey = Survey(top)
    begun = time.monotonic()
    reached = 0.0
    for node in _nodes(store, "", ""):
        for key, adds in survey.see(node).items():
            survey.add(key, list(adds))
        if survey.read % 100 == 0:
            if node.id[:1] in "0123456789abcdef":
                reached = max(reached, _position(node.id))
            show(reached, survey.read)
    survey.seconds = time.monotonic() - begun
    survey.cut()
    return survey


def sample(store: TablestoreKVStorage, size: int, top: int, random: Any, show: Show) -> Survey:
    """Estimate from about `size` nodes of each kind of hash, and count ids that are none.

    Counts everything where the table is hardly larger than that.

    :param random: A `random.Random`.
    """
    if _is_small(store):
        return count_all(store, top, show)
    survey = Survey(top)
    survey.exact = False
    begun = time.monotonic()
    shares = 1 + len(PREFIXES)
    for done, prefix in enumerate(("",) + PREFIXES):
        covered = _estimate(
            store,
            survey,
            prefix,
            size,
            random,
            lambda part, done=done: show((done + part) / shares, survey.read),
        )
        if not prefix and covered > 0.5:
            return count_all(store, top, show)
    for start, end in _BETWEEN:
        for count, node in enumerate(_nodes(store, start, end)):
            if count == size:
                survey.complete = False
                break
            for key, adds in survey.see(node).items():
                survey.add(key, list(adds))
    survey.seconds = time.monotonic() - begun
    survey.cut()
    return survey


def _is_small(store: TablestoreKVStorage) -> bool:
    """Whether the table ends within the first page; then a sample of it would be all of it."""
    position: Optional[str] = ""
    count = 0
    while position is not None and count < _PAGE:
        nodes, position = store.scan(position, _PAGE)
        count += len(nodes)
    return position is None


def kind_of(id: str) -> str:
    """Give the kind of a node by its id, a name of KINDS."""
    if _EVENT.match(id):
        return "event"
    return next((prefix for prefix in PREFIXES if id.startswith(prefix)), "other")


def _estimate(
    store: TablestoreKVStorage,
    survey: Survey,
    prefix: str,
    size: int,
    random: Any,
    show: Callable[[float], None],
) -> float:
    """Add the estimated totals of the hashes after this prefix; give the part of them covered."""
    if prefix:
        end = prefix[:-1] + ";"
        few = sum(1 for _ in _nodes(store, prefix, end, size + 1, values=False)) <= size
        if few:
            for node in _nodes(store, prefix, end):
                for key, adds in survey.see(node).items():
                    survey.add(key, list(adds))
            return 1.0
    number = max(_FEWEST_RUNS, size // _NODES_A_RUN)
    length = max(1, size // number)
    runs = []
    for done in range(number):
        runs.append(_run(store, survey, prefix, length, "%032x" % random.getrandbits(128)))
        show((done + 1) / number)
    covered = sum(run.covered for run in runs)
    for key in {key for run in runs for key in run.sums}:
        totals, variances = [], []
        for i in range(3):
            parts = [(run.sums.get(key, (0, 0, 0))[i], run.covered) for run in runs]
            total = sum(part for part, _ in parts) / covered
            squares = sum((part - total * space) ** 2 for part, space in parts)
            totals.append(total)
            variances.append(squares * number / (number - 1) / covered**2)
        survey.add(key, totals, tuple(variances))
    return covered


def _run(store: TablestoreKVStorage, survey: Survey, prefix: str, length: int, start: str) -> _Run:
    """Read so many nodes from a hash on, less at the end of their space."""
    sums: Dict[Key, List[float]] = {}
    end = 1.0
    nodes = (
        _nodes(store, prefix + start, prefix[:-1] + ";", page=length)
        if prefix
        else _plain_hashes(store, start, length)
    )
    for count, node in enumerate(nodes, 1):
        for key, adds in survey.see(node).items():
            totals = sums.setdefault(key, [0.0] * 3)
            for i, value in enumerate(adds):
                totals[i] += value
        if count == length:
            end = _position(node.id[len(prefix) :])
            break
    # Two ids may agree in all digits that are looked at.
    return _Run(max(end - _position(start), 16.0**-_DIGITS), sums)


def _plain_hashes(store: TablestoreKVStorage, start: str, page: int) -> Iterator[ScannedNode]:
    """Give the nodes from a hash on whose ids begin as one without a prefix does."""
    parts = [(start, ":"), (max(start, "a"), "e-g-f:"), (max(start, "e-g-f;"), "g")]
    for first, last in parts:
        if first < last:
            yield from _nodes(store, first, last, page=page)


def _nodes(
    store: TablestoreKVStorage,
    start: str,
    end: str,
    limit: Optional[int] = None,
    page: int = _PAGE,
    values: bool = True,
) -> Iterator[ScannedNode]:
    """Give the nodes from an id (inclusive) to another (exclusive; "": all), at most `limit`."""
    position: Optional[str] = start
    count = 0
    while position is not None and not (end and position >= end):
        wanted = page if limit is None else min(page, limit - count)
        nodes, position = patiently(store.scan, position, wanted, values)
        for node in nodes:
            if end and node.id >= end:
                return
            yield node
            count += 1
            if count == limit:
                return


def _position(hash: str) -> float:
    """Give where in the space of all hashes one is, from 0 to 1."""
    digits = _HEXADECIMAL.match(hash).group()[:_DIGITS]  # type: ignore[union-attr]
    return int(digits.ljust(_DIGITS, "0"), 16) / 16.0**_DIGITS
