"""The `tablestore-local` that was built here, run by `sentry_tablestore.testing`, with fixed keys.

Runs on CPython 3.6, as everything does that the contract's tests import.
"""

import os

from sentry_tablestore import testing

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(REPOSITORY, "build", "tablestore-local")

INSTANCE = "sentry"
KEY_ID = "LTAItestsonly00000"
KEY_SECRET = "tests-only-secret-7d1f0c"

# Another pytest run, under another interpreter, uses the server of the run that started it.
VARIABLE = "TABLESTORE_LOCAL_FOR_TESTS"


def at(end_point: str) -> testing.LocalServer:
    """Give the server that another run has started."""
    return testing.LocalServer(end_point, INSTANCE, KEY_ID, KEY_SECRET)


def serving(clock_skew: str = "15m"):
    """Run a server in memory on a free port, until the end of the block.

    :param clock_skew: How far the date of a request may be off, as the program takes it.
    """
    return testing.serving(
        PROGRAM, INSTANCE, KEY_ID, KEY_SECRET, arguments=["--clock-skew=" + clock_skew]
    )
