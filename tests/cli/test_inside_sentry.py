"""What the commands do with a Sentry's settings and backend, on a stand-in of both.

The real one is in tests/sentry/test_sentry_commands.py.
"""

import importlib
import os
import sys
import types

import pytest
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage


class Backend:
    """A nodestore that notes what it is asked to do beside the store."""

    store_class = TablestoreKVStorage
    asked = None  # a list, for each test a new one

    def __init__(self, table, instance=None, **options):
        self.store = TablestoreKVStorage(instance, table, options)

    def delete_multi(self, ids):
        self.asked.append(("delete_multi", ids))
        self.store.delete_many(ids)

    def _delete_cache_item(self, id):
        self.asked.append(("_delete_cache_item", id))


class Another:
    """A nodestore of another project."""


@pytest.fixture
def settings(monkeypatch, server, table):
    """The settings of a Sentry that uses the shared table, in /etc/sentry."""
    settings = types.SimpleNamespace(
        SENTRY_NODESTORE="test_inside_sentry.Backend",
        SENTRY_NODESTORE_OPTIONS=server.client_options(table=table),
        configured=[],
    )

    def configure():
        settings.configured.append(os.environ["SENTRY_CONF"])
        if settings.SENTRY_NODESTORE is None:
            raise ValueError("broken on purpose")

    def import_string(path):
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    modules = {
        "sentry": {},
        "sentry.runner": {"configure": configure},
        "django": {},
        "django.conf": {"settings": settings},
        "django.utils": {},
        "django.utils.module_loading": {"import_string": import_string},
    }
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "test_inside_sentry", sys.modules[__name__])
    monkeypatch.setenv("SENTRY_CONF", "/etc/sentry")
    # Set by the command, and taken back by this.
    monkeypatch.setenv("SENTRY_SKIP_BACKEND_VALIDATION", "1")
    monkeypatch.setattr(Backend, "asked", [])
    return settings


def test_the_table_is_that_of_the_settings(bare, settings, store, new_id):
    key = new_id()
    store.set(key, b"{}")
    assert bare("get", key).stdout == "{}\n"
    assert settings.configured == ["/etc/sentry"]


def test_the_settings_are_named(bare, settings, monkeypatch):
    monkeypatch.delenv("SENTRY_CONF")
    monkeypatch.setenv("SENTRY_CONF", "/another")
    bare("--config", "/etc/chosen", "get", "x")
    assert settings.configured == ["/etc/chosen"]


def test_arguments_and_environment_go_over_the_settings(bare, settings, monkeypatch):
    assert "'by_argument'" in bare("get", "x", "--table", "by_argument").stderr
    monkeypatch.setenv("SENTRY_TABLESTORE_TABLE", "by_environment")
    assert "'by_environment'" in bare("get", "x").stderr


def test_a_file_stands_in_for_the_settings(bare, settings, options_file):
    bare("--options", options_file(), "get", "x")
    assert settings.configured == []


def test_delete_goes_through_the_backend_and_so_through_its_cache(bare, settings, store, new_id):
    ids = [new_id(), new_id()]
    store.set_many(dict.fromkeys(ids, b"{}"))
    assert bare("delete", *ids).status == 0
    assert Backend.asked == [("delete_multi", ids)]
    assert list(store.get_many(ids)) == []


def test_delete_with_a_file_of_options_does_not(bare, settings, options_file, store, new_id):
    key = new_id()
    store.set(key, b"{}")
    assert bare("--options", options_file(), "delete", key).status == 0
    assert Backend.asked == []
    assert store.get(key) is None


def test_put_drops_the_node_from_the_cache(bare, settings, store, new_id):
    key = new_id()
    assert bare("put", key, input="{}").status == 0
    assert Backend.asked == [("_delete_cache_item", key)]
    assert store.get(key) == b"{}"


@pytest.mark.parametrize(
    ("nodestore", "said"),
    [
        ("test_inside_sentry.Another", "which is not this project's: give the table's options"),
        ("not.there.Backend", "SENTRY_NODESTORE not.there.Backend cannot be imported"),
        (None, "Sentry's settings in /etc/sentry cannot be loaded: ValueError: broken on purpose"),
    ],
)
def test_settings_that_do_not_help(bare, settings, nodestore, said):
    settings.SENTRY_NODESTORE = nodestore
    if nodestore and nodestore.endswith("Another"):
        settings.SENTRY_NODESTORE_OPTIONS = {}
    done = bare("get", "x")
    assert (done.status, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
