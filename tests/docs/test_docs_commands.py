"""Commands that the pages show exist, with the flags that they show."""

import re
import subprocess

import click
import pytest
from pages import REPOSITORY, command_lines, pages
from sentry_tablestore.cli.main import main


@pytest.mark.parametrize(
    ("where", "words"),
    [
        pytest.param(where, words, id=f"{where} {' '.join(words)}"[:90])
        for where, words in command_lines("sentry-tablestore")
    ],
)
def test_sentry_tablestore(where, words):
    flags = _flags(main)
    command = None
    at = 0
    while at < len(words):
        word = words[at]
        name = word.partition("=")[0]
        if word.startswith("-") and word != "-":
            assert name in flags, f"{where}: no flag {name}"
            if not flags[name] and "=" not in word:
                at += 1  # its value
        elif command is None and re.fullmatch(r"[a-z][a-z-]*", word):
            assert word in main.commands, f"{where}: no command {word}"
            command = main.commands[word]
            flags = {**_flags(main), **_flags(command)}
        at += 1


def _flags(command):
    """Give the flags of a command, and whether each stands alone."""
    found = {"--help": True, "-h": True, "--version": True}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            for name in parameter.opts + parameter.secondary_opts:
                found[name] = bool(parameter.is_flag)
    return found


def test_nothing_that_sentry_needs_is_uninstalled():
    needed = set()
    for path in (REPOSITORY / "tests" / "sentry").glob("requirements-2[0-9].[0-9]*.[0-9].txt"):
        needed |= set(re.findall(r"^([A-Za-z0-9-]+)==", path.read_text(encoding="utf-8"), re.M))
    assert "protobuf" in needed
    for page in pages():
        for sentence in re.findall(r"pip uninstall.*?(?:\.\s|\Z)", page.prose, re.DOTALL):
            assert not needed.intersection(re.findall(r"[\w-]+", sentence)), page.name


@pytest.mark.parametrize(
    ("where", "words"),
    [
        pytest.param(where, words, id=f"{where} {' '.join(words)}"[:90])
        for where, words in command_lines("tablestore-local")
    ],
)
def test_tablestore_local(where, words):
    command = [words[0]] if words and re.fullmatch(r"[a-z]+", words[0]) else []
    done = subprocess.run(
        [str(REPOSITORY / "build" / "tablestore-local"), *command, "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    known = set(re.findall(r"^ +-([a-z-]+)", done.stdout, re.MULTILINE))
    for word in words:
        if word.startswith("--") and len(word) > 2:
            assert word[2:].partition("=")[0] in known | {"help"}, f"{where}: {word}"
