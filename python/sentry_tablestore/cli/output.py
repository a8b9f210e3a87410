"""Bytes on stdout."""

import sys


def write(value: bytes) -> None:
    """Write all of it.

    With PYTHONUNBUFFERED, as in Sentry's images, a single write to a pipe may stop short.
    """
    left = memoryview(value)
    while left:
        left = left[sys.stdout.buffer.write(left) :]
    sys.stdout.buffer.flush()
