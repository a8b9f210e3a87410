"""What goes to stdout: what a command answers, and nothing of others."""

import contextlib
import logging
import os
import sys
from typing import Iterator


def write(value: bytes) -> None:
    """Write all of it.

    With PYTHONUNBUFFERED, as in Sentry's images, a single write to a pipe may stop short.
    """
    left = memoryview(value)
    while left:
        left = left[sys.stdout.buffer.write(left) :]
    sys.stdout.buffer.flush()


@contextlib.contextmanager
def of_others_to_stderr() -> Iterator[None]:
    """Send to stderr whatever is written to stdout meanwhile.

    Not by another `sys.stdout`: Sentry with DEBUG opens the descriptor of what it finds there anew,
    and that would close stderr's with it.
    """
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
        sys.stdout.flush()
    finally:
        os.dup2(own, 1)
        os.close(own)


def logs_to_stderr() -> None:
    """Have the logs of this process go to stderr: a Sentry's go to stdout.

    Its handler prints by structlog, to what was stdout when structlog's logger was made.
    """
    try:
        import structlog
    except ImportError:
        pass  # a Sentry without it has handlers of `logging` alone
    else:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    for logger in [logging.getLogger()] + loggers:
        for handler in logger.handlers:
            if getattr(handler, "stream", None) in (sys.stdout, sys.__stdout__):
                handler.stream = sys.stderr
