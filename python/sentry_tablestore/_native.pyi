"""The engine: Go behind the C API of CPython, built for the limited API of 3.6 (`cp36-abi3`).

Private to this package, which loads it by `sentry_tablestore.loader` and never by an `import`
statement: the Go runtime does not survive a fork, so each process needs a copy of its own.

Conventions of every operation:

- Ids are `str`, values `bytes`; nothing else is taken (the limited API of 3.6 has no buffer
  protocol).
- `project_level` and `client_level` are the least `logging` levels of which records are wanted:
  those of the loggers of this project and of the client.
- The result is `(status, result, logs, counts)`. Status 0: `result` is the operation's own. Status
  1: `result` is an error, a JSON object as `bytes` with the keys `kind`, `operation`, `table`,
  `code`, `message`, `request_id`, `http_status`, `ids` and `failures`: see
  `sentry_tablestore.errors.from_engine`.
- `logs` is None or a JSON array `[{"logger": "project" or "client", "level": 10, "message": "…"}]`.
- `counts` is a tuple of int: requests, retries, throttled requests; bytes sent and received; bytes
  of values before compression and as stored; nodes missing; values split over columns.
- The interpreter lock is released while the engine works. An exception raised by a signal handler
  comes out of the call within 100 ms; the abandoned request ends by itself.
- RuntimeError in a forked child of the process that loaded this copy.
"""

_Counts = tuple[int, int, int, int, int, int, int, int, int]
_Done = tuple[int, bytes | None, bytes | None, _Counts]

def open(options: bytes) -> tuple[int, int | bytes, bytes | None, _Counts]:
    """Give the handle of the client with these options; the same text gives the same shared client.

    :param options: JSON object with `end_point`, `instance`, `table`, `access_key_id`,
        `access_key_secret`, `sts_token` ("" none), `credentials_from` ("" none; else the key comes
        by `set_credentials`, and this text only keeps clients apart), `region` ("" signs with V2),
        `default_ttl_ms` (0 none), `automatic_expiry`, `compression` ("", "zlib" or "zstd"),
        `timeout_ms`, `max_connection`, `reserved_read` and `reserved_write`. Touches no network.
    """

def close(handle: int) -> None:
    """End the client's connections. Its later calls fail with the kind "closed"."""

def get(handle: int, id: str, project_level: int, client_level: int) -> _Done:
    """Give the node's bytes, or None when there is no such node."""

def get_many(
    handle: int, ids: list[str], project_level: int, client_level: int
) -> tuple[int, list[bytes | None] | bytes, bytes | None, _Counts]:
    """Give one item for each id, in their order, None for a missing node. Duplicates are fine."""

def set(
    handle: int, id: str, value: bytes, ttl_ms: int, project_level: int, client_level: int
) -> _Done:
    """Write the node. `ttl_ms` is its own time to live in milliseconds, -1 for none."""

def set_many(
    handle: int,
    ids: list[str],
    values: list[bytes],
    ttl_ms: int,
    project_level: int,
    client_level: int,
) -> _Done:
    """Write a node for each id, with the value at the same place."""

def delete(handle: int, id: str, project_level: int, client_level: int) -> _Done:
    """Delete the node; a missing one is fine."""

def delete_many(handle: int, ids: list[str], project_level: int, client_level: int) -> _Done:
    """Delete the nodes; missing ones and duplicates are fine."""

def import_many(
    handle: int,
    ids: list[str],
    values: list[bytes],
    written: list[int],
    expires: list[int],
    encoding: int,
    only_missing: bool,
    project_level: int,
    client_level: int,
) -> _Done:
    """Write nodes of another store and give a letter for each: see `kvstore.imported`."""

def discard_many(
    handle: int, ids: list[str], written: list[int], project_level: int, client_level: int
) -> tuple[int, int | bytes, bytes | None, _Counts]:
    """Delete nodes that were written at exactly these times and give their number."""

def scan(
    handle: int,
    start: str,
    end: str,
    limit: int,
    values: bool,
    project_level: int,
    client_level: int,
) -> tuple[int, list[bytes | None] | bytes, bytes | None, _Counts]:
    """Give a JSON description of nodes and then their values: see `kvstore.scanned`."""

def scan_many(
    handle: int, ids: list[str], values: bool, project_level: int, client_level: int
) -> tuple[int, list[bytes | None] | bytes, bytes | None, _Counts]:
    """The same for those of the nodes that are there."""

def describe(handle: int, project_level: int, client_level: int) -> _Done:
    """Give a JSON description of the table: see `kvstore.description`."""

def set_credentials(handle: int, id: bytes, secret: bytes, token: bytes) -> _Done:
    """Replace what later requests of the client are signed with; an empty token is none."""

def bootstrap(handle: int, project_level: int, client_level: int) -> _Done:
    """Create the table, or bring its options to the client's."""

def destroy(handle: int, project_level: int, client_level: int) -> _Done:
    """Drop the table with all its rows; a missing one is fine."""

def cleanup(
    handle: int, cutoff_ms: int, project_level: int, client_level: int
) -> tuple[int, int | bytes, bytes | None, _Counts]:
    """Delete what was last written before `cutoff_ms` (since 1970) and give the number of rows."""

def version() -> str:
    """Tell what was built: "2.0.0 (commit 1f2e3d, go1.26.8, linux/amd64)"."""

def memfd() -> int:
    """Give an anonymous memory file, closed on exec. Plain C: it also works in a forked child.

    :raises OSError: where the kernel has none.
    """

def is_forked() -> bool:
    """Whether this is a child of the process that loaded this copy, which then must not be used."""

def limit_heap(size: int) -> None:
    """Keep what the engine's runtime has at about so many bytes, for up to half of its time."""

def outstanding() -> int:
    """Give the number of calls that are under way or whose results have not been given back."""
