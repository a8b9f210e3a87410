"""The file that nodes are exported to: what is written is read back, and damage is noticed."""

import gzip
import io
import json
import os
import random
import tracemalloc

import pytest
from sentry_tablestore.kvstore.imported import ImportedNode
from sentry_tablestore.migration import node_file
from sentry_tablestore.migration.node_file import NodeFileError, Reader, Summary, Writer

NODES = [
    ImportedNode("a", b'{"message":"\\u2603 \\"quoted\\""}\nunprocessed\n{}', 1763900000000),
    ImportedNode("b\u2603\n", "\u2603 \U0001f600 \x00\x7f\u2028".encode(), 1, 1766500000000),
    ImportedNode("c", b"\x80\x02}q\x00.", 1763900000001),
    ImportedNode("d", b"", 1763900000002),
    ImportedNode("e", os.urandom(300000), 1763900000003),
    ImportedNode("f", b"x" * 300000, 1763900000004),
]


def has_zstd():
    try:
        node_file._zstd()
    except NodeFileError:
        return False
    return True


@pytest.fixture(
    params=[
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                name == "zstd" and not has_zstd(), reason="this Python has no zstd"
            ),
        )
        for name in node_file.COMPRESSIONS
    ]
)
def compression(request):
    return request.param


def written(nodes=NODES, compression="none", unreadable=0):
    file = io.BytesIO()
    writer = Writer(file, compression, {"table": "nodes"})
    for node in nodes:
        writer.write(node)
    writer.finish(unreadable)
    return file.getvalue()


def read(data):
    reader = Reader(io.BytesIO(data), "nodes.jsonl")
    return list(reader), reader


def refused(data, match):
    for use in (list, Reader.check):
        with pytest.raises(NodeFileError, match=match) as caught:
            use(Reader(io.BytesIO(data), "nodes.jsonl"))
        assert str(caught.value).startswith("nodes.jsonl")


@pytest.mark.parametrize("count", [0, 1, len(NODES)])
def test_what_is_written_is_read_back(compression, count):
    data = written(NODES[:count], compression, unreadable=3)
    nodes, reader = read(data)
    assert nodes == NODES[:count]
    assert reader.summary == Summary(nodes=count, unreadable=3)
    assert reader.header["table"] == "nodes"
    assert Reader(io.BytesIO(data), "").check() == reader.summary


def test_lines_are_plain_json():
    first, *nodes, last = written().decode("ascii").splitlines()
    assert json.loads(first) == {
        "format": "sentry-tablestore nodes",
        "version": 1,
        "table": "nodes",
    }
    assert json.loads(nodes[0]) == {
        "id": "a",
        "written": 1763900000000,
        "value": NODES[0].value.decode("ascii"),
    }
    assert json.loads(nodes[1])["expires"] == 1766500000000
    assert json.loads(nodes[2]) == {"id": "c", "written": 1763900000001, "base64": "gAJ9cQAu"}
    assert json.loads(last)["nodes"] == len(NODES)


def test_other_programs_read_the_compressed_file():
    assert gzip.decompress(written(compression="gzip")) == written()


def test_every_cut_is_noticed(compression):
    data = written(NODES[:4], compression)
    for size in range(len(data)):
        reader = Reader(io.BytesIO(data[:size]), "nodes.jsonl")
        try:
            nodes = list(reader)
        except NodeFileError:
            continue
        # What is missing are bytes of the compression that follow the last line.
        assert nodes == NODES[:4]
        assert compression != "none"


def test_a_cut_says_how_far_it_goes():
    lines = written().splitlines(True)
    refused(b"".join(lines[:4]), r"not complete: it ends after 3 nodes")
    refused(b"", "not complete: it ends after 0 nodes")


def test_every_changed_byte_before_the_last_line_is_noticed():
    data = written(NODES[:3])
    chance = random.Random(7)
    for place in range(data.index(b'{"end"')):
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        with pytest.raises(NodeFileError):
            Reader(io.BytesIO(bytes(changed)), "nodes.jsonl").check()


def test_a_missing_a_doubled_and_an_exchanged_line():
    first, one, two, *_, last = written(NODES[:2]).splitlines(True)
    refused(first + one + last, "it holds 1 nodes, its last line says 2")
    refused(first + one + one + last, "the sha256 of its last line is another")
    refused(first + two + one + last, "the sha256 of its last line is another")


def test_what_comes_after_the_end():
    data = written(NODES[:1])
    refused(data + data, "line 4 stands after the end")
    refused(data + b"x", "line 4 stands after the end")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"[" * 100000 + b"\n", "no file that sentry-tablestore export wrote"),
        (b"[]\n", "no file that sentry-tablestore export wrote"),
        (b'{"id":"a","value":"b","written":1}\n', "no file that sentry-tablestore export wrote"),
        (b"\xff\xfe\n", "no file that sentry-tablestore export wrote"),
        (b'{"format":"sentry-tablestore nodes","version":2}\n', "version 2 of the format"),
        (b"\x1f\x8bnonsense", "cannot be decompressed"),
    ],
)
def test_other_files(data, match):
    refused(data, match)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"{}\n",
        b"\n",
        b'{"id":"a","written":1}\n',
        b'{"id":"a","value":"b"}\n',
        b'{"id":"","value":"b","written":1}\n',
        b'{"id":7,"value":"b","written":1}\n',
        b'{"id":"a","value":7,"written":1}\n',
        b'{"id":"a","value":"\\ud800","written":1}\n',
        b'{"id":"a","base64":"!","written":1}\n',
        b'{"id":"a","value":"b","written":"1"}\n',
    ],
)
def test_a_line_that_is_no_node_is_named(line):
    data = written(NODES[:1]).splitlines(True)
    with pytest.raises(NodeFileError, match=r"nodes\.jsonl: line 3 is no node"):
        list(Reader(io.BytesIO(data[0] + data[1] + line), "nodes.jsonl"))


def test_a_line_without_an_end(monkeypatch):
    monkeypatch.setattr(node_file, "_MAX_LINE", 100000)
    refused(written([]).splitlines(True)[0] + b"x" * 200000, "too long for any node")


def test_without_zstd_the_error_says_what_to_do(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(node_file.importlib, "import_module", missing)
    with pytest.raises(NodeFileError, match=r"install the module zstandard .* or use gzip"):
        written(compression="zstd")
    with pytest.raises(NodeFileError, match="this Python has no zstd"):
        read(b"\x28\xb5\x2f\xfd rest")


@pytest.mark.parametrize(
    ("name", "compression"),
    [
        ("a.zst", "zstd"),
        ("a.jsonl.ZST", "zstd"),
        ("b.gz", "gzip"),
        ("c.jsonl", "none"),
        ("-", "none"),
    ],
)
def test_the_name_says_the_compression(name, compression):
    assert node_file.compression_of(name) == compression


def bomb(compression, size):
    """Make a file of a line that is so long, compressed."""
    header = written([]).splitlines(True)[0]
    if compression == "gzip":
        return gzip.compress(header + b"x" * size)
    module = pytest.importorskip("zstandard")
    compressor = module.ZstdCompressor().compressobj()
    pieces = [compressor.compress(header)]
    pieces += [compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join(pieces + [compressor.flush()])


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_costs_no_more_memory_than_a_line_may(kind, monkeypatch):
    size = 256 << 20
    data = bomb(kind, size)
    assert len(data) < size / 900
    monkeypatch.setattr(node_file, "_MAX_LINE", 8 << 20)
    tracemalloc.start()
    try:
        refused(data, "too long for any node")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20
