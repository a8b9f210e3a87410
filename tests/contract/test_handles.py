"""Every result that the engine hands out is given back, and every call that was given up ends."""

import signal
import time

import pytest
from sentry_tablestore import errors, loader


class GivenUp(BaseException):
    """Raised by a signal handler."""


def outstanding():
    return loader.process().native.outstanding()


def settled():
    """Wait, for a few seconds at most, until no call is pending or unreleased."""
    deadline = time.monotonic() + 5
    while outstanding() and time.monotonic() < deadline:
        pass
    return outstanding() == 0


def test_calls_leave_nothing_behind(make_store, server, new_id):
    store = make_store(compression="zstd")
    ids = [new_id() for _ in range(3)]
    before = outstanding()
    for _ in range(20):
        store.set_many({id: b"x" * 5000 for id in ids})
        assert store.get(ids[0]) == b"x" * 5000
        assert len(list(store.get_many([*ids, new_id()]))) == 3
        store.delete(ids[0])
        store.delete_many(ids)
        with pytest.raises(errors.TablestoreValueTooLargeError):
            store.set(ids[0], bytes((64 << 20) + 1))
    assert outstanding() == before


def test_calls_that_were_given_up_end(make_store, server, new_id):
    store = make_store(timeout=1)

    def ring(number, frame):
        raise GivenUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with server.failing({"action": "delay", "delay_ms": 10000, "count": -1}):
            for _ in range(5):
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                with pytest.raises(GivenUp):
                    store.get(new_id())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert settled()
