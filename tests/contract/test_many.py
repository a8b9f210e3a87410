"""Many values at once: get_many, set_many, delete_many."""

import pytest


def test_only_what_exists_is_given_in_the_order_asked_for(store, new_id):
    keys = [new_id() for _ in range(5)]
    store.set_many([(keys[3], b"3"), (keys[0], b"0"), (keys[4], b"")])
    assert list(store.get_many(keys)) == [(keys[0], b"0"), (keys[3], b"3"), (keys[4], b"")]
    assert list(store.get_many(keys[::-1])) == [(keys[4], b""), (keys[3], b"3"), (keys[0], b"0")]


def test_the_result_is_an_iterator(store, new_id):
    key = new_id()
    store.set(key, b"1")
    pairs = store.get_many([key])
    assert next(pairs) == (key, b"1")
    assert next(pairs, None) is None


def test_duplicates_are_given_once(store, new_id):
    one, other = new_id(), new_id()
    store.set_many({one: b"1", other: b"2"})
    assert list(store.get_many([one, other, one, one])) == [(one, b"1"), (other, b"2")]


def test_nothing_asked_for_is_nothing_sent(make_store):
    nowhere = make_store(end_point="http://127.0.0.1:9", timeout=5)
    assert list(nowhere.get_many([])) == []
    nowhere.set_many({})
    nowhere.set_many([])
    nowhere.delete_many([])


def test_iterables_are_taken(store, new_id):
    keys = [new_id() for _ in range(3)]
    store.set_many((key, b"1") for key in keys)
    assert dict(store.get_many(iter(keys))) == dict.fromkeys(keys, b"1")
    store.delete_many(key for key in keys)
    assert dict(store.get_many(set(keys))) == {}


@pytest.mark.parametrize("count", [1, 99, 100, 101, 200, 201, 777])
def test_any_number_of_values(store, new_id, count):
    # The service takes 100 rows in a read and 200 in a write.
    keys = [new_id() for _ in range(count)]
    store.set_many({key: key.encode("utf-8") for key in keys})
    assert list(store.get_many(keys)) == [(key, key.encode("utf-8")) for key in keys]
    store.delete_many(keys)
    assert list(store.get_many(keys)) == []


def test_values_that_exceed_one_request_together(store, new_id):
    # 4 MiB is the service's limit of a write; 30 values of 500 KB are far above.
    values = {new_id(): bytes([n]) * 500000 for n in range(30)}
    store.set_many(values)
    assert dict(store.get_many(values)) == values


def test_large_and_small_values_together(store, new_id):
    values = {new_id(): bytes([n % 251]) * (3 << 20 if n % 7 == 0 else n) for n in range(20)}
    store.set_many(values)
    assert dict(store.get_many(values)) == values


def test_of_equal_keys_the_last_pair_counts(store, new_id):
    key = new_id()
    store.set_many([(key, b"first"), (key, b"last")])
    assert store.get(key) == b"last"


def test_ten_thousand_deletes(store, new_id):
    # As many as Sentry passes in a call; most of them are not there.
    keys = [new_id() for _ in range(10000)]
    store.set_many({key: b"1" for key in keys[::20]})
    store.delete_many(keys + keys[:50])
    assert list(store.get_many(keys)) == []


def test_one_id_for_a_list_is_refused(store):
    for call in (store.get_many, store.delete_many):
        with pytest.raises(TypeError, match="not one str"):
            call("abc")
