"""One value at a time: get, set, delete."""

import pytest
from sentry_tablestore.errors import TablestoreInvalidIDError

LONGEST = 1024  # bytes of UTF-8, the service's limit of a STRING primary key


def test_a_missing_key_is_none(store, new_id):
    assert store.get(new_id()) is None


def test_a_value_is_read_back_as_bytes(store, new_id):
    key = new_id()
    store.set(key, b'{"message":"hello"}')
    assert store.get(key) == b'{"message":"hello"}'
    assert type(store.get(key)) is bytes


def test_a_write_replaces_what_was_there(store, new_id):
    key = new_id()
    store.set(key, b"first")
    store.set(key, b"second")
    assert store.get(key) == b"second"


def test_an_empty_value_is_not_a_missing_one(store, new_id):
    key = new_id()
    store.set(key, b"")
    assert store.get(key) == b""


@pytest.mark.parametrize(
    "value",
    [
        bytes(range(256)) * 3,
        b"\x00",
        b"a\x00b\x00",
        '{"n":"\u4e2d\u6587 \U0001f600"}'.encode(),
        b"\r\n\x85",
    ],
    ids=["every byte", "nul", "inner nuls", "unicode", "line ends"],
)
def test_any_bytes_are_kept(store, new_id, value):
    key = new_id()
    store.set(key, value)
    assert store.get(key) == value


@pytest.mark.parametrize("kind", [bytearray, memoryview], ids=lambda kind: kind.__name__)
def test_other_kinds_of_bytes_are_taken(store, new_id, kind):
    key = new_id()
    store.set(key, kind(b"payload"))
    assert store.get(key) == b"payload"


@pytest.mark.parametrize(
    "suffix",
    ["i-o:deadbeef", "a b", "\u4e2d\u6587", "\U0001f600", "x\x00y", "tab\tnew\nline", "'\"\\%s{}"],
    ids=ascii,
)
def test_ids_are_any_text(store, new_id, suffix):
    key = new_id() + suffix
    store.set(key, b"1")
    assert store.get(key) == b"1"
    assert list(store.get_many([key])) == [(key, b"1")]
    store.delete(key)
    assert store.get(key) is None


def test_ids_that_differ_in_case_or_form_are_different(store, new_id):
    base = new_id()
    keys = [base + end for end in ("e", "E", "\u00e9", "e\u0301", "e ")]
    store.set_many([(key, key.encode("utf-8")) for key in keys])
    assert dict(store.get_many(keys)) == {key: key.encode("utf-8") for key in keys}


@pytest.mark.parametrize(
    "filler", ["x", "\u00e9", "\U0001f600"], ids=["1 byte", "2 bytes", "4 bytes"]
)
def test_the_longest_id_is_1024_bytes(store, new_id, filler):
    key = new_id()
    key = key.ljust(key_length(key, filler), "-")
    width = len(filler.encode("utf-8"))
    longest = key + filler * ((LONGEST - len(key)) // width)
    assert len(longest.encode("utf-8")) == LONGEST
    store.set(longest, b"1")
    assert store.get(longest) == b"1"
    with pytest.raises(TablestoreInvalidIDError, match="1,025"):
        store.set(longest + "x", b"1")


def key_length(key, filler):
    """Give a length, not below the key's, that leaves whole fillers up to the longest id."""
    width = len(filler.encode("utf-8"))
    return len(key) + (LONGEST - len(key)) % width


def test_an_id_of_one_byte(store):
    store.set("x", b"1")
    assert store.get("x") == b"1"


@pytest.mark.parametrize("bad", ["", "x" * (LONGEST + 1), "\ud800", "a\udfffb"], ids=ascii)
def test_what_can_be_no_id_is_refused(store, bad):
    calls = [
        lambda: store.get(bad),
        lambda: store.set(bad, b"1"),
        lambda: store.delete(bad),
        lambda: store.get_many(["fine", bad]),
        lambda: store.set_many({"fine": b"1", bad: b"1"}),
        lambda: store.delete_many(["fine", bad]),
    ]
    for call in calls:
        with pytest.raises(TablestoreInvalidIDError) as caught:
            call()
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("bad", [None, 7, b"id", ["id"]], ids=repr)
def test_an_id_of_another_type_is_refused(store, bad):
    for call in (store.get, store.delete, lambda key: store.set(key, b"1")):
        with pytest.raises(TypeError, match="str"):
            call(bad)


@pytest.mark.parametrize("bad", ["text", None, 7, {"a": 1}], ids=repr)
def test_a_value_of_another_type_is_refused(store, new_id, bad):
    key = new_id()
    with pytest.raises(TypeError, match="bytes"):
        store.set(key, bad)
    with pytest.raises(TypeError, match="bytes"):
        store.set_many({key: bad})
    assert store.get(key) is None


def test_a_deleted_value_is_gone(store, new_id):
    key = new_id()
    store.set(key, b"1")
    store.delete(key)
    assert store.get(key) is None


def test_deleting_a_missing_value_is_fine(store, new_id):
    key = new_id()
    store.delete(key)
    store.delete(key)


def test_a_closed_store_opens_again(make_store, new_id):
    key = new_id()
    store = make_store(max_connection=3)
    store.close()  # nothing is open yet
    store.set(key, b"1")
    store.close()
    store.close()
    assert store.get(key) == b"1"


def test_closing_does_not_break_a_store_with_the_same_options(make_store, new_id):
    key = new_id()
    one, other = make_store(max_connection=5), make_store(max_connection=5)
    one.set(key, b"1")
    assert other.get(key) == b"1"
    one.close()
    assert other.get(key) == b"1"
