"""Warnings of what needs a person: said once, and then not again for some minutes.

A failing service fails thousands of calls a minute, each of which raises its own exception. The
log gets one WARNING of each kind in `INTERVAL`, which says how many were held back since the last.
"""

import logging
import os
import threading
import time
from typing import Any, Callable, Dict, List

INTERVAL = 300.0
"""Seconds between two warnings of one kind in one process."""


class Attention:
    """The warnings of one process; a forked child begins anew.

    :param clock: Gives seconds that never go back.
    """

    def __init__(self, logger: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self.clock = clock
        self._states: Dict[int, _State] = {}

    def warn(self, kind: str, message: str) -> None:
        """Log the message, unless one of that kind has been logged within the interval.

        :param message: No format: Sentry would take all of one format for one issue.
        """
        pid = os.getpid()
        # Never an inherited lock, which a thread that is not here may hold.
        state = self._states.get(pid) or self._states.setdefault(pid, _State())
        with state.lock:
            now = self.clock()
            last_and_held = state.said.setdefault(kind, [float("-inf"), 0])
            if now - last_and_held[0] < INTERVAL:
                last_and_held[1] += 1
                return
            held = last_and_held[1]
            last_and_held[:] = [now, 0]
        if held:
            message += f" [{held} more of this kind since the last warning]"
        self._logger.warning(message)

    def begin_anew(self) -> None:
        """Forget what was said, as a test does."""
        self._states = {}


class _State:
    __slots__ = ("lock", "said")

    def __init__(self) -> None:
        # Re-entrant: the handler of a signal may use the store in its midst.
        self.lock = threading.RLock()
        self.said: Dict[str, List[Any]] = {}


attention = Attention(logging.getLogger("sentry_tablestore.kvstore.tablestore"))
