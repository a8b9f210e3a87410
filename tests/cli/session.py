"""Sessions of `sentry-tablestore`: commands and what they print, in golden files and in docs/.

A session is the text of a file, or of the ```console blocks of a Markdown file, in order. A line
that begins with "$ " is a command, what follows it is its output on stdout and stderr, and
"(exit status N)" its status where that is not 0. `$ echo TEXT | COMMAND` gives a command its input;
`$ fail RULE` has the server fail by that rule, JSON as its /_faults takes it, and `$ heal` no more.

    UPDATE_SESSIONS=1 pytest tests/cli/test_sessions.py

writes the outputs of now into the files. What differs from run to run is compared as N and such.
Runs on CPython 3.6.
"""

import difflib
import json
import os
import re
import shlex

_DIFFERS = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:8087"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"sentry-tablestore-check-[0-9a-f]{32}"), "sentry-tablestore-check-ID"),
    (re.compile(r"\d[\d,.]* ms\b"), "N ms"),
    (re.compile(r"\d+\.\d s (ahead of|behind)"), "N s from"),
    (re.compile(r"after \d+ attempts in [\d.]+m?s"), "after N attempts in N s"),
    (re.compile(r"20\d\d-\d\d-\d\d(T[\d:]+Z)?"), "DATE"),
    (re.compile(r"\d[\d,.]* (kB|B) stored"), "N stored"),
    (re.compile(r"Try '.*' for help\.\n"), ""),  # click 7.0 does not say so
)


def test(path, run, server):
    """Run the session in this file, and compare what comes with what is written there.

    :param run: Takes arguments and input, gives what `conftest.Done` has.
    :param server: What fails and heals; None where the session asks for neither.
    """
    with open(path, encoding="utf-8") as file:
        written = file.read()
    # An example's port is the program's usual one, whatever the test's server has.
    now = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8087", _replayed(path, written, run, server))
    if os.environ.get("UPDATE_SESSIONS"):
        if plain(now) != plain(written):
            with open(path, "w", encoding="utf-8") as file:
                file.write(now)
        return
    difference = difflib.unified_diff(
        plain(written).splitlines(), plain(now).splitlines(), path, "now", lineterm=""
    )
    text = "\n".join(difference)
    assert not text, text + "\nUPDATE_SESSIONS=1 writes what is now into the file."


def plain(text):
    """Replace what differs from run to run."""
    for pattern, name in _DIFFERS:
        text = pattern.sub(name, text)
    return text


def _replayed(path, text, run, server):
    if not path.endswith(".md"):
        return _session(text, run, server)
    return re.sub(
        r"(?<=^```console\n)(.*?)(?=^```$)",
        lambda block: _session(block.group(1), run, server),
        text,
        flags=re.MULTILINE | re.DOTALL,
    )


def _session(text, run, server):
    """Give the text with each command's output of now."""
    lines = []
    for line in text.splitlines():
        if line.startswith("#") and not lines:
            lines.append(line)  # a comment at the beginning
        if not line.startswith("$ "):
            continue
        lines.append(line)
        if line.startswith("$ fail "):
            server.fail(json.loads(line[len("$ fail ") :]))
            continue
        if line == "$ heal":
            server.heal()
            continue
        words, given = shlex.split(line[2:]), None
        if words[0] == "echo":
            given, words = words[1] + "\n", words[3:]
        assert words[0] == "sentry-tablestore", line
        done = run(*words[1:], input=given)
        lines += (done.stdout + done.stderr).splitlines()
        if done.status:
            lines.append(f"(exit status {done.status})")
    return "".join(line + "\n" for line in lines)
