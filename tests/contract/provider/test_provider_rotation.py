"""When a provider of credentials is asked again, and by whom."""

import logging
import threading

import forking
import pytest
from provided import HOUR, NOON, SECRET, Native, key_of
from sentry_tablestore.credentials.rotation import MARGIN, PAUSE, REFUSED_PAUSE
from sentry_tablestore.errors import TablestoreAuthenticationError


class TestWhenItIsAsked:
    def test_once_while_the_credentials_are_good(self, rotation, source, clock):
        first = rotation.current(1)
        clock.now += HOUR / 2 - MARGIN * 0.1 - 1
        assert rotation.current(1) is first
        assert source.calls == 1

    def test_well_before_they_expire(self, rotation, source, clock):
        first = rotation.current(1)
        clock.now = first.expires - MARGIN * 0.9 + 1
        second = rotation.current(1)
        assert key_of(second) == "key-2"
        assert second.expires == clock.now + HOUR

    def test_at_half_of_a_short_life(self, rotation, source, clock):
        source.life = 600
        rotation.current(1)
        clock.now += 260
        rotation.current(1)
        assert source.calls == 1
        clock.now += 80
        rotation.current(1)
        assert source.calls == 2

    def test_often_when_it_tells_no_expiration(self, rotation, source, clock):
        source.life = None
        rotation.current(1)
        clock.now += PAUSE - 1
        rotation.current(1)
        assert source.calls == 1
        clock.now += 1
        rotation.current(1)
        assert source.calls == 2

    def test_not_at_every_call_while_it_gives_the_same(self, rotation, source, clock):
        source.fixed = ("id", SECRET, "", NOON + HOUR)
        rotation.current(1)
        clock.now += HOUR - 600
        for _ in range(10):
            rotation.current(1)
            clock.now += 1
        assert source.calls == 2

    def test_threads_go_on_with_the_old_ones_while_one_asks(self, rotation, source, clock):
        old = rotation.current(1)
        clock.now = old.expires - 60
        asked, go_on = threading.Event(), threading.Event()

        def slow():
            source.calls += 1
            asked.set()
            assert go_on.wait(30)
            return "new", SECRET, "", clock.now + HOUR

        rotation._provider.fetch = slow
        found = []
        thread = threading.Thread(target=lambda: found.append(rotation.current(1)))
        thread.start()
        try:
            assert asked.wait(30)
            assert all(rotation.current(1) is old for _ in range(5))
        finally:
            go_on.set()
            thread.join()
        assert key_of(found[0]) == "new"
        assert rotation.current(1) is found[0]
        assert source.calls == 2

    def test_threads_without_any_wait_for_the_one_that_asks(self, rotation, source, clock):
        go_on = threading.Event()

        def slow():
            source.calls += 1
            assert go_on.wait(30)
            return "new", SECRET

        rotation._provider.fetch = slow
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(rotation.current(30))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        with pytest.raises(TablestoreAuthenticationError, match=r"another thread .* 0\.05 seconds"):
            rotation.current(0.05)
        go_on.set()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(map(id, found))) == 1
        assert source.calls == 1

    def test_a_provider_that_uses_the_store_does_not_hang(self, rotation, clock):
        rotation._provider.fetch = lambda: rotation.current(5)
        with pytest.raises(TablestoreAuthenticationError, match="waits for its credentials"):
            rotation.current(5)


class TestFailures:
    def test_while_the_old_ones_are_good_it_warns_once_and_goes_on(
        self, rotation, source, clock, caplog
    ):
        old = rotation.current(1)
        source.failure = OSError("no route to the key server")
        clock.now = old.expires - 300
        with caplog.at_level(logging.WARNING):
            for _ in range(10):
                assert rotation.current(1) is old
                clock.now += PAUSE / 2
                if clock.now >= old.expires:
                    break
        (record,) = caplog.records
        assert record.name == "sentry_tablestore.kvstore.tablestore"
        assert record.levelno == logging.WARNING
        text = record.getMessage()
        assert "the.provider" in text
        assert "no route to the key server" in text
        # It was tried again, and not at every call.
        assert 2 < source.calls < 12

    def test_once_they_have_expired_it_raises(self, rotation, source, clock):
        old = rotation.current(1)
        source.failure = OSError("no route to the key server")
        clock.now = old.expires
        with pytest.raises(TablestoreAuthenticationError) as caught:
            rotation.current(1)
        text = str(caught.value)
        assert "the.provider" in text
        assert "OSError: no route to the key server" in text
        assert "expired at 2027-01-15T09:00:00Z" in text
        source.failure = None
        clock.now += 5
        assert rotation.current(1).expires == clock.now + HOUR

    def test_without_any_a_failure_is_the_answer_to_those_who_waited_for_it(
        self, rotation, source, clock
    ):
        source.failure = OSError("down")
        for _ in range(5):
            with pytest.raises(TablestoreAuthenticationError, match="down"):
                rotation.current(1)
        assert source.calls == 1
        clock.now += 2
        with pytest.raises(TablestoreAuthenticationError, match="down"):
            rotation.current(1)
        assert source.calls == 2

    def test_an_answer_that_has_expired_is_none(self, rotation, source, clock):
        source.life = -1
        with pytest.raises(TablestoreAuthenticationError, match="have expired at 2027-01-15T07:59"):
            rotation.current(1)

    def test_a_deadline_of_the_caller_goes_through_and_nothing_is_left_locked(
        self, rotation, source
    ):
        class Deadline(BaseException):
            pass

        source.failure = Deadline()
        with pytest.raises(Deadline):
            rotation.current(1)
        source.failure = None
        found = []
        thread = threading.Thread(target=lambda: found.append(rotation.current(1)))
        thread.start()
        thread.join()
        assert found

    def test_a_secret_in_the_text_of_a_failure_is_hidden(self, rotation, source, clock, caplog):
        old = rotation.current(1)
        source.failure = RuntimeError("refused: " + SECRET)
        clock.now = old.expires - 1
        with caplog.at_level(logging.WARNING):
            rotation.current(1)
        assert "refused: <secret>" in caplog.text
        clock.now = old.expires
        with pytest.raises(TablestoreAuthenticationError) as caught:
            rotation.current(1)
        assert SECRET not in caplog.text + str(caught.value)


