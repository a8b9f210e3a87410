"""Where Sentry keeps its base class, and how a `sentry` command tells of wrong options."""

import pickle
import sys
from datetime import timedelta
from typing import ClassVar

import pytest
import running_sentry
from sentry_tablestore import errors

CLICK = '''
"""Stands in for click."""

class ClickException(Exception):
    exit_code = 1

    def __init__(self, message):
        super().__init__(message)
        self.message = message
        self.show_color = None

    def format_message(self):
        return self.message

    def __str__(self):
        return self.message
'''


@pytest.fixture
def folder(tmp_path):
    """A folder for modules, and a function that writes one."""

    def write(path, text=""):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        for package in file.relative_to(tmp_path).parents:
            if package.name:
                (tmp_path / package / "__init__.py").touch()
        file.write_text(text)

    write.path = str(tmp_path)
    return write


@pytest.mark.parametrize("layout", running_sentry.LAYOUTS)
def test_the_base_class_is_found(layout):
    with running_sentry.layout(layout) as backend:
        played = sys.modules["stand_in"].NodeStorage
        assert issubclass(backend.TablestoreNodeStorage, played)
        place = (
            "sentry.nodestore.base"
            if layout in ("old", "bare")
            else "sentry.services.nodestore.base"
        )
        assert place in sys.modules


def test_a_fault_inside_the_new_place_is_not_taken_for_its_absence(folder):
    folder("sentry/services/nodestore/base.py", "import a_module_that_is_missing")
    folder("sentry/nodestore/base.py", "raise AssertionError('fell back')")
    with pytest.raises(
        ModuleNotFoundError, match="a_module_that_is_missing"
    ), running_sentry.layout(folder.path):
        pass


def test_an_import_error_inside_the_new_place_is_one(folder):
    folder("sentry/services/nodestore/base.py", "")
    folder("sentry/nodestore/base.py", "raise AssertionError('fell back')")
    with pytest.raises(ImportError, match="NodeStorage"), running_sentry.layout(folder.path):
        pass


def test_without_sentry_its_absence_is_told(folder):
    folder("sentry/other.py")
    with pytest.raises(ModuleNotFoundError, match=r"sentry\.nodestore"), running_sentry.layout(
        folder.path
    ):
        pass


class TestWrongOptions:
    """They do not make construction fail: commands that skip validation go on working."""

    WRONG: ClassVar = {
        "no options": ({}, "missing option end_point"),
        "unknown": ({"compresion": True}, "did you mean 'compression'"),
        "no key": ({"access_key_id": None}, "missing option access_key_id"),
        "no ttl": ({"automatic_expiry": True}, "automatic_expiry needs default_ttl"),
        "short": ({"automatic_expiry": True, "default_ttl": timedelta(hours=1)}, "86,400"),
        "compression": ({"compression": "lz4"}, "compression must be"),
        "endpoint": ({"end_point": "ots.aliyuncs.com"}, "http://"),
    }

    @pytest.fixture(autouse=True)
    def _no_keys_in_the_environment(self, monkeypatch):
        for name in ("ID", "SECRET"):
            monkeypatch.delenv("ALIBABA_CLOUD_ACCESS_KEY_" + name, raising=False)

    def make(self, backend, wrong):
        right = {"end_point": "http://127.0.0.1:9", "access_key_id": "a", "access_key_secret": "b"}
        return backend.TablestoreNodeStorage(**({**right, **wrong} if wrong else {}))

    @pytest.mark.parametrize(("wrong", "match"), WRONG.values(), ids=WRONG)
    def test_validate_refuses_them_and_so_does_every_operation(self, wrong, match):
        with running_sentry.layout("old") as backend:
            nodes = self.make(backend, wrong)
            nodes.setup()
            calls = [
                nodes.validate,
                nodes.bootstrap,
                lambda: nodes.get("a"),
                lambda: nodes.get_multi(["a"]),
                lambda: nodes.set("a", {}),
                lambda: nodes.delete("a"),
                lambda: nodes.delete_multi(["a"]),
                lambda: nodes.cleanup(None),
            ]
            for call in calls:
                with pytest.raises(errors.TablestoreOptionsError, match=match) as caught:
                    call()
                assert str(caught.value).startswith("SENTRY_NODESTORE_OPTIONS: ")

    def test_a_sentry_command_shows_a_line_and_not_a_traceback(self, folder):
        folder("click.py", CLICK)
        with running_sentry.layout("old", folder.path) as backend:
            import click

            with pytest.raises(click.ClickException) as caught:
                self.make(backend, {"compresion": True}).validate()
            error = caught.value
            assert isinstance(error, errors.TablestoreOptionsError)
            assert error.exit_code == 1
            assert error.show_color is None
            assert error.format_message() == (
                "SENTRY_NODESTORE_OPTIONS: unknown option 'compresion': did you mean 'compression'?"
            )
            again = pickle.loads(pickle.dumps(error))
            assert again.format_message() == error.format_message()

    def test_right_ones_are_not_refused(self):
        with running_sentry.layout("old") as backend:
            nodes = self.make(backend, {"instance": None, "compression": True})
            nodes.validate()
            assert (nodes.store.instance, nodes.store.table_name) == ("sentry", "nodestore")
            assert nodes.store.compression == "zlib"
            assert (nodes.automatic_expiry, nodes.skip_deletes) == (False, False)
