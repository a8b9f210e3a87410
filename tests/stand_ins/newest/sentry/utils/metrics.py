"""Stands in for Sentry's metrics."""

from stand_in import recorded


def incr(key, amount=1, instance=None, tags=None):
    """Record a count."""
    recorded.extend([("incr", key, tags)] * amount)
