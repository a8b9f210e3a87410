"""What calls tell of the state of things, said in a WARNING when it needs a person.

Each call that fails raises; these are for whoever reads the log of the whole process.
"""

import time
from typing import Callable, Dict, Sequence

from . import errors
from .attention import Attention, attention

SPELL = 60.0
"""Seconds of throttling that make it persistent."""

GAP = 20.0
"""Seconds without any throttled request that end a spell."""

_THROTTLED = 2  # its place in `metrics.COUNTS`

# The service's text when the date of a request is too far from its own clock.
_CLOCK = "Mismatch between system time and x-ots-date"

_MEANING: Dict[type, str] = {
    errors.TablestoreAuthenticationError: "Calls fail because the access key is refused",
    errors.TablestorePermissionError: "Calls fail because the access key may not do them",
    errors.TablestoreTableMissingError: "Calls fail because the table does not exist",
    errors.TablestoreTableMismatchError: "Calls fail because the table has another shape",
    errors.TablestoreTableNotReadyError: "Calls fail because the table is not ready yet",
    errors.TablestoreUnavailableError: "Calls fail because the service keeps failing",
    errors.TablestoreThrottledError: "Calls fail because the service keeps throttling them",
    errors.TablestoreConnectionError: "Calls fail because the service cannot be reached",
    errors.TablestoreCertificateError: "Calls fail because the server's certificate is refused",
    errors.TablestoreTimeoutError: "Calls run into their deadline",
    errors.TablestoreCorruptAnswerError: "Calls fail because answers are altered on their way",
    errors.TablestorePartialError: "Calls fail for some of their nodes",
}


class Symptoms:
    """What the calls of one process have shown.

    :param clock: Gives seconds that never go back.
    """

    def __init__(self, told: Attention, clock: Callable[[], float] = time.monotonic) -> None:
        self._told = told
        self.clock = clock
        self._spell = _Spell()

    def failed(self, error: errors.TablestoreError) -> None:
        """Look at the error of a call."""
        if _CLOCK in error.message:
            meaning = "Calls fail because this machine's clock is wrong"
        else:
            meaning = next((_MEANING[cls] for cls in type(error).__mro__ if cls in _MEANING), "")
        if meaning:
            # The table and the request id are in the error's text.
            self._told.warn(meaning, f"{meaning}. {error}")

    def without_credentials(self, error: errors.TablestoreError) -> None:
        """Look at the error of a call that could not be signed."""
        self._told.warn("no credentials", f"Calls fail for want of credentials. {error}")

    def counted(self, counts: Sequence[int]) -> None:
        """Look at the counts of a call, in the order of `metrics.COUNTS`."""
        if not counts or not counts[_THROTTLED]:
            return
        now = self.clock()
        spell = self._spell
        if now - spell.last > GAP:
            spell = self._spell = _Spell(now)
        spell.last = now
        spell.requests += counts[_THROTTLED]
        if now - spell.begin >= SPELL:
            self._told.warn(
                "throttling",
                f"The service has been throttling this process for {now - spell.begin:.0f} "
                f"seconds: {spell.requests} requests had to be repeated or failed. Send less at "
                "once, or raise the instance's or the table's capacity.",
            )


class _Spell:
    """A time of throttling. Threads may lose a count of each other's: it is only told."""

    __slots__ = ("begin", "last", "requests")

    def __init__(self, begin: float = float("-inf")) -> None:
        self.begin = begin
        self.last = begin
        self.requests = 0


symptoms = Symptoms(attention)
