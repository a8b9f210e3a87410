"""When a provider of credentials is asked again.

One rotation serves all stores of a process that name the same provider. No thread is started: the
call that finds the credentials due asks for new ones, while the others go on with the old ones. A
forked child begins with its parent's credentials and locks of its own.
"""

import itertools
import logging
import os
import random
import threading
import time
from typing import Any, Dict, Optional

from ..attention import attention
from ..errors import TablestoreAuthenticationError, from_engine
from .answer import Credentials, moment, of_answer
from .provider import Provider

logger = logging.getLogger("sentry_tablestore.kvstore.tablestore")

MARGIN = 20 * 60.0
"""Seconds before the expiration from which new credentials are asked for; half of what is left of
their life where that is shorter."""

PAUSE = 60.0
"""Seconds between two attempts while the old credentials are good; a quarter of what is left of
their life where that is shorter. Also how long credentials without an expiration are kept."""

REFUSED_PAUSE = 10.0
"""Seconds between two attempts because the service refused the credentials."""

FAILURE_KEPT = 1.0
"""Seconds for which a failure without any good credentials is the answer to other calls too, so
that those that waited for it do not each wait for one of their own."""


class _State:
    """The credentials of one process."""

    __slots__ = (
        "asking",
        "credentials",
        "due",
        "failed_at",
        "failure",
        "given",
        "handing",
        "lock",
        "refused_at",
    )

    def __init__(self, parent: "Optional[_State]" = None) -> None:
        # Re-entrant: the handler of a signal may use the store while its thread is asking.
        self.lock = threading.RLock()
        self.asking = False
        self.credentials: Optional[Credentials] = None if parent is None else parent.credentials
        self.due = 0.0 if parent is None else parent.due
        self.failure = ""
        self.failed_at = float("-inf")
        self.refused_at = float("-inf")
        # Not `lock`, which is held as long as the provider takes.
        self.handing = threading.RLock()
        # What the engine's clients have, by handle.
        self.given: Dict[int, Credentials] = {}


