"""No credential is in anything that a person, a log or an error monitor sees."""

import copy
import json
import logging
import os
import pickle
import traceback

import local_server
import metadata_stand_in
import pytest
import sentry_tablestore
from sentry_tablestore import errors, options
from sentry_tablestore.credentials import EcsRamRole
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

PACKAGE = os.path.dirname(sentry_tablestore.__file__)
TOKEN = "tests-only-token-51b2"
WRONG = "tests-only-wrong-secret-0c4e"
SECRETS = (local_server.KEY_SECRET, TOKEN, WRONG)


def shown(error):
    """Everything that is seen of an error, local variables in this package's frames included."""
    parts = [str(error), repr(error), repr(vars(error)), repr(pickle.dumps(error))]
    parts += traceback.format_exception(type(error), error, error.__traceback__)
    seen, queue = set(), [error]
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        queue += [one.__cause__, one.__context__]
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename.startswith(PACKAGE):
                parts.append(repr({name: value for name, value in frame.f_locals.items()}))
    return "\n".join(parts)


def assert_no_secret(text):
    for secret in SECRETS:
        assert secret not in text


@pytest.fixture
def store(make_store):
    return make_store(sts_token=TOKEN)


def test_the_check_itself_sees_a_secret():
    with pytest.raises(AssertionError):
        assert_no_secret(shown(ValueError(WRONG)))


def test_a_store_shows_none(store):
    for text in (
        repr(store),
        str(store),
        repr(store.options),
        repr(store._client),
        repr(vars(store)),
    ):
        assert_no_secret(text)
    assert_no_secret(
        repr(
            {name: vars(value) for name, value in vars(store).items() if hasattr(value, "__dict__")}
        )
    )


def test_a_store_cannot_be_pickled_or_copied(store):
    for thing in (store, store.options, store._client):
        for copying in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="pickled or copied"):
                copying(thing)


def test_no_failure_shows_one(server, make_store, store, new_id, caplog):
    failing = {
        "wrong secret": lambda: make_store(access_key_secret=WRONG).get(new_id()),
        "wrong secret with V4": lambda: make_store(access_key_secret=WRONG, region="r").get(
            new_id()
        ),
        "nothing there": lambda: make_store(end_point="http://127.0.0.1:9", timeout=0.05).get("x"),
        "no table": lambda: make_store(table="not_there", sts_token=TOKEN).get("x"),
    }
    with caplog.at_level(logging.DEBUG):
        store.set(new_id(), b"1")
        list(store.get_many([new_id(), new_id()]))
        for call in failing.values():
            with pytest.raises(errors.TablestoreError) as caught:
                call()
            assert_no_secret(shown(caught.value))
        with server.failing({"code": "OTSServerBusy", "count": 3}):
            store.get(new_id())
        with server.failing(
            {"action": "raw", "status": 200, "body_base64": "/////w==", "count": -1}
        ):
            with pytest.raises(errors.TablestoreError) as caught:
                make_store(sts_token=TOKEN, timeout=0.1).get(new_id())
            assert_no_secret(shown(caught.value))
    assert len(caplog.records) > 10
    assert_no_secret(
        "\n".join(repr(vars(record)) + record.getMessage() for record in caplog.records)
    )


WRONG_OPTIONS = [
    {"timout": 3},
    {"end_point": "https://me:" + WRONG + "@host"},
    {"end_point": "https://host:" + WRONG},
    {"end_point": "https://host/?" + WRONG},
    {"access_key_secret": WRONG + "\n"},
    {"access_key_secret": [WRONG]},
    {"sts_token": TOKEN + " "},
    {"max_connection": 0},
    {"logger_name": 1},
]


@pytest.mark.parametrize("wrong", WRONG_OPTIONS, ids=lambda wrong: next(iter(wrong)))
def test_no_refusal_of_options_shows_one(server, wrong):
    with pytest.raises(errors.TablestoreOptionsError) as caught:
        TablestoreKVStorage("i", "t", server.client_options(**{"sts_token": TOKEN, **wrong}))
    assert_no_secret(shown(caught.value))


class TestAProvider:
    """Credentials that come from one are shown as little as those of the options."""

    def store(self, make_store, provider, **others):
        return make_store(
            credentials_provider=provider, access_key_id=None, access_key_secret=None, **others
        )

    def test_a_store_shows_none(self, make_store, new_id):
        store = self.store(
            make_store, lambda: (local_server.KEY_ID, local_server.KEY_SECRET, TOKEN)
        )
        store.get(new_id())
        rotation = store.options.rotation
        state = rotation._state
        seen = [store, store.options, vars(store.options), rotation, vars(rotation), state]
        seen += [getattr(state, name) for name in type(state).__slots__]
        seen.append(store._client._options.reveal())
        for thing in seen:
            assert_no_secret(repr(thing))
        for copying in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError):
                copying(state.credentials)

    @pytest.mark.parametrize(
        "answer",
        [
            lambda: (local_server.KEY_ID, WRONG, TOKEN),
            lambda: (local_server.KEY_ID, WRONG + "\n", TOKEN),
            lambda: (local_server.KEY_ID, WRONG, TOKEN, 1.0),
            lambda: (local_server.KEY_ID, WRONG, TOKEN, "tomorrow"),
            lambda: local_server.KEY_ID + WRONG,
            lambda: {"access_key_secret": WRONG},
            lambda: (WRONG,),
        ],
        ids=["refused", "line break", "expired", "no time", "text", "no id", "short"],
    )
    def test_no_failure_shows_one(self, make_store, new_id, caplog, answer):
        store = self.store(make_store, answer)
        with caplog.at_level(logging.DEBUG), pytest.raises(
            errors.TablestoreAuthenticationError
        ) as caught:
            store.get(new_id())
        assert_no_secret(shown(caught.value))
        assert_no_secret("\n".join(repr(vars(record)) for record in caplog.records))

    @pytest.mark.parametrize("cut", [False, True])
    def test_the_metadata_services_answer_is_shown_by_no_failure(self, make_store, new_id, cut):
        with metadata_stand_in.serving() as service:
            service.key.update(AccessKeySecret=WRONG, SecurityToken=TOKEN)
            if cut:
                text = json.dumps(service.key)[:-1]
                path = metadata_stand_in.ROLES + service.role
                service.answers[path] = lambda handler: (200, text)
            else:
                del service.key["Expiration"]
            store = self.store(make_store, EcsRamRole(endpoint=service.endpoint))
            with pytest.raises(errors.TablestoreAuthenticationError) as caught:
                store.get(new_id())
        assert_no_secret(shown(caught.value))


def test_the_wrapper_of_a_secret(monkeypatch):
    secret = options.Secret(WRONG)
    for text in (repr(secret), str(secret), f"{secret}", "%s" % secret):
        assert_no_secret(text)
    assert secret.reveal() == WRONG
