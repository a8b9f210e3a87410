"""Ids to read from a source that cannot list its own: a file with one a line."""

import hashlib
import os
from typing import List, Optional, Tuple

from .. import private_file
from .source import Part, SourceError


class IDList:
    """A file of ids, one a line; empty lines are left out. It is never held in memory.

    Parts and cursors are places in the file, in bytes.

    :raises SourceError: when it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        digest = hashlib.sha256()
        try:
            with open(path, "rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
                self.size = file.tell()
        except OSError as error:
            raise SourceError(f"the list of ids cannot be read: {error}") from None
        self.digest = digest.hexdigest()

    def parts(self, count: int) -> List[Part]:
        """Split the file into about so many parts of about the same size, at ends of lines."""
        edges = [0]
        with open(self.path, "rb") as file:
            for n in range(1, count):
                file.seek(self.size * n // count)
                file.readline()
                edges.append(file.tell())
        edges = sorted({*edges, self.size})
        return [Part(str(after), str(upto)) for after, upto in zip(edges, edges[1:])]

    def page(
        self, part: Part, cursor: Optional[str], max_ids: int
    ) -> Tuple[List[str], Optional[str]]:
        """Give the next ids of a part and where the next ones begin, None at its end.

        :raises SourceError: when the file has been cut since, or a line is no text.
        """
        ids: List[str] = []
        end = int(part.upto or self.size)
        with open(self.path, "rb") as file:
            place = file.seek(int((part.after if cursor is None else cursor) or 0))
            while place < end and len(ids) < max_ids:
                line = file.readline()
                if not line:
                    raise SourceError(f"the list of ids {self.path} has become shorter")
                place += len(line)
                try:
                    id = line.decode("utf-8").strip()
                except UnicodeDecodeError:
                    raise SourceError(
                        f"the list of ids {self.path} is no text in UTF-8 before byte {place}"
                    ) from None
                if id:
                    ids.append(id)
        return ids, None if place >= end else str(place)

    def sample(self, count: int) -> Tuple[List[str], int]:
        """Give some ids from all over the file, and an estimate of how many there are."""
        found: List[str] = []
        lines = size = 0
        for part in self.parts(max(1, min(count, 16))):
            ids, _ = self.page(part, None, count // 16 + 1)
            found += ids
            lines += len(ids)
            size += sum(len(id.encode("utf-8")) + 1 for id in ids)
        return found[:count], int(lines * self.size / size) if size else 0


def spooled(stream: object, path: str) -> str:
    """Keep ids that come through a pipe in a file beside the checkpoint, and give its path.

    The name ends with the digest of the ids: a migration may be running that reads another list.
    """
    digest = hashlib.sha256()
    partial = f"{path}.{os.getpid()}.partial"
    with private_file.create(partial, "xb") as file:
        for block in iter(lambda: stream.read(1 << 20), b""):  # type: ignore[attr-defined]
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    kept = f"{path}.{digest.hexdigest()[:16]}"
    os.replace(partial, kept)
    return kept
