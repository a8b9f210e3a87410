"""The report at the end of a run, and the file of rows that failed."""

import os
from typing import List

from . import private_file
from .checkpoint import Checkpoint
from .progress import duration, megabytes
from .run import FINISHED, STOPPED
from .tally import FAILED, SKIPPED, Tally


def report(
    tally: Tally, ending: str, seconds: float, all_seconds: float, before: int, failed_file: str
) -> List[str]:
    """Give the lines of the report; the counts of its lines add up to the rows that were read.

    :param seconds: That this run took.
    :param all_seconds: That all runs took.
    :param before: Rows that earlier runs read.
    :param failed_file: Where the ids of the failed rows are; "" when there are none.
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
    if failed_file:
        lines.append(f"  The ids that failed, with their reasons, are in {failed_file}.")
    return lines


def write_failures(checkpoint: Checkpoint, path: str) -> int:
    """Write the ids that failed to a file, one a line with reason and detail, and count them."""
    count = 0
    partial = path + ".partial"
    with private_file.create(partial, "x", encoding="utf-8", errors="backslashreplace") as file:
        for _, failure in checkpoint.failures():
            detail = " ".join(failure.detail.split())
            id = failure.id.replace("\t", "\\t").replace("\n", "\\n")
            file.write(f"{id}\t{failure.reason}\t{detail}\n")
            count += 1
    os.replace(partial, path)
    return count
