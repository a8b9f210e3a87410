"""Nodes in a file: lines of JSON, compressed or not, with a last line that shows it is complete.

::

    {"format": "sentry-tablestore nodes", "version": 1, "instance": …, "table": …, "exported": …}
    {"id": "…", "written": 1763900000000, "value": "{\"message\":…}"}
    {"id": "…", "written": 1763900000001, "expires": 1766500000000, "base64": "gAJ9…"}
    {"end": true, "nodes": 2, "unreadable": 0, "sha256": "…"}

`written` and `expires` are ms since 1970; without `expires` a node has no time of its own. A value
that is UTF-8 stands as `value`, any other as `base64`. `sha256` is that of all lines before, their
line breaks included, without compression. `unreadable` counts nodes that the table had and that
could not be decoded, so that they are not in the file.

zstd comes from the module `zstandard`, which every Sentry has, or from CPython 3.14 itself. Where
neither is there, gzip always is. The ends of the names, `.zst` and `.gz`, say what to write; what
to read shows in its first bytes.
"""

import base64
import binascii
import hashlib
import importlib
import itertools
import json
import os
import zlib
from typing import IO, Any, Dict, Iterator, NamedTuple, Optional

from ..kvstore.arguments import checked_id
from ..kvstore.imported import ImportedNode

FORMAT = "sentry-tablestore nodes"
VERSION = 1
COMPRESSIONS = ("zstd", "gzip", "none")

_PIECE = 64 * 1024
# The largest value, 64 MiB, every byte of it written as \u00XX.
_MAX_LINE = 6 * 64 * 1024 * 1024 + 4096
_MAGIC = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
_ZSTD_LEVEL = 3
_GZIP_LEVEL = 6
_GZIP_WINDOW = 31  # zlib's way of saying: with gzip's header and checksum


class NodeFileError(Exception):
    """The file cannot be read or written, or is not what `export` wrote; the message says why."""


class Summary(NamedTuple):
    """The end of a complete file.

    :ivar nodes: How many it holds.
    :ivar unreadable: How many the table had that could not be decoded.
    """

    nodes: int
    unreadable: int


class Writer:
    """Writes nodes to an open binary file, which is left open.

    :param compression: One of `COMPRESSIONS`.
    :param about: What the header tells besides format and version.
    :raises NodeFileError: when this Python cannot compress so.
    """

    def __init__(self, file: IO[bytes], compression: str, about: Dict[str, Any]) -> None:
        self._file = file
        self._compressor = _compressor(compression)
        self._hash = hashlib.sha256()
        self.nodes = 0
        header = {"format": FORMAT, "version": VERSION}
        header.update(about)
        self._line(header)

    def write(self, node: ImportedNode) -> None:
        """Write a node."""
        line: Dict[str, Any] = {"id": node.id, "written": node.written}
        if node.expires:
            line["expires"] = node.expires
        try:
            line["value"] = node.value.decode("utf-8")
        except UnicodeDecodeError:
            line["base64"] = base64.b64encode(node.value).decode("ascii")
        self._line(line)
        self.nodes += 1

    def finish(self, unreadable: int) -> None:
        """Write the last line."""
        digest = self._hash.hexdigest()
        self._line({"end": True, "nodes": self.nodes, "unreadable": unreadable, "sha256": digest})
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
        self._file.flush()

    def _line(self, fields: Dict[str, Any]) -> None:
        line = json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"
        self._hash.update(line)
        self._file.write(line if self._compressor is None else self._compressor.compress(line))


