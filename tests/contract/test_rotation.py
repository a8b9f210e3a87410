"""Stores whose credentials come from a provider, against a server that checks them."""

import logging
import os
import threading
import time

import forking
import local_server
import metadata_stand_in
import pytest
from sentry_tablestore.credentials import EcsRamRole
from sentry_tablestore.errors import TablestoreAuthenticationError

WRONG = "tests-only-wrong-secret"
REFUSED = {"code": "OTSAuthFailed", "count": 1}


class Source:
    """A provider that counts its calls."""

    def __init__(self, *secrets):
        self.secrets = list(secrets)
        self.calls = 0
        self.failure = None
        self.later = 0

    def clock(self):
        return time.time() + self.later

    def __call__(self):
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        secret = self.secrets.pop(0) if self.secrets else local_server.KEY_SECRET
        return local_server.KEY_ID, secret, "token-%d" % self.calls, self.clock() + 3600


@pytest.fixture
def provided(make_store):
    """Make a store whose credentials come from this provider."""

    def make(provider, **others):
        store = make_store(
            credentials_provider=provider, access_key_id=None, access_key_secret=None, **others
        )
        if isinstance(provider, Source):
            store.options.rotation._clock = provider.clock
        return store

    return make


@pytest.mark.parametrize("region", [None, "cn-hangzhou"])
def test_a_store_with_a_provider(provided, new_id, region):
    source = Source()
    store, key = provided(source, region=region), new_id()
    assert source.calls == 0
    for _ in range(5):
        store.set(key, b"1")
        assert store.get(key) == b"1"
    assert source.calls == 1


def test_new_credentials_are_used_without_a_restart(provided, new_id):
    source = Source()
    store, key = provided(source), new_id()
    store.set(key, b"1")
    # They are due, and the next ones are wrong: that they are refused shows that they are used.
    source.secrets = [WRONG, WRONG]
    source.later = 3500
    with pytest.raises(TablestoreAuthenticationError, match="OTSAuthFailed"):
        store.get(key)
    assert source.calls == 3
    source.later = 7200
    assert store.get(key) == b"1"


def test_a_refused_key_is_asked_for_again_and_the_call_repeated_once(server, provided, new_id):
    source = Source(WRONG)
    told = []
    store, key = provided(source, metrics=lambda *call: told.append(call)), new_id()
    store.set(key, b"1")
    assert store.get(key) == b"1"
    assert source.calls == 2
    (operation, seconds, counts, error), _ = told
    # One call of the user's, and the requests of both attempts.
    assert (operation, counts["requests"], error) == ("set", 2, None)
    assert seconds > 0


def test_a_key_that_stays_refused_is_an_error_and_is_not_asked_for_at_every_call(provided, new_id):
    source = Source(*[WRONG] * 10)
    store = provided(source)
    for _ in range(5):
        with pytest.raises(TablestoreAuthenticationError) as caught:
            store.get(new_id())
        assert caught.value.code == "OTSAuthFailed"
    assert source.calls == 2


@pytest.mark.parametrize(
    "operation", ["get", "get_many", "set", "set_many", "delete", "delete_many"]
)
def test_a_token_that_expires_in_the_midst(server, provided, new_id, operation):
    source = Source()
    store, keys = provided(source), [new_id(), new_id()]
    store.set_many(dict.fromkeys(keys, b"1"))
    calls = {
        "get": lambda: store.get(keys[0]),
        "get_many": lambda: dict(store.get_many(keys)),
        "set": lambda: store.set(keys[0], b"1"),
        "set_many": lambda: store.set_many(dict.fromkeys(keys, b"1")),
        "delete": lambda: store.delete(keys[0]),
        "delete_many": lambda: store.delete_many(keys),
    }
    with server.failing(REFUSED):
        calls[operation]()
    assert source.calls == 2


def test_a_failing_provider_is_named(provided, new_id):
    source = Source()
    source.failure = OSError("no route to the key server")
    with pytest.raises(TablestoreAuthenticationError) as caught:
        provided(source).get(new_id())
    assert "test_rotation.Source" in str(caught.value)
    assert "no route to the key server" in str(caught.value)