class Rotation:
    """The credentials of one provider.

    :param number: Distinguishes it from every other one of the process.
    :param clock: Gives seconds since 1970.
    """

    def __init__(self, provider: Provider, number: int, clock: Any = time.time) -> None:
        self.name = provider.name
        self.number = number
        self._provider = provider
        self._clock = clock
        self._pid = os.getpid()
        self._state = _State()
        self._children: Dict[int, _State] = {}

    @property
    def identity(self) -> str:
        """What keeps the engine's clients of different providers apart: `credentials_from`."""
        return f"{self.name} #{self.number}"

    def current(self, patience: float) -> Credentials:
        """Give good credentials, asking the provider where they are due.

        :param patience: Seconds to wait for another thread that is asking.
        :raises TablestoreAuthenticationError: when there are none, naming the provider and why.
        """
        state = self._own()
        credentials = state.credentials
        now = self._clock()
        if credentials is not None and now < state.due:
            return credentials
        good = credentials is not None and not _expired(credentials, now)
        if good and (state.asking or not state.lock.acquire(blocking=False)):
            return credentials  # type: ignore[return-value]
        if not good and not state.lock.acquire(timeout=patience):
            raise self._error(f"another thread has waited for it for {patience:g} seconds")
        try:
            return self._refresh(state)
        finally:
            state.lock.release()

    def renew(self, refused: Credentials, patience: float) -> bool:
        """Look for other credentials than these, which the service has refused.

        :param patience: Seconds to wait for another thread that is asking.
        :returns: Whether there are others now, so that the call is worth repeating.
        """
        state = self._own()
        if not state.lock.acquire(timeout=patience):
            return False
        try:
            if state.credentials is not refused:
                return state.credentials is not None
            now = self._clock()
            if state.asking or abs(now - state.refused_at) < REFUSED_PAUSE:
                return False
            state.refused_at = now
            problem = self._ask(state)
            if problem:
                self._warn(problem)
                return False
            return not refused.same_key(state.credentials)  # type: ignore[arg-type]
        finally:
            state.lock.release()

    def hand_to(self, native: Any, handle: int) -> Credentials:
        """Give the newest credentials to a client of the engine, where it has others.

        :param native: The extension module of this process.
        """
        state = self._own()
        credentials = state.credentials
        if state.given.get(handle) is credentials:
            return credentials  # type: ignore[return-value]
        # Under a lock: no thread that was held up brings older ones after these.
        with state.handing:
            credentials = state.credentials
            if state.given.get(handle) is not credentials:
                status, result = credentials.give_to(native, handle)[:2]
                if status:
                    raise from_engine(result)
                state.given[handle] = credentials
            return credentials

    def forget(self, handle: int) -> None:
        """Forget a client that is closed."""
        self._own().given.pop(handle, None)

    def _own(self) -> _State:
        """Give this process's state, never the parent's: a thread that is not here may hold its
        lock."""
        pid = os.getpid()
        if pid == self._pid:
            return self._state
        child = self._children.get(pid)
        if child is None:
            child = self._children.setdefault(pid, _State(self._state))
            # From the first state of the child on, its own children inherit from it.
            self._state, self._pid = child, pid
        return child

    def _refresh(self, state: _State) -> Credentials:
        """Ask for new credentials where they are still due, holding the lock."""
        credentials, now = state.credentials, self._clock()
        if credentials is not None and now < state.due:
            return credentials
        good = credentials is not None and not _expired(credentials, now)
        if state.asking:
            if good:
                return credentials  # type: ignore[return-value]
            raise self._error("it uses the store that waits for its credentials")
        problem = state.failure
        if good or abs(now - state.failed_at) >= FAILURE_KEPT:
            problem = self._ask(state)
        if not problem:
            return state.credentials  # type: ignore[return-value]
        if not good:
            if credentials is not None:
                problem += f"; the old credentials have expired {moment(credentials.expires)}"
            raise self._error(problem)
        state.due = now + _pause(credentials, now)  # type: ignore[arg-type]
        self._warn(problem + f"; going on with those that expire {moment(credentials.expires)}")  # type: ignore[union-attr]
        return credentials  # type: ignore[return-value]

    def _ask(self, state: _State) -> str:
        """Ask the provider, keep what it answers, and tell what went wrong, else ""."""
        state.asking = True
        try:
            problem = self._fetch(state)
        finally:
            state.asking = False
        if problem and state.credentials is not None:
            problem = state.credentials.hide_in(problem)
        state.failure = problem
        state.failed_at = self._clock() if problem else float("-inf")
        return problem

    def _fetch(self, state: _State) -> str:
        try:
            # The answer has no name here: see `of_answer`.
            credentials = of_answer(self._provider.fetch())
        except Exception as error:  # noqa: BLE001 - told, and raised where there is nothing else
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(credentials, str):
            return credentials
        now = self._clock()
        if _expired(credentials, now):
            return f"the credentials that it gave have expired {moment(credentials.expires)}"
        state.due = _due(credentials, now)
        if state.credentials is None or not credentials.same_key(state.credentials):
            logger.debug(
                "New credentials from %s, which expire %s.", self.name, moment(credentials.expires)
            )
        state.credentials = credentials
        return ""

    def _error(self, problem: str) -> TablestoreAuthenticationError:
        error = TablestoreAuthenticationError(
            f"no credentials from credentials_provider {self.name}: {problem}",
            operation="credentials",
        )
        # That of its class is for a key that the service has seen.
        error.advice = "Nothing was sent: mend the provider, or name another in that option."
        return error

    def _warn(self, problem: str) -> None:
        attention.warn(
            f"credentials {self.number}",
            f"credentials_provider {self.name} gives no new credentials: {problem}",
        )

    def __repr__(self) -> str:
        return f"<Rotation of {self.name}>"


def _expired(credentials: Credentials, now: float) -> bool:
    return credentials.expires is not None and credentials.expires <= now


def _pause(credentials: Credentials, now: float) -> float:
    if credentials.expires is None:
        return PAUSE
    return min(PAUSE, (credentials.expires - now) / 4)


def _due(credentials: Credentials, now: float) -> float:
    """Tell when to ask for the next ones.

    Not all processes of a machine at once. A provider may go on giving the same ones for a while,
    and is not asked at every call then.
    """
    pause = _pause(credentials, now)
    if credentials.expires is None:
        return now + pause
    margin = min(MARGIN, (credentials.expires - now) / 2) * random.uniform(0.9, 1.1)
    return max(now + pause, credentials.expires - margin)


_rotations: Dict[Any, Rotation] = {}
_numbers = itertools.count(1)


def rotation_of(provider: Provider) -> Rotation:
    """Give the process's rotation of this provider."""
    known = _rotations.get(provider.key)
    if known is None:
        # No lock that a fork could leave held: the loser of a race is dropped unused.
        known = _rotations.setdefault(provider.key, Rotation(provider, next(_numbers)))
    return known
