"""--dry-run: what a migration will take, estimated from a sample; nothing is written."""

import time
from typing import Dict, List, NamedTuple, Optional

from .progress import duration, megabytes
from .rate import Rate
from .sources import source
from .sources.source import Source, TooLargeError, payload

SAMPLED = 2000
_AT_ONCE = 2 << 20
CAPACITY_UNIT = 4096
"""Bytes of a row that one write capacity unit pays."""
_ROW_OVERHEAD = 100
"""Bytes of a row besides its value: primary key, names of columns, flags, about."""


class Estimate(NamedTuple):
    """What a migration will take.

    :ivar rows: That the source has; -1 unknown.
    :ivar sampled: Rows that were read for it.
    :ivar troubles: Sampled rows that will not be moved, by reason.
    :ivar source_bytes: Of values as they are in the source.
    :ivar stored_bytes: Of values as they will be in the target.
    :ivar raw_bytes: Of payloads.
    :ivar write_units: Write capacity units, one for each 4 KB of a row that is begun.
    :ivar read_units: Read capacity units, one for each row: it is written only where none is.
    :ivar read_seconds: That reading and checking all would take one worker.
    """

    rows: int
    sampled: int
    troubles: Dict[str, int]
    source_bytes: int
    stored_bytes: int
    raw_bytes: int
    write_units: int
    read_units: int
    read_seconds: float


def estimate(of: Source, compressed: bool) -> Estimate:
    """Read a sample and estimate.

    :param compressed: Whether the target compresses.
    """
    begun = time.monotonic()
    sample = of.sample(SAMPLED)
    reader = of.reader()
    troubles: Dict[str, int] = {}
    source_bytes = stored_bytes = raw_bytes = units = moved = 0
    rows = (row for piece in reader.pieces(sample.ids, _AT_ONCE) for row in reader.fetch(piece))
    for row in rows:
        if row.value is None:
            troubles[row.trouble] = troubles.get(row.trouble, 0) + 1
            continue
        try:
            raw = payload(of.encoding, row.value)
        except TooLargeError:
            troubles[source.TOO_LARGE] = troubles.get(source.TOO_LARGE, 0) + 1
            continue
        except ValueError:
            troubles["broken"] = troubles.get("broken", 0) + 1
            continue
        if of.encoding != "raw" and not raw.startswith(b"{"):
            troubles["pickle"] = troubles.get("pickle", 0) + 1
        # A zstd frame of an event is about as large as its zlib stream.
        stored = _compressed(of, row.value, raw) if compressed else len(raw)
        source_bytes += len(row.value)
        stored_bytes += stored
        raw_bytes += len(raw)
        moved += 1
        units += -(-(stored + _ROW_OVERHEAD) // CAPACITY_UNIT)
    reader.close()
    seconds = time.monotonic() - begun
    scale = sample.total / len(sample.ids) if sample.ids and sample.total > 0 else 1.0
    return Estimate(
        rows=sample.total,
        sampled=len(sample.ids),
        troubles=troubles,
        source_bytes=int(source_bytes * scale),
        stored_bytes=int(stored_bytes * scale),
        raw_bytes=int(raw_bytes * scale),
        write_units=int(units * scale),
        read_units=int(moved * scale),
        read_seconds=seconds * scale,
    )


def _compressed(of: Source, value: bytes, raw: bytes) -> int:
    if of.encoding == "base64+zlib":
        return len(value) * 3 // 4
    import zlib

    return len(zlib.compress(raw))


def lines(told: Estimate, workers: int, rate: Optional[Rate], compression: str) -> List[str]:
    """Give the estimate's lines."""
    if told.sampled == 0 and told.rows == 0:
        return ["Dry run: the source is empty."]
    rows = f"about {told.rows:,}" if told.rows >= 0 else "an unknown number of"
    found = [
        f"Dry run, from a sample of {told.sampled:,} rows; nothing was written.",
        f"  rows                  {rows}",
    ]
    if told.rows < 0:
        found[-1] += f" rows; what follows is for the {told.sampled:,} sampled ones alone"
    share = "" if told.sampled == 0 else _troubles(told)
    if share:
        found.append(f"  not moved as it is    {share}")
    found += [
        f"  bytes in the source   {megabytes(told.source_bytes)}",
        f"  bytes of payload      {megabytes(told.raw_bytes)}",
        f"  bytes in the target   {megabytes(told.stored_bytes)} ({compression})",
        f"  capacity units        {told.write_units:,} write, {told.read_units:,} read",
    ]
    if rate is not None:
        amount = told.rows if rate.unit == "rows" else told.source_bytes
        found.append(f"  time                  {duration(amount / rate.amount)} at --rate")
    else:
        found.append(
            f"  time                  from {duration(told.read_seconds / workers)}: as fast as the "
            f"sample was read, times {workers} workers; the target's speed is not measured here"
        )
    return found


def _troubles(told: Estimate) -> str:
    words = dict.fromkeys([source.EXPIRED, source.TOO_LARGE, source.UNDATED, source.UNREADABLE])
    parts = [
        f"{reason} {rows / told.sampled:.1%}"
        for reason, rows in sorted(told.troubles.items(), key=lambda item: -item[1])
        if reason in words or reason in ("pickle", "broken")
    ]
    return ", ".join(parts)
