"""The commands' help, their errors and the examples in docs/commands.md are as they are written."""

import json
import os

import click
import local_server
import pytest
import session
import tls_front
from sentry_tablestore.cli.main import main

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(local_server.REPOSITORY, "docs", "commands.md")


def pinned_click():
    with open(os.path.join(local_server.REPOSITORY, "requirements-dev.txt")) as file:
        return next(line.split()[0] for line in file if line.startswith("click=="))


def current_click():
    # The attribute of the package is going; the metadata need CPython 3.8.
    try:
        from importlib.metadata import version
    except ImportError:
        return "click==" + click.__version__
    return "click==" + version("click")


needs_pinned_click = pytest.mark.skipif(
    pinned_click() != current_click(), reason="another click lays its help out otherwise"
)


@pytest.fixture
def own():
    """A server that is empty."""
    with local_server.serving() as server:
        yield server


@pytest.fixture
def fresh(bare, own, tmp_path, monkeypatch):
    """Run the command in a folder whose tablestore.json names an empty server."""
    monkeypatch.chdir(tmp_path)
    options = own.client_options(default_ttl="90d", automatic_expiry=True, compression="zstd")
    (tmp_path / "tablestore.json").write_text(json.dumps(options))
    monkeypatch.setenv("SENTRY_TABLESTORE_OPTIONS", "tablestore.json")
    return bare


@needs_pinned_click
def test_the_help(bare):
    session.test(os.path.join(HERE, "golden", "help.txt"), bare, None)


def test_the_errors(fresh):
    session.test(os.path.join(HERE, "golden", "errors.txt"), fresh, None)


def test_the_failures_of_the_service(fresh, own, certificates, tmp_path):
    port = int(own.end_point.rsplit(":", 1)[1])
    with tls_front.serving(str(certificates / "self-signed.pem"), port) as front:
        options = own.client_options(end_point=f"https://127.0.0.1:{front}")
        (tmp_path / "tls.json").write_text(json.dumps(options))
        session.test(os.path.join(HERE, "golden", "failures.txt"), fresh, own)


@needs_pinned_click
def test_the_examples(fresh):
    session.test(DOCUMENT, fresh, None)


def test_the_help_of_every_command_is_there():
    with open(os.path.join(HERE, "golden", "help.txt"), encoding="utf-8") as file:
        shown = [line.split()[2] for line in file if line.startswith("$ ")]
    assert shown == ["--help", *main.commands]


def test_every_command_is_documented():
    with open(DOCUMENT, encoding="utf-8") as file:
        headings = [line[3:].strip() for line in file if line.startswith("## ")]
    assert set(main.commands) <= set(headings)


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_explains_itself(bare, name):
    done = bare(name, "--help")
    assert done.status == 0
    command = main.commands[name]
    assert len(command.help.splitlines()[0]) > 20
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name}: {parameter.opts}"
