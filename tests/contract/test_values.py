"""Values of every size, under every compression."""

import random

import pytest
from sentry_tablestore.errors import TablestoreValueTooLargeError

COMPRESSIONS = [None, "zlib", "zstd"]
MIB = 1 << 20


def noise(size, seed=1):
    """Bytes that no compression makes smaller: `randbytes` came with 3.9."""
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "big") if size else b""


@pytest.mark.parametrize("reads", COMPRESSIONS)
@pytest.mark.parametrize("writes", COMPRESSIONS)
def test_every_compression_reads_every_other(make_store, new_id, writes, reads):
    key = new_id()
    values = [b"", b"{}", b'{"a":"%s"}' % (b"b" * 5000), noise(3000)]
    for value in values:
        make_store(compression=writes).set(key, value)
        assert make_store(compression=reads).get(key) == value


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    "size", [0, 1, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5000000], ids="{:,}".format
)
def test_every_size(make_store, new_id, compression, size):
    store = make_store(compression=compression)
    key = new_id()
    value = noise(size)
    store.set(key, value)
    assert store.get(key) == value
    assert dict(store.get_many([key])) == {key: value}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_forty_megabytes(make_store, new_id, compression):
    store = make_store(compression=compression, timeout=60)
    key = new_id()
    value = noise(MIB) * 40
    store.set(key, value)
    assert store.get(key) == value


def test_a_large_value_gives_way_to_a_small_one_and_back(store, new_id):
    key = new_id()
    for size in (3 * MIB, 10, 4 * MIB, 2 * MIB + 1, 0, 3 * MIB):
        value = noise(size, seed=size)
        store.set(key, value)
        assert store.get(key) == value
    store.delete(key)
    assert store.get(key) is None


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_limit_is_64_mib_before_compression(make_store, new_id, compression):
    store = make_store(compression=compression, timeout=60)
    key = new_id()
    store.set(key, b"before")
    too_large = b"x" * (64 * MIB + 1)
    with pytest.raises(TablestoreValueTooLargeError) as caught:
        store.set(key, too_large)
    assert isinstance(caught.value, ValueError)
    # It names its size, the limit and the id.
    text = str(caught.value).replace(",", "")
    assert str(len(too_large)) in text
    assert str(64 * MIB) in text
    assert key in text
    with pytest.raises(TablestoreValueTooLargeError):
        store.set_many({new_id(): b"1", key: too_large})
    assert store.get(key) == b"before"


def test_the_largest_value(make_store, new_id):
    store = make_store(compression="zstd", timeout=60)
    key = new_id()
    value = noise(4 * MIB) * 16
    store.set(key, value)
    assert store.get(key) == value
