"""The report at the end of a run, and the file of rows that failed."""

import pytest
from sentry_tablestore.migration.checkpoint import Checkpoint
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.report import write_failures
from sentry_tablestore.migration.sources.source import Part
from sentry_tablestore.migration.tally import Failure, Tally

FAILURES = [Failure("a", "broken", "what it\nsaid"), Failure("b\t", "pickle")]


@pytest.fixture
def checkpoint(tmp_path):
    """The checkpoint of a migration in which two rows failed."""
    keeper = FileKeeper(str(tmp_path / "checkpoint"))
    keeper.lock()
    made = Checkpoint(keeper, {"source": {}, "target": {}})
    made.plan([Part(None, None)])
    tally = Tally()
    tally.fail(FAILURES)
    made.advance(0, None, tally, FAILURES)
    yield made
    made.close()


def test_the_file_has_what_failed_and_goes_when_nothing_fails_any_more(checkpoint, tmp_path):
    path = tmp_path / "failed"
    assert write_failures(checkpoint, str(path)) == 2
    assert path.read_text() == "a\tbroken\twhat it said\nb\\t\tpickle\t\n"
    mended = Tally()
    mended.moved = 2
    checkpoint.retried(checkpoint.journal, FAILURES, mended, [])
    assert write_failures(checkpoint, str(path)) == 0
    assert not path.exists()
    # Where there is none nothing is touched: the folder may be read-only.
    assert write_failures(checkpoint, str(tmp_path / "missing" / "failed")) == 0
