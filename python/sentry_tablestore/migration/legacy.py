"""Legacy pickles to JSON, by the reader of Sentry's Django backend, in a process of its own.

The process is a whole Sentry: it takes 3 seconds to start and 200 MB, and is started for the first
pickle only. Loading a pickle can run any code, which is why --allow-pickle has to be given, and one
more reason why it happens elsewhere.

Its protocol: a request is a line with the length of a payload, then the payload; the answer is a
line with a letter and a length, then that many bytes. `j` is the JSON, `e` an error's text.
"""

import os
import pickletools
import subprocess
import sys
import threading
from typing import Any, List, Optional, Tuple

_EMPTY = {
    "PROTO",
    "FRAME",
    "EMPTY_DICT",
    "MARK",
    "DICT",
    "PUT",
    "BINPUT",
    "LONG_BINPUT",
    "MEMOIZE",
    "STOP",
}
"""Opcodes of a pickle that holds an empty dict and nothing else."""


_DEADLINE = 60.0
"""Seconds that one pickle may take."""


class LegacyReaderError(Exception):
    """The process cannot be started, or ended."""


class LegacyReader:
    """Converts payloads, one at a time, from any thread."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._lock = threading.Lock()

    def to_json(self, payload: bytes) -> Tuple[Optional[bytes], str]:
        """Give the JSON payload as Sentry's nodestore would write it, or None and why not.

        :raises LegacyReaderError: when Sentry does not start.
        """
        with self._lock:
            if self._process is None:
                self._process = self._start()
            # A pickle may be made to run for ever.
            watch = threading.Timer(_DEADLINE, self._process.kill)
            watch.start()
            try:
                letter, text = _ask(self._process, payload)
            except LegacyReaderError as error:
                # It died of this pickle; the next one gets a new one.
                self.close()
                return None, str(error)
            finally:
                watch.cancel()
        if letter == b"j":
            return text, ""
        return None, text.decode("utf-8", "replace")

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = [package] + [part for part in [os.environ.get("PYTHONPATH")] if part]
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(path)),
            start_new_session=True,  # Ctrl-C at the terminal is the migration's to handle
        )
        letter, text = _answer(process)
        if letter != b"j":
            process.kill()
            process.wait()
            raise LegacyReaderError(
                "Sentry's Django nodestore, which reads legacy pickles, does not start: "
                + text.decode("utf-8", "replace")
            )
        return process


def _ask(process: Any, payload: bytes) -> Tuple[bytes, bytes]:
    try:
        process.stdin.write(b"%d\n" % len(payload) + payload)
        process.stdin.flush()
    except OSError:
        pass  # it ended: the answer says so
    return _answer(process)


def _answer(process: Any) -> Tuple[bytes, bytes]:
    line = process.stdout.readline()
    if not line:
        status = process.wait()
        raise LegacyReaderError(f"the reader of legacy pickles ended with status {status}")
    letter, length = line.split()
    return letter, process.stdout.read(int(length))


def convert(backend: Any, payload: bytes) -> bytes:
    """Read a pickle with the Django backend's reader, and encode the value as Sentry does.

    :param backend: A DjangoNodeStorage.
    :raises ValueError: when its reader fails on it, or JSON cannot hold the value.
    """
    value = backend._decode(payload, subkey=None)
    # The reader logs what goes wrong and gives an empty dict, which must not replace an event.
    if value is None or (value == {} and not _is_empty_dict(payload)):
        raise ValueError("Sentry's own reader cannot load this pickle")
    if hasattr(value, "items") and not isinstance(value, dict):
        value = dict(value.items())  # the dicts with canonical keys that old events are
    try:
        return bytes(backend._encode({None: value}))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"JSON cannot hold its value: {error}") from None


def _is_empty_dict(payload: bytes) -> bool:
    """Whether a pickle holds an empty dict, told by looking and not by loading."""
    try:
        return {opcode.name for opcode, _, _ in pickletools.genops(payload)} <= _EMPTY
    except Exception:  # noqa: BLE001 - whatever it stumbles over, it is no empty dict
        return False


def main() -> None:
    """Answer requests on standard input until it ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Sentry prints must not come between the answers

    def answer(letter: bytes, content: bytes) -> None:
        answers.write(b"%s %d\n" % (letter, len(content)) + content)
        answers.flush()

    try:
        backend = _django_backend()
    except BaseException as error:  # noqa: BLE001 - told to the migration, whatever it is
        answer(b"e", f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
        return
    answer(b"j", b"")
    for line in iter(requests.readline, b""):
        payload = requests.read(int(line))
        try:
            answer(b"j", convert(backend, payload))
        except ValueError as error:
            answer(b"e", str(error).encode("utf-8", "replace"))


def _django_backend() -> Any:
    import logging

    os.environ["SENTRY_SKIP_BACKEND_VALIDATION"] = "1"
    from sentry.runner import configure

    configure()
    # Its reader logs every pickle that it cannot load, with a traceback; the report lists them.
    logging.disable(logging.CRITICAL)
    modules: List[str] = ["sentry.services.nodestore.django", "sentry.nodestore.django"]
    import importlib

    for name in modules:
        try:
            return importlib.import_module(name).DjangoNodeStorage()
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or "") or name == modules[-1]:
                raise
    raise AssertionError("one of them is there or raises")


if __name__ == "__main__":
    main()
