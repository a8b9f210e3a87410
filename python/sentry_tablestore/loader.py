"""Which copy of the engine a process uses, and how it gets it.

The engine is a Go runtime. It does not survive `fork`: a child that calls into it hangs for ever.
So

- nothing is loaded before the first operation of a process;
- the first process to need it loads the extension module from its file;
- a child of a process that did so loads a copy of its own: the file's bytes in an anonymous memory
  file are another file to the dynamic linker, and so a fresh runtime. The parent's copy stays
  mapped, and is never called or freed. The file stays open for that: an upgrade of the package puts
  another one in its place, which is of another version, and not even whole while it is written.

Signals are blocked in the loading thread while the library starts its threads, which inherit that
mask: a handler of Python's must never run on a thread of Go's.

There is no `os.register_at_fork` on CPython 3.6, so each call compares the process's id.
"""

import contextlib
import itertools
import os
import signal
import tempfile
import threading
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .errors import TablestoreLoadError

NAME = "sentry_tablestore._native"

_CHUNK = 1 << 20

# CPython 3.6 and 3.7 pass over the numbers that are no signals; later ones warn of them.
_ALL_SIGNALS = getattr(signal, "valid_signals", lambda: range(1, signal.NSIG))()

# Number of private copies tried in this process and the processes that it descends from.
_copies = itertools.count(1)


class Process:
    """The engine of one process.

    :ivar native: The extension module, None before it is loaded.
    :ivar handles: The open handle of each text of options; for `engine.Client`.
    :ivar library: The file that it was loaded from, None before and in most children.
    :ivar lock: Held while loading and while opening a handle.
    """

    __slots__ = (
        "ancestor",
        "children",
        "handles",
        "library",
        "loading",
        "lock",
        "native",
        "pid",
    )

    def __init__(self, pid: int, ancestor: "Optional[Process]") -> None:
        self.pid = pid
        self.native: Any = None
        self.handles: Dict[str, int] = {}
        self.library: Optional[_Library] = None
        # Re-entrant: the handler of a signal may use the store while its thread is loading.
        self.lock = threading.RLock()
        self.loading = False
        self.ancestor = ancestor
        self.children: Dict[int, Process] = {}

    def load(self) -> Any:
        """Give the extension module, loading it first where this process has not.

        :raises TablestoreLoadError: where the file is missing or is not for this machine.
        """
        with self.lock:
            if self.native is None:
                if not self._inherited():
                    library = self.hold()
                    if library.is_in_place():
                        self._keep(library.path)
                # Also an import of the module behind the loader's back, before a fork, shows here.
                if self.native is None or self.native.is_forked():
                    self._private_copy()
        return self.native

    def _inherited(self) -> bool:
        """Whether a process that this one was forked from has mapped the library, or half of it."""
        ancestor = self.ancestor
        while ancestor is not None:
            if ancestor.loading:
                return True
            ancestor = ancestor.ancestor
        return False

    def _keep(self, path: str) -> None:
        """Load the library at this path and make it this process's."""
        with _signals_blocked():
            # Before anything is mapped: a fork from another thread may come at any moment from here
            # on.
            self.loading = True
            try:
                self.native = _import(path)
            except ImportError as error:
                raise TablestoreLoadError(
                    f"the engine does not load on this machine: {error}", operation="load"
                ) from error

    def hold(self) -> "_Library":
        """Give the file that this process or an ancestor has opened, or else open it.

        :raises TablestoreLoadError: where it is missing or cannot be opened.
        """
        holder: Optional[Process] = self
        while holder is not None:
            if holder.library is not None and holder.library.is_open():
                return holder.library
            holder = holder.ancestor
        self.library = _Library(_file())
        return self.library

    def _private_copy(self) -> None:
        """Load a copy of the file that shares nothing with those of the ancestors."""
        source = self.hold()
        failed: List[str] = []
        for make in self._memory_files():
            try:
                with contextlib.closing(_Descriptor(make())) as copy:
                    source.copy_to(copy.number)
                    # The dynamic linker knows libraries by name before it looks at files, and the
                    # number may be that of an ancestor's copy: a longer path each time is a new
                    # name.
                    self._keep("/proc/self/fd/{}{}".format("./" * next(_copies), copy.number))
                    return
            except (OSError, TablestoreLoadError) as error:
                failed.append(str(error))
        try:
            with tempfile.NamedTemporaryFile(prefix="sentry-tablestore-", suffix=".so") as file:
                source.copy_to(file.fileno())
                self._keep(file.name)
        except (OSError, TablestoreLoadError) as error:
            failed.append(str(error))
            raise TablestoreLoadError(
                "no private copy of the engine could be made for this forked process: "
                + "; ".join(failed),
                operation="load",
            ) from error

    def _memory_files(self) -> Iterator[Callable[[], int]]:
        """Give the ways to an anonymous memory file.

        The engine's own needs no Python newer than 3.6.
        """
        ancestor: Optional[Process] = self
        while ancestor is not None:
            if ancestor.native is not None:
                yield ancestor.native.memfd
                break
            ancestor = ancestor.ancestor
        if hasattr(os, "memfd_create"):
            yield lambda: os.memfd_create("sentry-tablestore")


