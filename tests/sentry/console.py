"""The test's end of a console inside a running Sentry."""

import json
import selectors
from typing import Any

import processes

# Seconds. Starting Sentry takes 2 to 5; an engine that hangs must not stall the tests for ever.
_DEADLINE = 120.0


class InsideError(Exception):
    """A function inside Sentry raised.

    :ivar classes: Full names of the exception's class and its base classes, its own first.
    :ivar message: What the exception says.
    :ivar traceback: Where it came from.
    """

    def __init__(self, classes: list[str], message: str, traceback: str) -> None:
        super().__init__(f"{classes[0]}: {message}\n{traceback}")
        self.classes = classes
        self.message = message
        self.traceback = traceback


class Console:
    """Calls functions of the package `inside` in a Sentry process of its own."""

    def __init__(self, program: processes.Program) -> None:
        assert program.process.stdin is not None
        assert program.process.stdout is not None
        self._program = program
        self._calls = program.process.stdin
        self._answers = program.process.stdout
        self.pid: int = self._answer()

    def call(self, function: str, **arguments: Any) -> Any:
        """Call `inside.<function>` with JSON arguments and return its JSON result.

        :raises InsideError: when the function raised.
        :raises processes.ProgramError: when Sentry ended or does not answer.
        """
        line = json.dumps({"function": function, "arguments": arguments})
        self._calls.write(line.encode() + b"\n")
        self._calls.flush()
        return self._answer()

    def _answer(self) -> Any:
        """Wait for one answer."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._answers, selectors.EVENT_READ)
            if not waiting.select(_DEADLINE):
                raise processes.ProgramError(
                    f"no answer within {_DEADLINE:.0f} s:\n{self._program.said()[-3000:]}"
                )
        line = self._answers.readline()
        if not line:
            raise processes.ProgramError(f"Sentry ended:\n{self._program.said()[-3000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise InsideError(**answer["error"])
        return answer["value"]
