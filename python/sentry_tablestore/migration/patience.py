"""Waits out failures that may pass, such as throttling, in the midst of long work."""

import time
from typing import Any, Callable, Optional

from ..errors import TablestoreError
from .carry import is_temporary
from .sources.source import SourceUnavailableError

_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds


def patiently(
    work: Callable[..., Any],
    *arguments: Any,
    pause: Optional[Callable[[float], Any]] = None,
    **others: Any,
) -> Any:
    """Do a step of it, and again after longer and longer pauses, of a minute in all.

    :param work: Called with the arguments; may be called again after a failure that may pass.
    :param pause: Waits so many seconds, in place of `time.sleep`; what it raises ends the work.
    :raises TablestoreError: of its last try, or one that no wait would mend.
    """
    for seconds in _PAUSES:
        try:
            return work(*arguments, **others)
        except SourceUnavailableError:
            pass  # it may be back after the pause
        except TablestoreError as error:
            if not is_temporary(error):
                raise
        (pause or time.sleep)(seconds)
    return work(*arguments, **others)
