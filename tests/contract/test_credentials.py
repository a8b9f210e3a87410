"""Credentials that change: what a provider may answer, and when it is asked again."""

import logging
import threading
from datetime import datetime, timedelta, timezone, tzinfo

import forking
import pytest
from sentry_tablestore.credentials import Credentials, Rotation, provider_of, rotation_of
from sentry_tablestore.credentials.answer import of_answer
from sentry_tablestore.credentials.provider import Provider
from sentry_tablestore.credentials.rotation import MARGIN, PAUSE, REFUSED_PAUSE
from sentry_tablestore.errors import TablestoreAuthenticationError, TablestoreOptionsError

NOON = 1800000000.0  # 2027-01-15T08:00:00Z
HOUR = 3600.0
SECRET = "tests-only-provided-secret"


class Clock:
    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


class Native:
    """The part of the engine that takes credentials."""

    def __init__(self):
        self.given = []

    def set_credentials(self, handle, id, secret, token):
        self.given.append((handle, id, secret, token))
        return 0, None, None, ()


class Source:
    """A provider whose answers a test sets.

    :ivar life: Seconds until what it gives expires; None: it tells no expiration.
    """

    def __init__(self, clock, life=HOUR):
        self.clock = clock
        self.life = life
        self.calls = 0
        self.failure = None
        self.fixed = None

    def __call__(self):
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        if self.fixed is not None:
            return self.fixed
        key = "key-%d" % self.calls
        if self.life is None:
            return key, SECRET, "token"
        return key, SECRET, "token", self.clock() + self.life


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source(clock):
    return Source(clock)


@pytest.fixture
def rotation(source, clock):
    return Rotation(Provider("the.provider", "key", source), 1, clock)


def key_of(credentials):
    native = Native()
    credentials.give_to(native, 1)
    return native.given[0][1].decode()


class Deadline(BaseException):
    """As that of a task of Sentry's, which a signal raises."""


class Raising:
    """An answer that has a secret and raises when it is asked for the token."""

    access_key_id = "id"

    def __init__(self, failure):
        self.access_key_secret = SECRET
        self.failure = failure

    @property
    def security_token(self):
        raise self.failure


class Listed(dict):
    """An answer whose keys raise."""

    def get(self, name, default=None):
        raise KeyError(SECRET)


class Zone(tzinfo):
    def utcoffset(self, moment):
        raise OSError("no file of zones")


HOURS = timedelta(hours=1)