def test_a_failed_refresh_with_a_good_key_fails_no_call(provided, new_id, caplog):
    source = Source()
    store, key = provided(source), new_id()
    store.set(key, b"1")
    source.failure = OSError("no route to the key server")
    source.later = 3000
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert store.get(key) == b"1"
    assert len(caplog.records) == 1
    assert "no route to the key server" in caplog.text


def test_providers_do_not_share_a_client(provided, new_id):
    right, wrong = Source(), Source(*[WRONG] * 10)
    key = new_id()
    provided(right).set(key, b"1")
    with pytest.raises(TablestoreAuthenticationError):
        provided(wrong).get(key)
    assert provided(right).get(key) == b"1"
    assert right.calls == 1


def test_stores_of_one_provider_share_one_client(provided, new_id):
    source = Source()
    key = new_id()
    stores = [provided(source) for _ in range(4)]
    threads = [threading.Thread(target=store.set, args=(key, b"1")) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.calls == 1
    stores[0].close()
    assert stores[1].get(key) == b"1"
    assert source.calls == 1


def test_forked_children(provided, new_id):
    source = Source()
    store, key = provided(source), new_id()
    store.set(key, b"1")

    def child():
        assert store.get(key) == b"1"
        before = source.calls
        source.later = 3599
        assert store.get(key) == b"1"
        return before, source.calls, os.getpid()

    assert forking.in_child(child)[:2] == (1, 2)
    assert forking.in_child(child)[:2] == (1, 2)
    assert store.get(key) == b"1"
    assert source.calls == 1


def test_the_ram_role_of_an_instance(provided, new_id):
    with metadata_stand_in.serving() as service:
        service.key["AccessKeyId"] = local_server.KEY_ID
        service.key["AccessKeySecret"] = local_server.KEY_SECRET
        store, key = provided(EcsRamRole(endpoint=service.endpoint)), new_id()
        store.set(key, b"1")
        assert store.get(key) == b"1"
        assert len(service.requests) == 3
        # Due again: the service has gone, and the old key is still good.
    store.options.rotation._clock = lambda: time.time() + 21000
    assert store.get(key) == b"1"
    store.options.rotation._clock = lambda: time.time() + 21700
    with pytest.raises(TablestoreAuthenticationError, match="ConnectionRefused"):
        store.get(key)


def test_how_long_a_call_waits_for_another_thread_that_asks(provided, new_id):
    go_on = threading.Event()

    def slow():
        assert go_on.wait(30)
        return local_server.KEY_ID, local_server.KEY_SECRET

    store = provided(slow, timeout=0.2)
    thread = threading.Thread(target=store.get, args=(new_id(),))
    thread.start()
    try:
        while not store.options.rotation._state.asking:
            pass
        with pytest.raises(TablestoreAuthenticationError, match=r"waited for it for 0\.2 seconds"):
            store.get(new_id())
    finally:
        go_on.set()
        thread.join()


def test_a_new_client_does_not_wait_for_a_provider_while_its_key_is_good(provided, new_id):
    go_on, source = threading.Event(), Source()

    def slow():
        assert source.calls == 0 or go_on.wait(30)
        return source()

    store, key = provided(slow), new_id()
    rotation = store.options.rotation
    rotation._clock = source.clock
    store.set(key, b"1")
    source.later = 3000  # due, and good for ten minutes more
    thread = threading.Thread(target=store.get, args=(key,))
    thread.start()
    try:
        while not rotation._state.asking:
            pass
        began = time.monotonic()
        assert provided(slow, max_connection=7).get(key) == b"1"
        assert time.monotonic() - began < 5
    finally:
        go_on.set()
        thread.join()


def test_a_refused_call_waits_for_another_thread_no_longer_than_its_timeout(
    monkeypatch, server, provided, new_id
):
    store = provided(Source(), timeout=5)
    store.get(new_id())
    waited = []
    monkeypatch.setattr(
        store.options.rotation, "renew", lambda used, patience: waited.append(patience)
    )
    with server.failing(dict(REFUSED, delay_ms=300)), pytest.raises(TablestoreAuthenticationError):
        store.get(new_id())
    assert 0 < waited[0] < 4.8
