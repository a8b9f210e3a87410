"""Stands in for the SDK."""

from stand_in import Span


def start_span(op=None, description=None):
    """Give a span that takes tags."""
    return Span(op, "set_tag")
