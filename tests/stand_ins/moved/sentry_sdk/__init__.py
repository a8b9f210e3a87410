"""Stands in for the SDK."""

from stand_in import Span, current_span


def start_span(op=None, description=None):
    """Give a span that takes tags."""
    return Span(op, "set_tag", description)


def get_current_span():
    """Give the span that is open."""
    return current_span()
