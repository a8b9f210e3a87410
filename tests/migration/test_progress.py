"""What is shown while a migration runs, and the report at its end."""

import io
import os
import pty

import pytest
from sentry_tablestore.migration.checkpoint import Checkpoint
from sentry_tablestore.migration.checkpoint_file import FileKeeper
from sentry_tablestore.migration.progress import Progress, duration, megabytes, short
from sentry_tablestore.migration.report import report, write_failures
from sentry_tablestore.migration.run import FAILED, FINISHED, STOPPED, Status
from sentry_tablestore.migration.sources.source import Part
from sentry_tablestore.migration.tally import FAILED as REASONS
from sentry_tablestore.migration.tally import SKIPPED, Failure, Tally


def status(moved, before=0, seconds=10.0, parts=(1, 4), trouble="", failed=0):
    """Make a status."""
    tally = Tally()
    tally.moved, tally.bytes = moved, moved * 1000
    tally.fail([Failure(str(n), "broken") for n in range(failed)])
    return Status(tally, before, seconds, parts, trouble)


def test_lines_where_there_is_no_terminal_one_every_few_seconds():
    stream, now = io.StringIO(), 0.0
    progress = Progress(stream, 1000, lambda: now)
    for tenth in range(120):
        now = tenth / 10
        progress(status(tenth, seconds=now))
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert lines == [
        "migrate: 50 rows of about 1,000, 50.0 kB moved, 10 rows/s, 1m 35s left, 0 failed",
        "migrate: 100 rows of about 1,000, 100.0 kB moved, 10 rows/s, 1m 30s left, 0 failed",
    ]


def test_a_bar_on_a_terminal():
    controller, terminal = pty.openpty()
    try:
        with os.fdopen(terminal, "w") as stream:
            progress = Progress(stream, 200, lambda: 1.0)
            progress(status(100))
            shown = os.read(controller, 10_000).decode()
            assert shown == (
                "\r\x1b[K[############............]"
                "  50% 100/200 rows, 100kB, 10/s, 10s left, 0 failed"
            )
            assert "\n" not in shown
            progress.finish()
            assert os.read(controller, 10_000).decode() == "\r\x1b[K"
    finally:
        os.close(controller)


HOURS = status(12_300_000, before=2_300_000, seconds=970, failed=7, parts=(8, 64))


@pytest.mark.parametrize(
    ("width", "bar"),
    [(100, "[##......................] "), (79, "[##...............] "), (60, "")],
)
def test_the_bar_gives_way_to_what_it_is_about(width, bar):
    shown = Progress(io.StringIO(), 100_000_000).bar(HOURS, width)
    assert shown == f"{bar} 12% 12.3M/100M rows, 12.3GB, 10.3k/s, 2h21m left, 7 failed"
    assert len(shown) <= width


@pytest.mark.parametrize(
    ("trouble", "shown"),
    [
        (
            "the target asks to slow down",
            " 12% the target asks to slow down, 12.3M/100M rows, 7 failed",
        ),
        (
            "waiting for the source: connection to server failed: the database is starting up",
            " 12% waiting for the source: connection to server f…, 12.3M/100M rows, 7 failed",
        ),
    ],
)
def test_trouble_is_told_on_80_columns(trouble, shown):
    progress = Progress(io.StringIO(), 100_000_000)
    assert progress.bar(HOURS._replace(trouble=trouble), 79) == shown


def test_numbers_in_three_digits():
    numbers = [0, 7, 999, 999.6, 1000, 12_345, 999_499, 999_500, 100_000_000, 5e12]
    assert [short(number) for number in numbers] == [
        "0",
        "7",
        "999",
        "1k",
        "1k",
        "12.3k",
        "999k",
        "1M",
        "100M",
        "5T",
    ]


def test_rows_of_earlier_runs_make_no_speed_and_an_estimate_may_be_wrong():
    progress = Progress(io.StringIO(), 1000)
    assert "10 rows/s" in progress.line(status(600, before=500))
    # More rows than estimated: it is not done before it is done.
    assert progress.fraction(status(1500)) == 0.99
    assert progress.fraction(status(900, parts=(4, 4))) == 1.0
    unknown = Progress(io.StringIO(), -1)
    assert unknown.fraction(status(10, parts=(1, 4))) == 0.25
    line = unknown.line(status(10, trouble="the target asks to slow down", failed=2))
    assert line == (
        "12 rows, 10.0 kB moved, 1 rows/s, time left unknown, 2 failed, "
        "the target asks to slow down"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59, "59s"), (63, "1m 3s"), (7500, "2h 5m"), (273_600, "3d 4h"), (3600, "1h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_sizes():
    sizes = [999, 1000, 2_500_000, 7e9, 1.25e12]
    assert [megabytes(size) for size in sizes] == [
        "999 B",
        "1.0 kB",
        "2.5 MB",
        "7.0 GB",
        "1.25 TB",
    ]


def test_the_lines_of_a_report_add_up_and_every_reason_has_one():
    tally = Tally()
    tally.moved, tally.bytes = 1_000_000, 2_500_000_000
    for n, reason in enumerate(SKIPPED):
        tally.skip(reason, n + 1)
    for n, reason in enumerate(REASONS):
        tally.fail([Failure("id", reason)] * (n + 1))
    lines = report(tally, FINISHED, 100, 5000, 500_000, "the.failed")
    assert lines[0] == (
        f"Finished: {tally.rows:,} rows read, 500,000 of them by earlier runs; this run took "
        "1m 40s (5,000 rows/s), all together 1h 23m"
    )
    counts = [int(line[11:23].replace(",", "")) for line in lines[1:-1]]
    assert sum(counts) == tally.rows
    for reason in (*SKIPPED, *REASONS):
        assert sum(f"  {reason}: " in line for line in lines) == 1
    assert lines[-1].endswith("are in the.failed.")
    assert report(tally, STOPPED, 1, 1, 0, "")[0].startswith("Stopped: ")
    assert report(tally, FAILED, 0, 0, 0, "")[0].startswith("Failed: ")
    assert "all together" not in report(tally, FINISHED, 1, 1, 0, "")[0]


def test_failed_ids_are_in_a_file_a_line_each(tmp_path):
    keeper = FileKeeper(str(tmp_path / "checkpoint"))
    keeper.lock()
    checkpoint = Checkpoint(keeper, {})
    checkpoint.plan([Part(None, None)])
    failures = [
        Failure("a", "broken", "not\nzlib"),
        Failure("b\tc\nd", "pickle"),
        Failure("☃", "x"),
    ]
    tally = Tally()
    tally.fail(failures)
    checkpoint.advance(0, None, tally, failures)
    path = tmp_path / "failed"
    path.write_text("of an earlier run")
    assert write_failures(checkpoint, str(path)) == 3
    assert path.read_text() == "a\tbroken\tnot zlib\nb\\tc\\nd\tpickle\t\n☃\tx\t\n"
    checkpoint.close()
