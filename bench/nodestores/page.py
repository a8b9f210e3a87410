"""Writes what was measured as a page, beside what was expected."""

from dataclasses import dataclass

import facts
from disk import Space
from measure import Figures, Plan

_ABOUT = """# Two nodestores of a self-hosted Sentry

Sentry's own nodestore on PostgreSQL, and this package on `tablestore-local`: {nodes:,} nodes are
written, read, and the older half of them deleted, in one run on one machine, by processes of a
real Sentry that call `nodestore.set`, `get`, `get_multi` and `delete_multi` as Sentry does.
"""

_HOW = """
## How

- Nodes are realistic events (`bench/events.py`) of 2 to 320 KB of JSON, 9.9 KB in the mean.
- PostgreSQL: {postgresql}. Sentry compresses with zlib and writes base64.
- tablestore-local: {local}. The backend's
  `compression` is `'zstd'` and its `timeout` a minute; all else is as it comes.
- One store is measured after the other in parts of some thousand calls, in turns: what else the
  machine does disturbs both alike.
- Neither has a cache of nodes, as self-hosted Sentry has none. The files that are read are in the
  page cache of the operating system.
- Both have their data on the same disk, and share the cores with the clients.
- Times are those of Sentry's whole calls, JSON included: on either side {encode:,.0f} µs to encode
  a node and {decode:,.0f} µs to decode it.
- No store: the same calls to a nodestore that keeps nothing and gives an event at once. So much do
  Sentry's JSON, spans and metrics leave to any store, even one that takes nothing from the cores;
  behind it is its ratio to PostgreSQL's figure.
- A client makes the events that it writes before its time begins, and holds no others: objects of
  its parent would cost either store the copying of their pages and the garbage collector's looks at
  them, which no worker of Sentry has.
- The first tenth of the nodes is written by one client alone, the rest by {clients} at once. Each
  kind of read then goes on for {seconds:g} s, of nodes at random, each of which is checked.
- PostgreSQL's space is that of `nodestore_node` with TOAST and indexes, after a checkpoint, without
  its log of writes ({postgresql_log}, of the whole database). tablestore-local's is all of its
  data, what is still in its log included ({local_log}), without the ballast of 64 MB that it lays
  by for a full disk.
- Space of deleted nodes: PostgreSQL's after `VACUUM`, which is what autovacuum does;
  tablestore-local's as it comes back by itself. `VACUUM FULL` locks the table and needs room for a
  second copy; it is never done by itself.
- The disk: both compress each node by itself, and zstd's frames are about as large as zlib's
  streams. What PostgreSQL adds are base64 (a third) and its rows' overhead. Less than that takes a
  dictionary: [dictionary.md](dictionary.md).
"""


@dataclass(frozen=True)
class Expectation:
    """A ratio of this package's figure to PostgreSQL's, and its bound."""

    bound: float
    at_most: bool = False

    def judge(self, ratio: float) -> tuple[str, str]:
        """Return what is expected and whether the ratio meets it."""
        met = ratio <= self.bound if self.at_most else ratio >= self.bound
        word = "at most" if self.at_most else "at least"
        return f"{word} {self.bound:.2f}", "met" if met else "NOT MET"


_OPERATIONS = {
    "set": ("sets", Expectation(3)),
    "get": ("gets", Expectation(2)),
    "get_multi": ("multi-gets of {at_once}", Expectation(2)),
}


def page(
    gathered: dict[str, str],
    plan: Plan,
    postgresql: Figures,
    local: Figures,
    postgresql_settings: str,
    local_settings: str,
) -> str:
    """Return the page as Markdown."""
    vacuum, full = postgresql.after
    itself = local.after[0]
    given = {
        "PostgreSQL": _mb(postgresql.before) - _mb(vacuum.space),
        "local": _mb(local.before) - _mb(itself.space),
    }
    rows = [
        _row(
            f"{title.format(at_once=plan.read_at_once)} a second, {number} client"
            + "s" * (number > 1),
            postgresql.rates[operation, number],
            local.rates[operation, number],
            expectation,
            local.bounds[operation, number],
        )
        for operation, (title, expectation) in _OPERATIONS.items()
        for number in sorted({1, plan.clients})
    ]
    rows += [
        _row(
            "nodes deleted a second, 1 client",
            postgresql.rates["delete", 1],
            local.rates["delete", 1],
        ),
        _row("MB on disk", _mb(postgresql.before), _mb(local.before), Expectation(1 / 3, True)),
        _row("MB, half deleted", _mb(vacuum.space), _mb(itself.space), Expectation(1 / 3, True)),
        _row("MB given back", given["PostgreSQL"], given["local"]),
    ]
    head = ["", "PostgreSQL", "tablestore-local", "ratio", "expected", "", "no store"]
    met = "met" if given["local"] >= 0.4 * _mb(local.before) else "NOT MET"
    notes = [
        "",
        f"- Space of deleted nodes, expected to be given back: {met}. tablestore-local's was back",
        f"  {itself.seconds:.1f} s after the last delete. `VACUUM` took {vacuum.seconds:.1f} s;",
        "  what it frees and does not give back is for new nodes.",
        f"- `VACUUM FULL` took {full.seconds:.1f} s and left {_mb(full.space):,.0f} MB.",
    ]
    how = _HOW.format(
        postgresql=postgresql_settings,
        local=local_settings,
        clients=plan.clients,
        seconds=plan.seconds,
        postgresql_log=f"{postgresql.before.log / 1e6:,.0f} MB",
        local_log=f"{local.before.log / 1e6:,.0f} MB",
        **postgresql.json,
    )
    lines = [_ABOUT.format(nodes=plan.nodes), *facts.lines(gathered), ""]
    lines.append(_table(head, rows))
    return "\n".join([*lines, *notes]) + "\n" + how


def _row(
    title: str,
    postgresql: float,
    local: float,
    expectation: Expectation | None = None,
    bound: float | None = None,
) -> list[str]:
    ratio = local / postgresql if postgresql > 0 else 0.0
    expected = expectation.judge(ratio) if expectation else ("", "")
    written = f"{ratio:.2f}" if ratio else ""
    most = f"{_number(bound)} ({bound / postgresql:.2f})" if bound else ""
    return [title, _number(postgresql), _number(local), written, *expected, most]


def _number(figure: float) -> str:
    return (
        f"{figure:,.0f}" if figure >= 100 else f"{figure:,.1f}" if figure >= 1 else f"{figure:.2f}"
    )


def _mb(space: Space) -> float:
    return space.data / 1e6


def _table(head: list[str], rows: list[list[str]]) -> str:
    marks = ["---", *["--:"] * 4, "---", "--:"]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, marks, *rows])
