"""What the option `credentials_provider` may be."""

import threading

import pytest
from provided import SECRET, Attributes, Getters
from sentry_tablestore.credentials import Credentials, provider_of, rotation_of
from sentry_tablestore.credentials.answer import of_answer
from sentry_tablestore.errors import TablestoreOptionsError


class AnSdksProvider:
    def get_credentials(self):
        return Getters()


class AnSdksClient:
    """As `alibabacloud_credentials` has it."""

    def get_credential(self):
        return Attributes()


def a_function():
    return "id", SECRET


an_object = AnSdksProvider()
neither = object()


@pytest.mark.parametrize(
    "given",
    [a_function, an_object, AnSdksProvider, AnSdksClient, AnSdksClient().get_credential],
)
def test_what_it_may_be(given):
    provider = provider_of(given)
    assert isinstance(of_answer(provider.fetch()), Credentials)
    assert "test_provider_option." in provider.name


@pytest.mark.parametrize("name", ["a_function", "an_object", "AnSdksProvider"])
def test_a_dotted_path(name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "some_providers", __import__(__name__))
    path = "some_providers." + name
    provider = provider_of(path)
    assert provider.name == path
    assert isinstance(of_answer(provider.fetch()), Credentials)
    assert rotation_of(provider) is rotation_of(provider_of(path))


def test_the_ram_role():
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
def test_what_it_may_not_be(given, match):
    with pytest.raises(TablestoreOptionsError, match=match):
        provider_of(given)


def test_one_provider_has_one_rotation_in_all_threads():
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
