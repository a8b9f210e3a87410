"""No test may see one of the tests' secrets where a person, a log or an error monitor would.

Every secret that the tests make up is called `tests-only-…secret…` or `tests-only-…token…`, so that
it can be told from all other text. Each test is watched, whatever it is about: its captured output
and log, what the programs print that it starts, and each exception of the package that is made
meanwhile. Runs on CPython 3.6 and pytest 7.0.
"""

import re
import subprocess

import pytest
from sentry_tablestore import errors

SECRET = re.compile(r"tests-only-[a-z0-9-]*(?:secret|token)[a-z0-9-]*")

_seen = []
"""(where, the text) of what showed a secret during the test that runs."""


def look(where, text):
    """Note a secret in a text, bytes or None, for the test that runs."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    found = SECRET.search(text or "")
    if found:
        _seen.append((where, text[max(0, found.start() - 200) : found.end() + 20]))


@pytest.fixture(autouse=True)
def _no_secret_is_shown(request, monkeypatch, caplog):
    del _seen[:]
    made = errors.TablestoreError.__init__
    communicate = subprocess.Popen.communicate

    def init(self, *arguments, **others):
        made(self, *arguments, **others)
        look("an exception", f"{self!s} {self!r} {vars(self)!r}")

    def communicated(self, *arguments, **others):
        output = communicate(self, *arguments, **others)
        for stream in output:
            look("the output of " + str(self.args)[:60], stream)
        return output

    monkeypatch.setattr(errors.TablestoreError, "__init__", init)
    monkeypatch.setattr(subprocess.Popen, "communicate", communicated)
    yield
    for record in caplog.get_records("setup") + caplog.get_records("call"):
        look("the log", record.getMessage() + repr(vars(record)))
    if "shows_secrets" in request.fixturenames:
        return
    assert _seen == [], "a secret was shown in " + ", ".join(sorted({where for where, _ in _seen}))


@pytest.fixture
def shows_secrets():
    """For a test that must see one: that they are seen, or that they get where they are needed."""
    return _seen


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Look at what a test wrote itself, which is known when it is over."""
    result = yield
    report = result.get_result()
    if report.when == "teardown" and "shows_secrets" not in item.fixturenames:
        shown = [
            name for name, text in report.sections if "Captured" in name and SECRET.search(text)
        ]
        if shown and report.passed:
            report.outcome = "failed"
            report.longrepr = "a secret was shown: " + ", ".join(shown)