class TestAnswers:
    class Attributes:
        access_key_id = "id"
        access_key_secret = SECRET
        security_token = "token"
        expiration = "2027-01-15T08:00:00Z"

    class Getters:
        """As the SDK for Tablestore has them."""

        def get_access_key_id(self):
            return "id"

        def get_access_key_secret(self):
            return SECRET

        def get_security_token(self):
            return "token"

    @pytest.mark.parametrize(
        ("answer", "expires"),
        [
            (("id", SECRET, "token", NOON), NOON),
            (["id", SECRET, "token", None], None),
            (("id", SECRET, "token"), None),
            (
                {
                    "access_key_id": "id",
                    "access_key_secret": SECRET,
                    "security_token": "token",
                    "expiration": int(NOON),
                },
                NOON,
            ),
            ({"access_key_id": "id", "access_key_secret": SECRET, "sts_token": "token"}, None),
            (
                {
                    "AccessKeyId": "id",
                    "AccessKeySecret": SECRET,
                    "SecurityToken": "token",
                    "Expiration": "2027-01-15T08:00:00Z",
                },
                NOON,
            ),
            (Attributes(), NOON),
            (Getters(), None),
        ],
    )
    def test_forms(self, answer, expires):
        made = of_answer(answer)
        assert isinstance(made, Credentials), made
        native = Native()
        made.give_to(native, 7)
        assert native.given == [(7, b"id", SECRET.encode(), b"token")]
        assert made.expires == expires

    @pytest.mark.parametrize("token", [None, ""])
    def test_no_token(self, token):
        native = Native()
        of_answer(("id", SECRET, token)).give_to(native, 1)
        of_answer(("id", SECRET)).give_to(native, 1)
        assert native.given == [(1, b"id", SECRET.encode(), b"")] * 2

    @pytest.mark.parametrize(
        "expiration",
        [
            NOON,
            int(NOON),
            NOON * 1000,
            datetime(2027, 1, 15, 8, tzinfo=timezone.utc),
            datetime(2027, 1, 15, 16, tzinfo=timezone(timedelta(hours=8))),
            datetime(2027, 1, 15, 8),
            "2027-01-15T08:00:00Z",
            "2027-01-15T08:00Z",
            "2027-01-15T08:00:00.000Z",
            "2027-01-15 08:00:00",
            "2027-01-15T16:00:00+08:00",
            "2027-01-15T03:00:00-0500",
        ],
    )
    def test_expirations(self, expiration):
        assert of_answer(("id", SECRET, "", expiration)).expires == NOON

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (None, "NoneType"),
            ("id:" + SECRET, "answered with str"),
            (("id",), "1 items"),
            (("id", SECRET, "", NOON, 5), "5 items"),
            (("id", ""), "no access_key_secret"),
            (("id", SECRET + "\n"), "line break"),
            (("id", SECRET.encode()), "must be a str, not bytes"),
            ({"access_key_id": "id"}, "no access_key_secret"),
            (object(), "no access_key_id"),
            (("id", SECRET, "", "tomorrow"), "ISO 8601"),
            (("id", SECRET, "", "2027-13-01T00:00:00Z"), "no time"),
            (("id", SECRET, "", True), "not bool"),
            (("id", SECRET, "", float("nan")), "seconds since 1970"),
            (("id", SECRET, "", [NOON]), "not list"),
            (Raising(RuntimeError("token " + SECRET)), "cannot be read: RuntimeError"),
            (Listed(), "cannot be read: KeyError"),
            (("id", SECRET, "", datetime(2027, 1, 1, tzinfo=Zone())), "cannot be read: OSError"),
        ],
    )
    def test_what_is_none_is_told_without_the_secret(self, answer, told):
        problem = of_answer(answer)
        assert isinstance(problem, str)
        assert told in problem
        assert SECRET not in problem

    @pytest.mark.parametrize(
        ("expiration", "kept"),
        [
            ("9999-12-31T23:59:59-01:00", "at 5138-11-16T09:46:40Z"),
            (datetime(9999, 12, 31, 23, tzinfo=timezone(-HOURS)), "at 5138-11-16T09:46:40Z"),
            ("0001-01-01T00:00:00+01:00", "at 1970-01-01T00:00:00Z"),
            (datetime(1, 1, 1, tzinfo=timezone(HOURS)), "at 1970-01-01T00:00:00Z"),
        ],
    )
    def test_expirations_that_no_datetime_holds(self, expiration, kept):
        made = of_answer(("id", SECRET, "", expiration))
        assert repr(made) == f"<Credentials that expire {kept}>"

    @pytest.mark.parametrize("failure", [RuntimeError("sealed"), Deadline()])
    def test_what_its_answer_raises_shows_no_frame_with_it(self, failure):
        provider = Provider("a provider", "raising", lambda: Raising(failure))
        with pytest.raises((TablestoreAuthenticationError, Deadline)) as caught:
            Rotation(provider, 1).current(1)
        error = caught.value
        assert error.__cause__ is error.__context__ is None
        step = error.__traceback__
        while step is not None:
            frame = step.tb_frame
            if "/credentials/" in frame.f_code.co_filename:
                held = frame.f_locals.values()
                assert not any(isinstance(one, Raising) for one in held), frame.f_code.co_name
                assert SECRET not in repr(list(held)), frame.f_code.co_name
            step = step.tb_next


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


class AnSdksProvider:
    def get_credentials(self):
        return TestAnswers.Getters()


class AnSdksClient:
    """As `alibabacloud_credentials` has it."""

    def get_credential(self):
        return TestAnswers.Attributes()


def a_function():
    return "id", SECRET


an_object = AnSdksProvider()
neither = object()


class TestTheOption:
    @pytest.mark.parametrize(
        "given",
        [a_function, an_object, AnSdksProvider, AnSdksClient, AnSdksClient().get_credential],
    )
    def test_what_it_may_be(self, given):
        provider = provider_of(given)
        assert isinstance(of_answer(provider.fetch()), Credentials)
        assert "test_credentials." in provider.name

    @pytest.mark.parametrize("name", ["a_function", "an_object", "AnSdksProvider"])
    def test_a_dotted_path(self, name, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "some_providers", __import__(__name__))
        path = "some_providers." + name
        provider = provider_of(path)
        assert provider.name == path
        assert isinstance(of_answer(provider.fetch()), Credentials)
        assert rotation_of(provider) is rotation_of(provider_of(path))

    def test_the_ram_role(self):
        assert provider_of("ecs_ram_role").fetch.role == ""
        assert provider_of("ecs_ram_role:Nodes").fetch.role == "Nodes"
        assert provider_of("sentry_tablestore.credentials.ecs_ram_role").fetch.role == ""

    @pytest.mark.parametrize(
        ("given", "match"),
        [
            ("ecs_ram_role:", "RAM role's name"),
            ("ecs_ram_role:a/b", "RAM role's name"),
            ("ecs", "dotted path"),
            ("", "dotted path"),
            ("no_such_module.name", "cannot be imported: ModuleNotFoundError"),
            ("os.no_such_name", "os has no no_such_name"),
            ("os.sep", "neither callable"),
            (7, "neither callable"),
            (neither, "neither callable"),
        ],
    )
    def test_what_it_may_not_be(self, given, match):
        with pytest.raises(TablestoreOptionsError, match=match):
            provider_of(given)

    def test_one_provider_has_one_rotation_in_all_threads(self):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(rotation_of(provider_of(an_object))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, found))) == 1
        assert rotation_of(provider_of(a_function)) is not found[0]
