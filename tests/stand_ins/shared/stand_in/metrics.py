"""Sentry's metrics, recorded."""

from stand_in import recorded


class DummyMetricsBackend:
    """What Sentry has where it is set to have no metrics."""


class Statsd:
    """Any other."""


class Wrapper:
    """What Sentry has its backend in."""

    def __init__(self, inner):
        self.inner = inner


def incr(key, amount=1, instance=None, tags=None):
    """Record a count."""
    recorded.append(("incr", key, amount, tags))


def timing(key, value, instance=None, tags=None):
    """Record seconds."""
    recorded.append(("timing", key, value, tags))


def distribution(key, value, instance=None, tags=None, unit=None):
    """Record a size."""
    assert unit == "byte"
    recorded.append(("distribution", key, value, tags))
