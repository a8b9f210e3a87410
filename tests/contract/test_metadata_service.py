"""The RAM role of an ECS instance, asked of a stand-in of its metadata service."""

import socket
import threading
import time

import metadata_stand_in
import pytest
from metadata_stand_in import ROLES
from sentry_tablestore.credentials import EcsRamRole
from sentry_tablestore.credentials.metadata_service import (
    DISABLED_VARIABLE,
    ROLE_VARIABLE,
    MetadataError,
)

TOKEN = "/latest/api/token"


@pytest.fixture(autouse=True)
def _no_role_in_the_environment(monkeypatch):
    for name in (DISABLED_VARIABLE, ROLE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service():
    with metadata_stand_in.serving() as serving:
        yield serving


def ask(service, role="", timeout=5.0):
    return EcsRamRole(role, endpoint=service.endpoint, timeout=timeout)()


def refusal(service, **others):
    with pytest.raises(MetadataError) as caught:
        ask(service, **others)
    for part in ("AccessKeySecret", "SecurityToken"):
        assert service.key.get(part, "?") not in str(caught.value)
    return str(caught.value)


def test_the_role_is_discovered(service):
    key = ask(service)
    assert key == {
        "access_key_id": "STS.tests-only-id",
        "access_key_secret": "tests-only-role-secret",
        "security_token": "tests-only-role-token",
        "expiration": service.key["Expiration"],
    }
    assert service.requests == [
        ("PUT", TOKEN, "60"),
        ("GET", ROLES, "metadata-token"),
        ("GET", ROLES + "SentryNodes", "metadata-token"),
    ]


def test_a_role_that_is_given_is_not_discovered(service, monkeypatch):
    monkeypatch.setenv(ROLE_VARIABLE, "another")
    assert ask(service, role="SentryNodes")["access_key_id"] == "STS.tests-only-id"
    assert [path for _, path, _ in service.requests] == [TOKEN, ROLES + "SentryNodes"]


def test_the_role_of_the_environment(service, monkeypatch):
    monkeypatch.setenv(ROLE_VARIABLE, "SentryNodes")
    ask(service)
    assert [path for _, path, _ in service.requests] == [TOKEN, ROLES + "SentryNodes"]


def test_the_environment_can_forbid_it(service, monkeypatch):
    monkeypatch.setenv(DISABLED_VARIABLE, "true")
    assert DISABLED_VARIABLE in refusal(service)
    assert service.requests == []


def test_no_role_is_attached(service):
    service.role = ""
    assert "no RAM role is attached" in refusal(service)
    service.answers[ROLES] = lambda handler: (200, "\n")
    assert "no RAM role is attached" in refusal(service)


def test_another_role_is_attached(service):
    assert "'other'" in refusal(service, role="other")


def test_a_discovered_name_that_is_none_goes_into_no_path(service):
    service.answers[ROLES] = lambda handler: (200, "../../user-data")
    assert "no name of a RAM role" in refusal(service)
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("not json", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"Code": "EntityNotExist.Role"}', "EntityNotExist.Role"),
        ('{"AccessKeyId": "a"}', "Code 'None'"),
        ('{"Code": "Success", "AccessKeyId": "a", "AccessKeySecret": ""}', "no AccessKeySecret"),
        (
            '{"Code": "Success", "AccessKeyId": "a", "AccessKeySecret": "b", "SecurityToken": "c"}',
            "no Expiration",
        ),
    ],
)
def test_answers_that_are_no_key(service, answer, told):
    service.answers[ROLES + "SentryNodes"] = lambda handler: (200, answer)
    assert told in refusal(service)


@pytest.mark.parametrize("path", [TOKEN, ROLES, ROLES + "SentryNodes"])
def test_a_passing_failure_is_tried_again(service, path):
    failures = [503, 429]

    def fail(handler):
        return (failures.pop(), "") if failures else service.answer(handler)

    service.answers[path] = fail
    assert ask(service)["access_key_id"] == "STS.tests-only-id"
    assert failures == []


def test_a_lasting_failure_is_told(service):
    service.answers[TOKEN] = lambda handler: (500, "")
    assert "HTTP 500" in refusal(service)
    assert len(service.requests) == 3


def test_a_refusal_is_not_tried_again(service):
    service.answers[TOKEN] = lambda handler: (403, "")
    assert "HTTP 403" in refusal(service)
    assert len(service.requests) == 1


def test_an_answer_that_is_cut_off(service):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")

    service.answers[ROLES + "SentryNodes"] = cut
    assert "cut off" in refusal(service)


def test_nothing_listens_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = "http://127.0.0.1:%d" % unused.getsockname()[1]
        with pytest.raises(MetadataError, match="ConnectionRefused"):
            EcsRamRole(endpoint=endpoint, timeout=1.0)()


def test_no_answer_in_time(service):
    stop = threading.Event()
    service.answers[TOKEN] = lambda handler: stop.wait(30) and None
    began = time.monotonic()
    try:
        assert "no answer within 0.3 seconds" in refusal(service, timeout=0.3)
    finally:
        stop.set()
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("where", ["head", "body"])
def test_an_answer_that_drips_ends_in_time(service, where):
    stop = threading.Event()

    def drip(handler):
        if where == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        handler.wfile.flush()
        # A byte every so often: none of the waits for the next is long.
        while not stop.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    service.answers[TOKEN] = drip
    began = time.monotonic()
    try:
        assert "no answer within 0.4 seconds" in refusal(service, timeout=0.4)
    finally:
        stop.set()
    assert time.monotonic() - began < 3


def test_no_proxy_is_asked(service, monkeypatch):
    asked = []
    proxy = socket.socket()
    proxy.bind(("127.0.0.1", 0))
    proxy.listen(5)
    address = "http://127.0.0.1:%d" % proxy.getsockname()[1]
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    proxy.settimeout(0)
    try:
        ask(service)
        with pytest.raises(BlockingIOError):
            asked.append(proxy.accept())
    finally:
        proxy.close()
    assert asked == []


@pytest.mark.parametrize("path", [TOKEN, ROLES])
def test_a_redirect_is_not_followed(service, path):
    with metadata_stand_in.serving() as elsewhere:

        def redirect(handler):
            handler.send_response(302)
            handler.send_header("Location", elsewhere.endpoint + handler.path)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        service.answers[path] = redirect
        assert "HTTP 302" in refusal(service)
        assert elsewhere.requests == []
