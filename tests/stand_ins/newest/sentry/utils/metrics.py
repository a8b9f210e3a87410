"""Stands in for Sentry's metrics."""

from stand_in.metrics import Statsd, Wrapper, distribution, incr, timing

__all__ = ["backend", "distribution", "incr", "timing"]

backend = Wrapper(Statsd())
