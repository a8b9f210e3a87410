"""The watch over the tests' secrets sees what it watches for."""

import os
import subprocess
import sys

import local_server
import pytest
from sentry_tablestore import errors

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = local_server.KEY_SECRET
WAYS = {
    "exception": "errors.TablestoreError('it was ' + SECRET)",
    "attribute": "errors.TablestoreError('hm', operation=SECRET)",
    "log": "logging.getLogger('x').warning('it was %s', SECRET)",
    "extra": "logging.getLogger('x').warning('hm', extra={'key': SECRET})",
    "stdout": "print(SECRET)",
    "stderr": "print(SECRET, file=sys.stderr)",
    "program": "subprocess.run([sys.executable, '-c', 'print(' + repr(SECRET) + ')'], stdout=-1)",
}
MODULE = """
import logging, subprocess, sys
from local_server import KEY_SECRET as SECRET
from sentry_tablestore import errors

def test_it():
    {}
"""
CONFTEST = """
import sys
sys.path[:0] = [{!r}, {!r}]
from secrets_watch import _no_secret_is_shown, pytest_runtest_makereport
"""


@pytest.fixture
def outcome(tmp_path, shows_secrets):
    """Run a test of one statement under the watch, and give its exit status."""

    def run(statement):
        package = os.path.dirname(os.path.dirname(errors.__file__))
        (tmp_path / "conftest.py").write_text(CONFTEST.format(HERE, package))
        (tmp_path / "test_it.py").write_text(MODULE.format(statement))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=str(tmp_path))
        return done.returncode, done.stdout.decode()

    return run


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_that_is_shown_fails_the_test(outcome, way):
    status, text = outcome(WAYS[way])
    assert status == 1, text
    assert "a secret was shown" in text


@pytest.mark.parametrize("way", WAYS)
def test_nothing_else_does(outcome, way):
    status, text = outcome(WAYS[way].replace("SECRET", "'harmless'"))
    assert status == 0, text
