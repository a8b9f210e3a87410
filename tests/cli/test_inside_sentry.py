"""What the commands do with a Sentry's settings and backend, on a stand-in of both.

The real one is in tests/sentry/test_sentry_commands.py.
"""

import importlib
import json
import os
import pickle
import sys
import types

import click
import pytest
from sentry_tablestore.cli import sentry_settings, sources
from sentry_tablestore.cli.configuration import Configuration
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage


class Backend:
    """A nodestore that notes what it is asked to do beside the store."""

    store_class = TablestoreKVStorage
    asked = None  # a list, for each test a new one
    invalid = None  # what it raises when it is asked whether it is valid

    def __init__(self, table, instance=None, **options):
        self.store = self.store_class(instance=instance, table_name=table, client_options=options)

    def validate(self):
        if self.invalid is not None:
            raise self.invalid

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
        DATABASES={},
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
    monkeypatch.setattr(Backend, "store_class", TablestoreKVStorage)  # as it is in a new process
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


def test_a_key_of_the_environment_replaces_the_provider_of_the_settings(
    bare, settings, server, monkeypatch
):
    options = server.client_options()
    settings.SENTRY_NODESTORE_OPTIONS.update(
        access_key_id=None, access_key_secret=None, credentials_provider=lambda: 1 / 0
    )
    assert "ZeroDivisionError" in bare("get", "x").stderr
    for name in ("access_key_id", "access_key_secret"):
        monkeypatch.setenv("SENTRY_TABLESTORE_" + name.upper(), options[name])
    assert "there is no node 'x'" in bare("get", "x").stderr


def test_a_file_stands_in_for_the_settings(bare, settings, options_file):
    bare("--options", options_file(), "get", "x")
    assert settings.configured == []


def test_the_metrics_of_the_settings_are_not_told_of_commands(
    bare, settings, store, new_id, tmp_path
):
    path = tmp_path / "a.prom"
    settings.SENTRY_NODESTORE_OPTIONS["metrics"] = f"textfile:{path}"
    key = new_id()
    store.set(key, b"{}")
    assert bare("get", key).stdout == "{}\n"
    assert bare("delete", key).status == 0
    assert not path.exists()


def test_the_metrics_of_the_settings_are_not_told_of_a_migration(bare, settings):
    settings.SENTRY_NODESTORE_OPTIONS["metrics"] = print
    taken = sentry_settings._of_this_process(Configuration(), wants_store=True)
    assert TablestoreKVStorage(**taken.store).options.metrics is None


@pytest.mark.parametrize(
    ("invalid", "said"),
    [
        (click.ClickException("read_through: the backend 'no.such' cannot"), "'no.such' cannot"),
        (OSError("no folder"), "test_inside_sentry.Backend is not valid: OSError: no folder"),
    ],
)
def test_check_finds_what_every_sentry_command_would_end_with(
    bare, settings, monkeypatch, invalid, said
):
    monkeypatch.setattr(Backend, "invalid", invalid)
    done = bare("check")
    assert done.status == 1
    first = done.stdout.splitlines()[0]
    assert first.startswith("FAIL  options ")
    assert said in first
    # It goes on: the table may have faults of its own.
    assert "ok    PutRow" in done.stdout
    monkeypatch.setattr(Backend, "invalid", None)
    assert "All is well." in bare("check").stdout


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


@pytest.mark.parametrize(
    ("provider", "kind"),
    [("ecs_ram_role", "settings"), ("os.getcwd", "not portable"), (print, "not portable")],
)
def test_a_provider_stays_in_a_process_with_its_settings(settings, provider, kind):
    """It may use what they have imported, or made importable."""
    settings.SENTRY_NODESTORE_OPTIONS.update(
        access_key_id=None, access_key_secret=None, credentials_provider=provider
    )
    receive, send = os.pipe()
    sentry_settings.main([str(send), json.dumps([{}, True])])
    with os.fdopen(receive, "rb") as pipe:
        assert pickle.load(pipe)[0] == kind


def test_a_migration_is_like_any_other_command(settings, server, table, monkeypatch, capsys):
    """With settings that another process has read: -v, and the same settings for pickles."""
    given = {"instance": None, "table_name": table, "client_options": server.client_options()}
    read = sentry_settings.Settings({}, given, "test_inside_sentry.Backend")
    monkeypatch.setattr(sources, "read", lambda arguments, wants_store: read)
    configuration = Configuration()
    configuration.arguments, configuration.verbose = {"config": "/etc/chosen"}, True
    _, target = sources._settings_and_target(configuration, wants_databases=True)
    assert os.environ["SENTRY_CONF"] == "/etc/chosen"
    target.get("x")
    assert "GetRow" in capsys.readouterr().err
