"""Watches how much memory a process takes, with all that it starts."""

import re
import subprocess
import threading
import time
from pathlib import Path

_EVERY = 0.05  # seconds


class Watched:
    """Most resident memory of a process, in bytes.

    It is the most that the kernel has seen (VmHWM), so nothing between two looks is missed but what
    a process takes in its last moments.

    :ivar alone: Of the process itself.
    :ivar together: Of it and its descendants at the same time.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.alone = self.together = 0
        self._process = process
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until it has seen the process end."""
        self._thread.join()

    def _watch(self) -> None:
        while self._process.poll() is None:
            alone = _most(self._process.pid)
            self.alone = max(self.alone, alone)
            self.together = max(self.together, alone + _descendants(self._process.pid))
            time.sleep(_EVERY)


def _most(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # it has ended meanwhile
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found.group(1)) * 1024 if found else 0


def _descendants(pid: int) -> int:
    size = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                size += _most(child) + _descendants(child)
    except OSError:
        pass  # it has ended meanwhile
    return size
