"""Files that only their owner can read: they tell of nodes, and nodes hold what programs sent.

Their names can be guessed and their folder may be one that others write to, such as /tmp: a file or
a link that somebody put there first is never written to.
"""

import os
from typing import IO, Any


def opener(path: str, flags: int) -> int:
    """Open a file, as the `opener` of `open`; a link at the end of the path is not followed.

    :raises OSError: when it cannot be opened, or is a link.
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def create(path: str, mode: str, **others: Any) -> IO[Any]:
    """Open a new file in the place of whatever has its name.

    :param mode: "xb" or "x".
    :param others: Of `open`.
    :raises OSError: when it cannot be created, for a file of somebody else's in /tmp for example.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # the usual case: nothing was left by an earlier run
    return open(path, mode, opener=opener, **others)
