"""Spans of time in words."""

from typing import List


def span(seconds: int) -> str:
    """Say a time in the units that it has wholly: "90 days", "1 day 12 hours"."""
    parts: List[str] = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:,} {unit}" + ("s" if count > 1 else ""))
    return " ".join(parts) or "0 seconds"
