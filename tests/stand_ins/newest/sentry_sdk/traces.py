"""Stands in for the SDK's spans of today."""

from stand_in import Span


def start_span(name, attributes=None):
    """Give a span that takes attributes."""
    assert attributes == {"sentry.op": name}
    return Span(name, "set_attribute")
