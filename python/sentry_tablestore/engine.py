"""Calls of the engine: handles, credentials, errors and log records. The only user of the native
module."""

import json
import logging
import time
from typing import Any, Optional, Sequence, Tuple

from . import loader
from .credentials.answer import Credentials
from .credentials.rotation import Rotation
from .errors import TablestoreAuthenticationError, TablestoreError, from_engine
from .metrics import Observers
from .secret import Secret
from .symptoms import symptoms

project_logger = logging.getLogger("sentry_tablestore.kvstore.tablestore")

_now = time.monotonic


def version() -> str:
    """Tell which build of the engine this process uses; loads it.

    :returns: Version, commit, Go and platform: "2.0.0 (commit 1f2e3d, go1.26.8, linux/amd64)".
    :raises TablestoreLoadError: where it does not load.
    """
    return str(loader.process().native.version())


def limit_heap(size: int) -> None:
    """Keep what the engine of this process has at about so many bytes, for up to half of its time.

    :raises TablestoreLoadError: where it does not load.
    """
    loader.process().native.limit_heap(size)


class Client:
    """The engine's client for one set of options, shared by all threads of a process and all stores
    with the same.

    Making one starts nothing: each process opens its own at its first call.

    :param options: JSON text for `_native.open`.
    :param logger_name: Name of the logger that gets a record for each request.
    :param rotation: Where its credentials come from; None: they are in `options`.
    :param observers: Who is told of each call.
    :param patience: Seconds that a call may wait for another thread to fetch credentials.
    """

    def __init__(
        self,
        options: Secret,
        logger_name: str,
        rotation: Optional[Rotation],
        observers: Observers,
        patience: float,
    ) -> None:
        loader.hold()
        self._options = options
        self._client_logger = logging.getLogger(logger_name)
        self._rotation = rotation
        self._observers = observers
        self._patience = patience

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the engine with a handle, and give its result.

        :param function: Name of a function of `_native` that takes a handle.
        :raises TablestoreError: the exception of the error that the engine told.
        """
        began = _now()
        counts: Sequence[int] = ()
        failure: Optional[str] = None
        try:
            failed, result, counts = self._call(function, arguments)
            if failed:
                error = from_engine(result)
                symptoms.failed(error)
                raise error
            return result
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            symptoms.counted(counts)
            self._observers.tell(function, _now() - began, counts, failure)

    def close(self) -> None:
        """Close the client in this process, for every store that shares it.

        The next call opens a new one.
        """
        process = loader.current()
        if process is None:
            return
        with process.lock:
            handle = process.handles.pop(self._options.reveal(), None)
        if handle is not None:
            process.native.close(handle)
            if self._rotation is not None:
                self._rotation.forget(handle)

    def _call(self, function: str, arguments: Tuple[Any, ...]) -> Tuple[bool, Any, Sequence[int]]:
        """Give whether it failed, the result or the engine's error, and the counts."""
        process = loader.process()
        handle = process.handles.get(self._options.reveal())
        if handle is None:
            handle = self._open(process)
        if self._rotation is None:
            return self._send(process.native, function, handle, arguments)
        end = _now() + self._patience
        used = self._authorise(self._rotation, process.native, handle)
        failed, result, counts = self._send(process.native, function, handle, arguments)
        if failed and _is_refusal(result) and self._rotation.renew(used, max(0.0, end - _now())):
            self._rotation.hand_to(process.native, handle)
            failed, result, more = self._send(process.native, function, handle, arguments)
            counts = [a + b for a, b in zip(counts, more)]
        return failed, result, counts

    def _authorise(self, rotation: Rotation, native: Any, handle: int) -> Credentials:
        """Make the client sign with good credentials, and give them.

        :raises TablestoreAuthenticationError: when there are none.
        """
        try:
            rotation.current(self._patience)
        except TablestoreError as error:
            symptoms.without_credentials(error)
            raise
        return rotation.hand_to(native, handle)

    def _send(
        self, native: Any, function: str, handle: int, arguments: Tuple[Any, ...]
    ) -> Tuple[bool, Any, Sequence[int]]:
        status, result, logs, counts = getattr(native, function)(
            handle,
            *arguments,
            project_logger.getEffectiveLevel(),
            self._client_logger.getEffectiveLevel(),
        )
        if logs is not None:
            self._emit(logs)
        return bool(status), result, counts

    def _open(self, process: loader.Process) -> int:
        with process.lock:
            handle = process.handles.get(self._options.reveal())
            if handle is None:
                status, handle, logs, _ = process.native.open(
                    self._options.reveal().encode("utf-8")
                )
                if logs is not None:
                    self._emit(logs)
                if status:
                    raise from_engine(handle)
                process.handles[self._options.reveal()] = handle
            return handle

    def _emit(self, logs: bytes) -> None:
        for record in json.loads(logs.decode("utf-8")):
            logger = self._client_logger if record["logger"] == "client" else project_logger
            # Not as an argument of "%s": by its format Sentry would take all of them for one issue.
            logger.log(record["level"], record["message"])


def _is_refusal(error: bytes) -> bool:
    """Whether the service refused the access key or its token."""
    return json.loads(error.decode("utf-8")).get("kind") == TablestoreAuthenticationError.kind
