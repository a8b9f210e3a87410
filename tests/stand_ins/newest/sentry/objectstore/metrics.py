"""Stands in for Sentry's measurements of its stores."""

from stand_in import measured


def measure_storage_operation(operation, usecase, uncompressed_size=None, compressed_size=None):
    """Measure what happens inside."""
    return measured(operation, usecase, uncompressed_size)
