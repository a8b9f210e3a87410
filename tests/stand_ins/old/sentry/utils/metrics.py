"""Stands in for Sentry's metrics."""

from stand_in.metrics import Statsd, incr, timing

__all__ = ["backend", "incr", "timing"]

backend = Statsd()