class Reader:
    """Reads nodes from an open binary file.

    Iterating gives the nodes and ends with an error unless the file is complete: the last line is
    there, nothing comes after it, and count and hash are right. Only then is `summary` set.

    :param name: What to call the file in an error.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self.header: Dict[str, Any] = {}
        self.summary: Optional[Summary] = None

    def check(self) -> Summary:
        """Read all without taking nodes apart.

        :raises NodeFileError: when the file is not complete.
        """
        for _ in self._lines():
            pass
        assert self.summary is not None
        return self.summary

    def __iter__(self) -> Iterator[ImportedNode]:
        for number, line in self._lines():
            yield self._node(number, line)

    def _lines(self) -> Iterator[Any]:
        """Give number and text of the lines of nodes, and check all others."""
        nodes, before = 0, hashlib.sha256()
        for number, line in enumerate(self._split(), 1):
            if self.summary is not None:
                raise NodeFileError(f"{self._name}: line {number} stands after the end")
            if number == 1:
                self._begin(line)
            elif line.startswith(b'{"end"'):
                self._end(line, nodes, before.hexdigest())
            else:
                nodes += 1
                yield number, line
            before.update(line)
        if self.summary is None:
            raise NodeFileError(
                f"{self._name} is not complete: it ends after {nodes:,} nodes, without the line "
                "that export writes last"
            )

    def _begin(self, line: bytes) -> None:
        header = _object(line)
        if header.get("format") != FORMAT:
            raise NodeFileError(f"{self._name} is no file that sentry-tablestore export wrote")
        if header.get("version") != VERSION:
            raise NodeFileError(
                "{} has version {!r} of the format, and this program knows {}".format(
                    self._name, header.get("version"), VERSION
                )
            )
        self.header = header

    def _end(self, line: bytes, nodes: int, digest: str) -> None:
        end = _object(line)
        if end.get("nodes") != nodes:
            raise NodeFileError(
                "{} was altered: it holds {:,} nodes, its last line says {!r}".format(
                    self._name, nodes, end.get("nodes")
                )
            )
        if end.get("sha256") != digest:
            raise NodeFileError(f"{self._name} was altered: the sha256 of its last line is another")
        self.summary = Summary(nodes, int(end.get("unreadable") or 0))

    def _node(self, number: int, line: bytes) -> ImportedNode:
        fields = _object(line)
        try:
            if "base64" in fields:
                value = base64.b64decode(fields["base64"].encode("ascii"), validate=True)
            else:
                value = fields["value"].encode("utf-8")
            written, expires = fields["written"], fields.get("expires", 0)
            if not isinstance(written, int) or not isinstance(expires, int):
                raise TypeError("written and expires must be whole numbers")
            return ImportedNode(checked_id(fields["id"]), value, written, expires)
        except (KeyError, TypeError, AttributeError, ValueError, binascii.Error) as error:
            raise NodeFileError(
                f"{self._name}: line {number} is no node: {type(error).__name__}: {error}"
            ) from error

    def _split(self) -> Iterator[bytes]:
        """Give the lines with their line breaks; what follows the last break is no line."""
        rest = bytearray()
        for piece in self._decompressed():
            lines = piece.split(b"\n")
            for line in lines[:-1]:
                yield bytes(rest) + line + b"\n"
                del rest[:]
            rest += lines[-1]
            if len(rest) > _MAX_LINE:
                raise NodeFileError(f"{self._name} has a line that is too long for any node")
        if rest and self.summary is not None:
            yield bytes(rest)

    def _decompressed(self) -> Iterator[bytes]:
        """Give the file's content in small pieces, however far a piece of the file expands."""
        piece = self._file.read(_PIECE)
        expand = _as_it_is
        for magic, compression in _MAGIC.items():
            if piece.startswith(magic):
                expand = _ungzipped if compression == "gzip" else _unzstd
        pieces = itertools.chain([piece], iter(lambda: self._file.read(_PIECE), b""))
        try:
            for piece in expand(pieces):
                yield piece
        except (OSError, NodeFileError):
            raise
        except Exception as error:
            raise NodeFileError(f"{self._name} cannot be decompressed: {error}") from error


def compression_of(name: str) -> str:
    """Tell the compression by the end of a file's name."""
    return {".zst": "zstd", ".gz": "gzip"}.get(os.path.splitext(name)[1].lower(), "none")


def _compressor(compression: str) -> Any:
    if compression == "none":
        return None
    if compression == "gzip":
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    module = _zstd()
    if module.__name__ == "zstandard":
        return module.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
    checksum = {
        module.CompressionParameter.compression_level: _ZSTD_LEVEL,
        module.CompressionParameter.checksum_flag: 1,
    }
    return module.ZstdCompressor(options=checksum)


def _as_it_is(pieces: Iterator[bytes]) -> Iterator[bytes]:
    return pieces


def _ungzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(_GZIP_WINDOW)
    for piece in pieces:
        while piece:
            yield decompressor.decompress(piece, _PIECE)
            piece = decompressor.unconsumed_tail
    yield decompressor.flush()


def _unzstd(pieces: Iterator[bytes]) -> Iterator[bytes]:
    module = _zstd()
    if module.__name__ == "zstandard":
        reader = module.ZstdDecompressor().stream_reader(_Pieces(pieces), read_across_frames=True)
        for piece in iter(lambda: reader.read(_PIECE), b""):
            yield piece
        return
    decompressor = module.ZstdDecompressor()
    for piece in pieces:
        yield decompressor.decompress(piece, _PIECE)
        while not decompressor.needs_input and not decompressor.eof:
            yield decompressor.decompress(b"", _PIECE)


class _Pieces:
    """A file of pieces as zstandard reads it, none of which is larger than it asks for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int) -> bytes:
        return next(self._pieces, b"")


def _zstd() -> Any:
    for name in ("zstandard", "compression.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise NodeFileError(
        "this Python has no zstd: install the module zstandard (every Sentry has it), or use gzip "
        "with a name that ends with .gz"
    )


def _object(line: bytes) -> Dict[str, Any]:
    """Give the JSON object of a line; an empty one for anything else, which no check accepts."""
    try:
        found = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
