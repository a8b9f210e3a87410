"""The warnings of what needs a person: each said once, and not again for some minutes."""

import logging
import threading
from contextlib import ExitStack
from datetime import timedelta

import forking
import pytest
from sentry_tablestore import errors
from sentry_tablestore.attention import INTERVAL, Attention, attention
from sentry_tablestore.symptoms import GAP, SPELL, Symptoms, symptoms

LOGGER = logging.getLogger("sentry_tablestore.kvstore.tablestore")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def warnings(caplog):
    """Give the warnings so far, and forget them."""
    caplog.set_level(logging.WARNING)

    def take():
        taken = [record.getMessage() for record in caplog.records]
        assert all(record.name == LOGGER.name for record in caplog.records)
        assert all(record.levelno == logging.WARNING for record in caplog.records)
        caplog.clear()
        return taken

    return take


class TestAttention:
    @pytest.fixture
    def attention(self, clock):
        return Attention(LOGGER, clock)

    def test_one_kind_is_said_once_in_the_interval(self, attention, clock, warnings):
        for n in range(5):
            attention.warn("kind", "message %d" % n)
        assert warnings() == ["message 0"]
        clock.now += INTERVAL - 1
        attention.warn("kind", "too early")
        assert warnings() == []
        clock.now += 1
        attention.warn("kind", "again")
        attention.warn("kind", "held back")
        assert warnings() == ["again [5 more of this kind since the last warning]"]
        clock.now += INTERVAL
        attention.warn("kind", "later")
        clock.now += INTERVAL
        attention.warn("kind", "much later")
        assert warnings() == [
            "later [1 more of this kind since the last warning]",
            "much later",
        ]

    def test_kinds_are_apart(self, attention, warnings):
        attention.warn("one", "a")
        attention.warn("another", "b")
        assert warnings() == ["a", "b"]

    def test_a_message_is_no_format(self, attention, warnings):
        attention.warn("kind", "100 %s of %(them)d")
        assert warnings() == ["100 %s of %(them)d"]

    def test_threads(self, attention, warnings):
        threads = [
            threading.Thread(target=lambda: [attention.warn("kind", "a") for _ in range(100)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(warnings()) == 1
        attention.clock.now += INTERVAL
        attention.warn("kind", "b")
        assert warnings() == ["b [799 more of this kind since the last warning]"]

    def test_a_forked_child_says_it_for_itself(self, attention, warnings):
        attention.warn("kind", "a")
        state = next(iter(attention._states.values()))

        def child():
            attention.warn("kind", "in the child")
            attention.warn("kind", "in the child")
            return warnings()

        # A thread of the parent holds the lock at the fork.
        with state.lock:
            assert forking.in_child(child) == ["a", "in the child"]


class TestThrottling:
    @pytest.fixture
    def throttled(self, clock):
        seen = Symptoms(Attention(LOGGER, clock), clock)
        return lambda requests=1: seen.counted((5, 0, requests, 0, 0, 0, 0, 0, 0))

    def test_some_is_no_matter(self, throttled, clock, warnings):
        for _ in range(100):
            throttled()
            clock.now += SPELL / 101
        assert warnings() == []

    def test_when_it_goes_on_it_is_said(self, throttled, clock, warnings):
        throttled(3)
        while clock.now < 1000 + SPELL:
            clock.now += GAP
            throttled(3)
        (warning,) = warnings()
        assert "for 60 seconds: 12 requests" in warning
        assert "capacity" in warning

    def test_spells_with_a_gap_are_apart(self, throttled, clock, warnings):
        for _ in range(10):
            throttled()
            clock.now += GAP + 1
        assert warnings() == []

    def test_calls_without_any_are_no_matter(self, throttled, clock, warnings):
        for _ in range(10):
            throttled(0)
            clock.now += GAP
        assert warnings() == []


class TestCalls:
    """What calls of a store warn of."""

    @pytest.fixture(autouse=True)
    def _clock(self, clock, monkeypatch):
        monkeypatch.setattr(attention, "clock", clock)
        monkeypatch.setattr(symptoms, "clock", clock)

    @pytest.mark.parametrize(
        ("rule", "options", "told"),
        [
            ({"code": "OTSNoPermissionAccess"}, {}, "may not do them"),
            ({"code": "OTSAuthFailed"}, {}, "the access key is refused"),
            ({"code": "OTSNotEnoughCapacityUnit"}, {}, "keeps throttling"),
            ({"code": "OTSServerUnavailable"}, {}, "the service keeps failing"),
            ({"action": "delay", "delay_ms": 1000}, {}, "run into their deadline"),
            (None, {"table": "not_there"}, "the table does not exist"),
            (None, {"end_point": "http://127.0.0.1:9"}, "cannot be reached"),
        ],
    )
    def test_failures_that_need_a_person(
        self, server, make_store, clock, warnings, rule, options, told
    ):
        store = make_store(**dict({"timeout": 0.4}, **options))
        failing = ExitStack() if rule is None else server.failing(dict(rule, count=-1))
        with failing:
            for _ in range(3):
                with pytest.raises(errors.TablestoreError) as caught:
                    store.get("a")
            (warning,) = warnings()
            assert told in warning
            assert caught.value.advice in warning
            assert store.table_name in warning
            clock.now += INTERVAL
            with pytest.raises(errors.TablestoreError):
                store.get("a")
        (warning,) = warnings()
        assert "[2 more of this kind" in warning

    def test_a_clock_that_is_wrong_is_told_as_that(self, warnings):
        # As the service puts it: a server of these tests may have a clock of any time.
        text = "Mismatch between system time and x-ots-date: 2026-11-23T00:00:00.000Z."
        symptoms.failed(errors.TablestoreAuthenticationError(text, code="OTSAuthFailed"))
        (warning,) = warnings()
        assert "clock is wrong" in warning

    def test_a_batch_that_failed_for_several_reasons(self, warnings):
        symptoms.failed(errors.TablestorePartialError("2 of 150 nodes failed"))
        (warning,) = warnings()
        assert warning.startswith("Calls fail for some of their nodes. 2 of 150 nodes failed.")

    def test_an_exception_that_has_no_words_of_its_own_has_those_of_its_base(self, warnings):
        class Novel(errors.TablestoreThrottledError):
            pass

        symptoms.failed(Novel("x"))
        (warning,) = warnings()
        assert "keeps throttling" in warning

    @pytest.mark.parametrize(
        "cls", [errors.TablestoreCorruptRowError, errors.TablestoreClosedError]
    )
    def test_failures_that_concern_one_call_only_are_not_said(self, warnings, cls):
        symptoms.failed(cls("x"))
        assert warnings() == []

    def test_a_ttl_that_is_capped(self, make_store, new_id, warnings):
        store = make_store(default_ttl=timedelta(days=1), max_connection=11)
        for _ in range(3):
            store.set(new_id(), b"1", ttl=timedelta(days=2))
        (warning,) = warnings()
        assert "capped" in warning

    def test_success_warns_of_nothing(self, make_store, new_id, warnings):
        store = make_store()
        store.set(new_id(), b"1")
        store.get(new_id())
        assert warnings() == []
