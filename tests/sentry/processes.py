"""Programs started for a test: each ends with it, or with the process that started it."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class ProgramError(Exception):
    """A program did not start, or ended too early; the message carries its last words."""


class Program:
    """A running program, what it printed being in the file `log`."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        """Its own process id: `setpriv` executes the program in its place."""
        return self.process.pid

    def said(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, ready: Callable[[], bool], what: str, deadline: float = 60) -> None:
        """Wait until `ready()` holds.

        :param deadline: Seconds to wait at most.
        :raises ProgramError: when it ends before that, or the deadline passes.
        """
        end = time.monotonic() + deadline
        while not ready():
            if self.process.poll() is not None:
                raise ProgramError(
                    f"{what}: ended with status {self.process.returncode}:\n{self.said()[-3000:]}"
                )
            if time.monotonic() > end:
                raise ProgramError(f"{what}: not within {deadline} s:\n{self.said()[-3000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM, deadline: float = 20) -> int:
        """Ask it to end, kill it after the deadline (seconds), and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(deadline)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


@contextlib.contextmanager
def running(
    command: Sequence[str],
    log: Path,
    *,
    user: str | None = None,
    stop_with: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    pipes: bool = False,
) -> Iterator[Program]:
    """Run a program in the background for as long as the context lasts.

    :param log: File for what it prints.
    :param user: Run it as this user; for root, as which PostgreSQL refuses to run.
    :param stop_with: The signal that ends it.
    :param pipes: Give it pipes as standard input and output; the log has its standard error then.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_bound_to_us(user, stop_with), *command],
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output,
            env=environment,
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        program.stop(stop_with)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _bound_to_us(user: str | None, stop_with: signal.Signals) -> list[str]:
    """Have the kernel send the signal should this process die before it can stop the program."""
    bound = ["setpriv", "--pdeathsig", stop_with.name.removeprefix("SIG")]
    if user is not None:
        bound += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return [*bound, "--"]
