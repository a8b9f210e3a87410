"""The nodestore that was there before, as `tests/stand_ins` has it: its paths, and its calls."""

from datetime import datetime, timedelta, timezone

OLD = "stand_in.old_store.OldNodeStorage"
# Knows when it wrote.
DJANGO = "stand_in.old_store.DjangoNodeStorage"
A_MONTH_AGO = datetime.now(timezone.utc).replace(microsecond=123000) - timedelta(days=30)


def called(old):
    """Give the calls since the last time, but for those of the construction."""
    calls = [call for call in old.calls if call[0] not in ("__init__", "validate")]
    old.calls.clear()
    return calls
