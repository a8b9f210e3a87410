"""What the checks found."""

from typing import Callable, List, NamedTuple, Optional

from ...errors import TablestoreError

OK = "ok"
WARNING = "warning"
FAILED = "failed"
SKIPPED = "skipped"


class Outcome(NamedTuple):
    """What one check found.

    `status` is one of the four above, `advice` what to do ("" nothing), `milliseconds` how long the
    operation took, where that tells something.
    """

    name: str
    status: str
    message: str
    advice: str = ""
    milliseconds: Optional[float] = None


class Report:
    """The outcomes, in the order of the checks.

    :param show: Called with each as it comes.
    """

    def __init__(self, show: Callable[[Outcome], None]) -> None:
        self.outcomes: List[Outcome] = []
        self._show = show

    def add(
        self,
        name: str,
        status: str,
        message: str,
        advice: str = "",
        milliseconds: Optional[float] = None,
    ) -> None:
        """Note what a check found."""
        outcome = Outcome(name, status, message, advice, milliseconds)
        self.outcomes.append(outcome)
        self._show(outcome)

    def skip(self, names: List[str], reason: str) -> None:
        """Note that these checks could not be made, and show that as one."""
        if not names:
            return
        self.outcomes += [Outcome(name, SKIPPED, reason) for name in names]
        several = f"{len(names)} checks"
        self._show(
            Outcome(names[0], SKIPPED, reason)
            if len(names) == 1
            else Outcome(several, SKIPPED, "{}: {}".format(reason, ", ".join(names)))
        )

    def count(self, status: str) -> int:
        """Count the outcomes with this status."""
        return sum(outcome.status == status for outcome in self.outcomes)


def told(error: TablestoreError) -> str:
    """Give the text of an error without its advice."""
    text = str(error)
    if error.advice and text.endswith(error.advice):
        text = text[: -len(error.advice)].rstrip()
    return text