_current = Process(os.getpid(), None)


def process() -> Process:
    """Give this process's engine, loaded.

    :raises TablestoreLoadError: where it cannot be loaded.
    """
    current = _current
    native = current.native
    # The second question is for an id that the system gave again, to a descendant.
    if current.pid != os.getpid() or (native is not None and native.is_forked()):
        current = _enter_child(current)
        native = current.native
    if native is None:
        current.load()
    return current


def hold() -> None:
    """Open the library's file and keep it open, for this process and its children. Loads nothing.

    A process that only makes a store and forks then gives its children the engine of its own
    version, whatever is put in the file's place meanwhile. That there is none is said by its use.
    """
    known = _current if _current.pid == os.getpid() else _enter_child(_current)
    with contextlib.suppress(TablestoreLoadError):
        known.hold()


def current() -> Optional[Process]:
    """Give this process's engine if it is loaded. Loads nothing."""
    known = _current
    if known.native is None or known.pid != os.getpid() or known.native.is_forked():
        return None
    return known


def _enter_child(inherited: Process) -> Process:
    """Begin anew in a forked child.

    The inherited lock may be held by a thread that is not here: it is never touched.
    """
    global _current
    child = Process(os.getpid(), inherited)
    # Two threads of the child may come here at once. `setdefault` of a dict is atomic.
    _current = child = inherited.children.setdefault(child.pid, child)
    return child


def _file() -> str:
    folder = os.path.dirname(os.path.abspath(__file__))
    for suffix in EXTENSION_SUFFIXES:
        path = os.path.join(folder, "_native" + suffix)
        if os.path.exists(path):
            return path
    raise TablestoreLoadError(
        f"there is no engine in the installed package ({folder}): it was removed while this "
        "process ran, or it was not built; install a wheel of sentry-tablestore for this machine",
        operation="load",
    )


def _import(path: str) -> Any:
    """Import the extension module from this file.

    Without `sys.modules` and the locks of the import system: a forked child must not find its
    parent's module, nor wait for a lock whose holder was not forked.
    """
    loader = ExtensionFileLoader(NAME, path)
    spec = spec_from_file_location(NAME, path, loader=loader)
    module = module_from_spec(spec)  # type: ignore[arg-type]
    loader.exec_module(module)
    return module


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    # Asked for first: the call that blocks may itself raise from a handler, and the old mask be
    # lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Descriptor:
    """A file descriptor that `contextlib.closing` closes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        os.close(self.number)


class _Library:
    """The extension module's file, open for as long as the process runs and for its children.

    :raises TablestoreLoadError: where it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise TablestoreLoadError(
                f"the engine cannot be read: {error}", operation="load"
            ) from error
        self._identity = _identity(os.fstat(self._number))

    def is_open(self) -> bool:
        """Whether it still is: daemons close all that they inherit, and reuse the number."""
        try:
            return _identity(os.fstat(self._number)) == self._identity
        except OSError:
            return False

    def is_in_place(self) -> bool:
        """Whether it is what its path leads to."""
        try:
            return _identity(os.stat(self.path)) == self._identity
        except OSError:
            return False

    def copy_to(self, target: int) -> None:
        """Copy it in a loop: what stops short on a signal dies later with SIGBUS.

        By place: parent and children share where they are in the file.
        """
        place = 0
        while True:
            chunk = memoryview(os.pread(self._number, _CHUNK, place))
            if not chunk:
                return
            place += len(chunk)
            while chunk:
                chunk = chunk[os.write(target, chunk) :]


def _identity(found: os.stat_result) -> Tuple[int, int, int]:
    return found.st_dev, found.st_ino, found.st_size