class TestRefusals:
    """The service says that the key or its token is wrong."""

    def test_new_ones_are_asked_for(self, rotation, source):
        refused = rotation.current(1)
        assert rotation.renew(refused, 1)
        assert key_of(rotation.current(1)) == "key-2"

    def test_not_again_where_another_thread_has_them_already(self, rotation, source):
        refused = rotation.current(1)
        assert rotation.renew(refused, 1)
        assert rotation.renew(refused, 1)
        assert source.calls == 2

    def test_the_same_again_are_not_worth_another_call(self, rotation, source):
        source.fixed = ("id", SECRET)
        assert not rotation.renew(rotation.current(1), 1)

    def test_not_at_every_refusal(self, rotation, source, clock):
        rotation.current(1)
        renewed = [rotation.renew(rotation.current(1), 1) for _ in range(5)]
        assert renewed == [True, False, False, False, False]
        clock.now += REFUSED_PAUSE
        assert rotation.renew(rotation.current(1), 1)

    def test_a_provider_that_fails_then(self, rotation, source, caplog):
        refused = rotation.current(1)
        source.failure = OSError("down")
        with caplog.at_level(logging.WARNING):
            assert not rotation.renew(refused, 1)
        assert "down" in caplog.text
        assert rotation.current(1) is refused


class TestClientsOfTheEngine:
    def test_each_is_given_them_once(self, rotation, source, clock):
        native = Native()
        first = rotation.current(1)
        for _ in range(3):
            assert rotation.hand_to(native, 1) is first
        rotation.hand_to(native, 2)
        assert [handle for handle, *_ in native.given] == [1, 2]
        clock.now = first.expires
        rotation.current(1)
        rotation.hand_to(native, 1)
        assert native.given[-1][:2] == (1, b"key-2")
        rotation.forget(1)
        rotation.hand_to(native, 1)
        assert len(native.given) == 4

    def test_a_thread_that_was_held_up_brings_no_old_ones(self, rotation, source, clock):
        native = Native()
        old = rotation.current(1)
        clock.now = old.expires
        rotation.current(1)
        assert rotation.hand_to(native, 1) is not old
        assert native.given == [(1, b"key-2", SECRET.encode(), b"token")]


class TestForks:
    def test_a_child_begins_with_its_parents(self, rotation, source):
        old = rotation.current(1)

        def child():
            native = Native()
            assert rotation.current(1) is old
            # The engine of a child is another one.
            rotation.hand_to(native, 1)
            return native.given, source.calls

        rotation.hand_to(Native(), 1)
        given, calls = forking.in_child(child)
        assert [handle for handle, *_ in given] == [1]
        assert calls == 1

    def test_a_child_refreshes_for_itself_though_a_thread_of_its_parent_was_at_it(
        self, rotation, source, clock
    ):
        asked, go_on = threading.Event(), threading.Event()

        def slow():
            asked.set()
            go_on.wait(30)
            return "parent", SECRET

        fast = rotation._provider.fetch
        rotation._provider.fetch = slow
        thread = threading.Thread(target=lambda: rotation.current(30))
        thread.start()
        assert asked.wait(30)

        def child():
            rotation._provider.fetch = fast
            mine = key_of(rotation.current(1))
            return mine, forking.in_child(lambda: key_of(rotation.current(1)))

        try:
            assert forking.in_child(child) == ("key-1", "key-1")
        finally:
            go_on.set()
            thread.join()
        assert key_of(rotation.current(1)) == "parent"
