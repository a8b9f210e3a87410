"""Calls of the engine: handles, errors and log records. The only user of the native module."""

import json
import logging
from typing import Any

from . import loader
from .errors import from_engine
from .options import Secret

project_logger = logging.getLogger("sentry_tablestore.kvstore.tablestore")


def version() -> str:
    """Tell which build of the engine this process uses; loads it.

    :returns: Version, commit, Go and platform: "2.0.0 (commit 1f2e3d, go1.26.8, linux/amd64)".
    :raises TablestoreLoadError: where it does not load.
    """
    return str(loader.process().native.version())


class Client:
    """The engine's client for one set of options, shared by all threads of a process and all stores
    with the same.

    Making one starts nothing: each process opens its own at its first call.

    :param options: JSON text for `_native.open`.
    :param logger_name: Name of the logger that gets a record for each request.
    """

    def __init__(self, options: Secret, logger_name: str) -> None:
        self._options = options
        self._client_logger = logging.getLogger(logger_name)

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the engine with a handle, and give its result.

        :param function: Name of a function of `_native` that takes a handle.
        :raises TablestoreError: the exception of the error that the engine told.
        """
        process = loader.process()
        handle = process.handles.get(self._options.reveal())
        if handle is None:
            handle = self._open(process)
        return self._finish(
            getattr(process.native, function)(
                handle,
                *arguments,
                project_logger.getEffectiveLevel(),
                self._client_logger.getEffectiveLevel(),
            )
        )

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

    def _open(self, process: loader.Process) -> int:
        with process.lock:
            handle = process.handles.get(self._options.reveal())
            if handle is None:
                handle = self._finish(process.native.open(self._options.reveal().encode("utf-8")))
                process.handles[self._options.reveal()] = handle
            return handle

    def _finish(self, answer: Any) -> Any:
        """Emit the records of a call, then raise its error or give its result."""
        status, result, logs, _counts = answer
        if logs is not None:
            self._emit(logs)
        if status:
            raise from_engine(result)
        return result

    def _emit(self, logs: bytes) -> None:
        for record in json.loads(logs.decode("utf-8")):
            logger = self._client_logger if record["logger"] == "client" else project_logger
            # Not as an argument of "%s": by its format Sentry would take all of them for one issue.
            logger.log(record["level"], record["message"])
