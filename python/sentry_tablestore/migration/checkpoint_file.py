"""A checkpoint in a file, replaced as a whole, and a journal of failures beside it."""

import fcntl
import glob
import json
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple
from urllib.parse import quote, unquote

from . import private_file
from .checkpoint import CheckpointError, Keeper
from .tally import Failure


class FileKeeper(Keeper):
    """FILE, with FILE.journal of the failures, FILE.sent.N of worker N and FILE.lock beside it.

    :param path: FILE. Its folder must be there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._journal_path = path + ".journal"
        self._lock_file: Any = None
        self._length = 0

    def describe(self) -> str:
        return f"the checkpoint {self.path}"

    def lock(self) -> str:
        try:
            file = open(  # noqa: SIM115 - open as long as the lock is held
                self.path + ".lock", "a+", opener=private_file.opener
            )
        except OSError as error:
            raise CheckpointError(f"the checkpoint {self.path} cannot be kept: {error}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise CheckpointError(
                f"another migration is running with the checkpoint {self.path}: one at a time"
            ) from None
        self._lock_file = file
        return ""

    def load(self) -> Optional[Dict[str, Any]]:
        try:
            with open(self.path, encoding="utf-8") as file:
                state = json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint {self.path} cannot be read: {error}; begin anew with --restart"
            ) from None
        if not isinstance(state, dict) or not isinstance(state.get("journal"), int):
            raise CheckpointError(
                f"{self.path} is no checkpoint of a migration: name another file with --checkpoint"
            )
        self._length = state["journal"]
        self._cut_journal()
        return state

    def save(self, state: Dict[str, Any], failures: List[Failure]) -> None:
        try:
            length = self._lengthen_journal(failures) if failures else self._length
            state["journal"] = length
            partial = self.path + ".partial"
            with private_file.create(partial, "x", encoding="utf-8") as file:
                file.write(json.dumps(state))
                _flush(file)
            os.replace(partial, self.path)
            _flush_folder(self.path)
            self._length = length
        except OSError as error:
            raise CheckpointError(f"the checkpoint {self.path} cannot be saved: {error}") from error

    def failures(self, start: int, end: int) -> Iterator[Tuple[int, Failure]]:
        if start >= end:
            return
        with open(self._journal_path, "rb") as journal:
            place = journal.seek(start)
            while place < end:
                line = journal.readline()
                place += len(line)
                yield place, _failure(line)

    def forget(self) -> None:
        for path in (self.path, self._journal_path):
            try:
                os.remove(path)
            except FileNotFoundError:
                pass  # there is nothing to forget
        self._length = 0

    def send(self, worker: int, text: str) -> None:
        path = f"{self.path}.sent.{worker}"
        partial = path + ".partial"
        try:
            with private_file.create(partial, "x", encoding="utf-8") as file:
                file.write(text)
            # Without a flush: what the system has of it outlives a kill.
            os.replace(partial, path)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be written: {error}") from error

    def sent(self) -> List[str]:
        texts = []
        for path in self._sent_files():
            try:
                with open(path, encoding="utf-8") as file:
                    texts.append(file.read())
            except OSError as error:
                raise CheckpointError(f"{path} cannot be read: {error}") from error
        return texts

    def forget_sent(self) -> None:
        for path in self._sent_files():
            os.remove(path)

    def close(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _sent_files(self) -> List[str]:
        names = glob.glob(glob.escape(self.path) + ".sent.*")
        return [name for name in names if not name.endswith(".partial")]

    def _lengthen_journal(self, failures: List[Failure]) -> int:
        """Write behind what the last checkpoint counts on, and give the new length."""
        with open(self._journal_path, "ab", opener=private_file.opener) as journal:
            journal.truncate(self._length)
            journal.seek(self._length)
            journal.write(b"".join(_line(failure) for failure in failures))
            _flush(journal)
            return journal.tell()

    def _cut_journal(self) -> None:
        """Drop what was written after the last checkpoint: its batch is done again."""
        try:
            size = os.path.getsize(self._journal_path) if self._length else 0
            if size < self._length:
                raise CheckpointError(
                    f"{self._journal_path} has lost what {self.path} counts on: begin anew with "
                    "--restart"
                )
            if os.path.exists(self._journal_path):
                os.truncate(self._journal_path, self._length)
        except OSError as error:
            raise CheckpointError(f"{self._journal_path} cannot be used: {error}") from error


def _line(failure: Failure) -> bytes:
    """Write a failure on a line: ids and details may hold any character."""
    return "\t".join(quote(part) for part in failure).encode("ascii") + b"\n"


def _failure(line: bytes) -> Failure:
    return Failure(*(unquote(part) for part in line.decode("ascii").rstrip("\n").split("\t")))


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(path: str) -> None:
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
