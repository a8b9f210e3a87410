"""Rows of the published package's format, both ways: written and read by the official SDK."""

import zlib
from datetime import timedelta

import pytest
from sentry_tablestore.errors import TablestoreCorruptRowError
from tablestore_sdk import binary, data_of, string

PAYLOAD = b'{"event_id":"%s"}' % (b"0123456789abcdef" * 200)
ZLIB, ZSTD, SPLIT = 1, 2, 4


class TestItsRowsAreRead:
    """As the published package 1.0.0b2 writes them."""

    def read(self, sdk, store, new_id, columns):
        key = new_id()
        sdk.put(store.table_name, key, columns)
        value = store.get(key)
        assert list(store.get_many([key])) == ([] if value is None else [(key, value)])
        return value

    def test_uncompressed_is_a_string_without_flags(self, sdk, store, new_id):
        assert self.read(sdk, store, new_id, {"data": string(PAYLOAD)}) == PAYLOAD

    def test_zlib(self, sdk, store, new_id):
        columns = {"data": binary(zlib.compress(PAYLOAD)), "flags": ZLIB}
        assert self.read(sdk, store, new_id, columns) == PAYLOAD

    def test_zstd(self, sdk, store, new_id):
        compressed = sdk.compress_zstd(binary(PAYLOAD))
        assert self.read(sdk, store, new_id, {"data": compressed, "flags": ZSTD}) == PAYLOAD

    def test_uncompressed_binary(self, sdk, store, new_id):
        assert self.read(sdk, store, new_id, {"data": binary(PAYLOAD)}) == PAYLOAD
        assert self.read(sdk, store, new_id, {"data": binary(PAYLOAD), "flags": 0}) == PAYLOAD

    def test_unicode_in_a_string(self, sdk, store, new_id):
        text = "\u4e2d\u6587 \U0001f600".encode()
        assert self.read(sdk, store, new_id, {"data": string(text)}) == text

    def test_it_is_overwritten_and_deleted(self, sdk, store, new_id):
        key = new_id()
        sdk.put(store.table_name, key, {"data": string(PAYLOAD), "another": 1})
        store.set(key, b"new")
        assert set(sdk.get(store.table_name, key)) == {"data", "flags"}
        store.delete(key)
        assert not sdk.get(store.table_name, key)


class TestRowsFromHereAreRead:
    """With the SDK, and plain zlib and zstandard."""

    def written(self, sdk, store, new_id, value, ttl=None):
        key = new_id()
        store.set(key, value, ttl)
        return sdk.get(store.table_name, key)

    @pytest.mark.parametrize(
        "value", [PAYLOAD, b"", bytes(range(256))], ids=["json", "empty", "binary"]
    )
    def test_uncompressed(self, sdk, store, new_id, value):
        columns = self.written(sdk, store, new_id, value)
        assert columns == {"data": binary(value), "flags": 0}

    def test_zlib(self, sdk, make_store, new_id):
        columns = self.written(sdk, make_store(compression="zlib"), new_id, PAYLOAD)
        assert set(columns) == {"data", "flags"}
        assert columns["flags"] == ZLIB
        assert columns["data"]["type"] == "BINARY"
        assert zlib.decompress(data_of(columns["data"])) == PAYLOAD

    def test_zstd(self, sdk, make_store, new_id):
        columns = self.written(sdk, make_store(compression="zstd"), new_id, PAYLOAD)
        assert columns["flags"] == ZSTD
        assert sdk.decompress_zstd(columns["data"]) == {
            "data": binary(PAYLOAD),
            "content_size": len(PAYLOAD),
            "has_checksum": True,
        }

    def test_many(self, sdk, make_store, new_id):
        store = make_store(compression="zlib")
        values = {new_id(): PAYLOAD + bytes([n]) for n in range(5)}
        store.set_many(values)
        for key, value in values.items():
            assert zlib.decompress(data_of(sdk.get(store.table_name, key)["data"])) == value

    def test_a_ttl_is_one_more_column(self, sdk, store, new_id):
        columns = self.written(sdk, store, new_id, PAYLOAD, timedelta(days=14))
        assert set(columns) == {"data", "flags", "expires"}
        assert columns["data"] == binary(PAYLOAD)

    def test_a_large_value_has_its_parts_in_the_same_row(self, sdk, store, new_id):
        key = new_id()
        store.set(key, b"x" * 5000000)
        columns = sdk.get(store.table_name, key)
        assert columns["flags"] == SPLIT
        parts = [value for value in columns.values() if isinstance(value, dict)]
        assert sum(len(data_of(part)) for part in parts) >= 5000000
        # No column over the service's 2 MiB.
        assert max(len(data_of(part)) for part in parts) <= 2 << 20
        # And nothing stays of them under a smaller value.
        store.set(key, b"small")
        assert set(sdk.get(store.table_name, key)) == {"data", "flags"}
        store.set(key, b"x" * 5000000)
        store.delete(key)
        assert not sdk.get(store.table_name, key)


BOMB = zlib.compress(bytes(100 << 20), 9)

CORRUPT = {
    "zlib that is none": {"data": binary(b"garbage"), "flags": ZLIB},
    "zlib cut off": {"data": binary(zlib.compress(PAYLOAD)[:-5]), "flags": ZLIB},
    "zlib with a changed bit": {"data": binary(zlib.compress(PAYLOAD)[:-1] + b"?"), "flags": ZLIB},
    "zstd that is none": {"data": binary(b"garbage"), "flags": ZSTD},
    "empty zstd": {"data": binary(b""), "flags": ZSTD},
    "zstd cut off": {"data": binary(b"\x28\xb5\x2f\xfd\x04\x00"), "flags": ZSTD},
    "both compressions": {"data": binary(zlib.compress(PAYLOAD)), "flags": ZLIB | ZSTD},
    "flags of the future": {"data": binary(PAYLOAD), "flags": 64},
    "negative flags": {"data": binary(PAYLOAD), "flags": -1},
    "flags of another type": {"data": binary(PAYLOAD), "flags": "1"},
    "data of another type": {"data": 7, "flags": 0},
    "no data": {"flags": 1},
    "split without parts": {"flags": SPLIT},
    "a bomb": {"data": binary(BOMB), "flags": ZLIB},
}


@pytest.mark.parametrize("columns", CORRUPT.values(), ids=CORRUPT)
def test_a_row_that_cannot_be_decoded_is_an_exception_and_never_none(sdk, store, new_id, columns):
    key, fine = new_id(), new_id()
    sdk.put(store.table_name, key, columns)
    store.set(fine, b"1")
    for call in (lambda: store.get(key), lambda: store.get_many([fine, key])):
        with pytest.raises(TablestoreCorruptRowError) as caught:
            call()
        assert key in caught.value.ids
        assert key in str(caught.value)
        assert store.table_name in str(caught.value)
    # A write mends it.
    store.set(key, b"2")
    assert store.get(key) == b"2"
