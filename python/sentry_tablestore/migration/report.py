"""The report at the end of a run, and the file of rows that failed."""

import itertools
import os
from typing import List

from . import private_file
from .checkpoint import Checkpoint, CheckpointError
from .progress import duration, megabytes
from .run import FINISHED, STOPPED
from .tally import FAILED, SKIPPED, Tally

_SHOWN = 20


def report(
    tally: Tally, ending: str, seconds: float, all_seconds: float, before: int, failed: str
) -> List[str]:
    """Give the lines of the report; the counts of its lines add up to the rows that were read.

    :param seconds: That this run took.
    :param all_seconds: That all runs took.
    :param before: Rows that earlier runs read.
    :param failed: Where the ids of the failed rows are; "" when there are none.
    """
    head = {FINISHED: "Finished", STOPPED: "Stopped"}.get(ending, "Failed")
    rate = (tally.rows - before) / seconds if seconds > 0 else 0.0
    lines = [
        f"{head}: {tally.rows:,} rows read, {before:,} of them by earlier runs; "
        f"this run took {duration(seconds)} ({rate:,.0f} rows/s)"
        + (f", all together {duration(all_seconds)}" if before else ""),
        f"  moved    {tally.moved:>12,}  {megabytes(tally.bytes)} as they are in the source",
    ]
    for title, counts, reasons in (
        ("skipped", tally.skipped, SKIPPED),
        ("failed", tally.failed, FAILED),
    ):
        for reason, meaning in reasons.items():
            if counts.get(reason):
                lines.append(f"  {title:<8} {counts[reason]:>12,}  {reason}: {meaning}")
    if failed:
        lines.append(f"  The ids that failed, with their reasons, are in {failed}.")
    return lines


def write_failures(checkpoint: Checkpoint, path: str) -> int:
    """Write the ids that failed to a file, one a line with reason and detail, and count them.

    Where nothing failed there is no file, not even that of an earlier run.
    """
    if not checkpoint.tally().failures:
        if os.path.exists(path):
            os.remove(path)
        return 0
    count = 0
    partial = path + ".partial"
    with private_file.create(partial, "x", encoding="utf-8", errors="backslashreplace") as file:
        for _, failure in checkpoint.failures():
            detail = " ".join(failure.detail.split())
            file.write(f"{_on_one_line(failure.id)}\t{failure.reason}\t{detail}\n")
            count += 1
    os.replace(partial, path)
    return count


def shown_failures(checkpoint: Checkpoint) -> List[str]:
    """Give a line for each of the first rows that failed, and one for the number of the others.

    A place that does not answer any more is one line as well: the report must not be lost for it.
    """
    try:
        some = [failure for _, failure in itertools.islice(checkpoint.failures(), _SHOWN)]
    except CheckpointError as error:
        return [str(error)]
    lines = []
    for id, reason, detail in some:
        said = ": " + " ".join(detail.split()) if detail else ""
        lines.append(f"{reason} '{_on_one_line(id)}'{said}")
    left = checkpoint.tally().failures - len(some)
    return [*lines, f"… and {left:,} more"] if left > 0 else lines


def _on_one_line(id: str) -> str:
    return id.replace("\t", "\\t").replace("\n", "\\n")
