"""Every exception that this package raises for a failed operation.

::

    TablestoreError
    ├── TablestoreOptionsError            an option is wrong; ValueError
    ├── TablestoreInvalidIDError          the id can be no primary key; ValueError
    ├── TablestoreValueTooLargeError      the value exceeds 64 MiB; ValueError
    ├── TablestoreCorruptionError
    │   ├── TablestoreCorruptRowError     the row is there and cannot be decoded
    │   └── TablestoreCorruptAnswerError  answers kept failing their checks
    ├── TablestoreAccessError
    │   ├── TablestoreAuthenticationError the key, its secret, the token or the clock is wrong
    │   └── TablestorePermissionError     the key may not do this
    ├── TablestoreTableError
    │   ├── TablestoreTableMissingError   the table has not been created
    │   ├── TablestoreTableMismatchError  the table has another shape
    │   └── TablestoreTableNotReadyError  it was created a moment ago; Unavailable too
    ├── TablestoreUnavailableError        the service failed; ServiceUnavailable
    │   ├── TablestoreThrottledError      the service asked to slow down
    │   └── TablestoreConnectionError     it could not be reached; ConnectionError
    ├── TablestoreCertificateError        the server's certificate is refused; ConnectionError
    ├── TablestoreTimeoutError            no answer in time; DeadlineExceeded, TimeoutError
    ├── TablestorePartialError            rows of a batch failed for reasons not all temporary
    ├── TablestoreServiceError            any other code of the service
    ├── TablestoreClosedError             the client was closed during the call
    ├── TablestoreLoadError               the engine could not be loaded; ImportError
    └── TablestoreInternalError           a defect of this package; the engine goes on

After the semicolon: what it is an instance of as well.

`ServiceUnavailable` and `DeadlineExceeded` are those of `google.api_core.exceptions`, where that
package can be imported: they are what Sentry retries on. What is temporary has been retried by the
engine until the deadline before it is raised. A batch whose rows failed for different temporary
reasons is a TablestoreUnavailableError with `failures`.

No text of an exception holds a credential or a value. An argument of a wrong type is a TypeError as
everywhere.
"""

import json
from typing import Dict, NamedTuple, Sequence, Type

try:
    from google.api_core.exceptions import DeadlineExceeded as _DeadlineExceeded
    from google.api_core.exceptions import ServiceUnavailable as _ServiceUnavailable
except Exception:  # noqa: BLE001 - protobuf raises TypeError and others when versions do not fit

    class _ServiceUnavailable(Exception):  # type: ignore[no-redef]
        """Stands where google.api_core has a base class; never raised itself."""

    class _DeadlineExceeded(Exception):  # type: ignore[no-redef]
        """Stands where google.api_core has a base class; never raised itself."""


_SHOWN_IDS = 5
_SHOWN_CHARACTERS = 1000


class Failure(NamedTuple):
    """One failed row of a batch."""

    id: str
    kind: str
    code: str
    message: str
    request_id: str


class TablestoreError(Exception):
    """A failed operation, and the base of all others.

    :ivar operation: What was being done, as the service or this package calls it; "" unknown.
    :ivar table: The table's name; "" when no table was concerned.
    :ivar code: The service's error code, such as OTSServerBusy; "" when it did not answer with one.
    :ivar message: What happened, without the other attributes.
    :ivar request_id: The service's id of the request, for its support; "" when no answer came.
    :ivar http_status: The answer's status; 0 when no answer came.
    :ivar ids: Ids of the nodes concerned, where few.
    :ivar failures: Each failed row of a batch, a tuple of `Failure`.
    """

    kind = ""
    advice = ""

    def __init__(
        self,
        message: str = "",
        *,
        operation: str = "",
        table: str = "",
        code: str = "",
        request_id: str = "",
        http_status: int = 0,
        ids: Sequence[str] = (),
        failures: Sequence[Failure] = (),
    ) -> None:
        super().__init__(message)
        # After the base's: those of google.api_core set some of the same names.
        self.message = message
        self.operation = operation
        self.table = table
        self.code = code
        self.request_id = request_id
        self.http_status = http_status
        self.ids = tuple(ids)
        self.failures = tuple(failures)

    def __str__(self) -> str:
        """Say everything on one line, and what to do about it."""
        where = self.operation
        if self.table:
            where += f" on table '{self.table}'" if where else f"table '{self.table}'"
        parts = [part for part in (where, self.code, _one_line(self.message)) if part]
        text = ": ".join(parts) or type(self).__name__
        answer = []
        if self.http_status:
            answer.append(f"HTTP {self.http_status}")
        if self.request_id:
            answer.append(f"request id {self.request_id}")
        if self.ids:
            answer.append(_some(self.ids))
        if answer:
            text += " ({})".format(", ".join(answer))
        if self.advice:
            text += ("" if text.endswith((".", "!", "?")) else ".") + " " + self.advice
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class TablestoreOptionsError(TablestoreError, ValueError):
    """An option is missing, unknown or wrong; the message names it."""

    kind = "options"


class TablestoreInvalidIDError(TablestoreError, ValueError):
    """The id can be no primary key: empty, over 1,024 bytes of UTF-8, or no valid text."""

    kind = "invalid_id"


class TablestoreValueTooLargeError(TablestoreError, ValueError):
    """The value is larger than 64 MiB; nothing was written."""

    kind = "value_too_large"


class TablestoreCorruptionError(TablestoreError):
    """Bytes that are not what was written."""


class TablestoreCorruptRowError(TablestoreCorruptionError):
    """The row is there and cannot be decoded."""

    kind = "corrupt_row"
    advice = "The row was damaged or another program wrote it: look at its columns, or delete it."


class TablestoreCorruptAnswerError(TablestoreCorruptionError):
    """Answers kept failing their checks (MD5, signature, shape) until the deadline."""

    kind = "corrupt_answer"
    advice = (
        "Something between here and the service alters answers: look for a proxy, or use https."
    )


class TablestoreAccessError(TablestoreError):
    """The service refuses this access key."""


class TablestoreAuthenticationError(TablestoreAccessError):
    """The key, its secret, the token, the instance's name or this machine's clock is wrong."""

    kind = "authentication"
    advice = (
        "Check the options access_key_id, access_key_secret, sts_token (or credentials_provider), "
        "region and instance, and this machine's clock."
    )


class TablestorePermissionError(TablestoreAccessError):
    """The key is right and may not do this."""

    kind = "permission"
    advice = "Allow the access key this operation on the instance and table (its RAM policy)."


class TablestoreTableError(TablestoreError):
    """The table is not as it must be."""


class TablestoreTableMissingError(TablestoreTableError):
    """The table has not been created."""

    kind = "table_missing"
    advice = (
        "Create it with `sentry upgrade --with-nodestore` (or bootstrap()), or check the options "
        "end_point, instance and table."
    )


class TablestoreTableMismatchError(TablestoreTableError):
    """The table has another primary key than one STRING column `id`; it was left as it is."""

    kind = "table_mismatch"
    advice = "Name another table in the option table: this one belongs to another program."


class TablestoreUnavailableError(TablestoreError, _ServiceUnavailable):
    """The service kept failing until the deadline."""

    kind = "unavailable"
    advice = "This is temporary as far as the service says: try again later."


class TablestoreThrottledError(TablestoreUnavailableError):
    """The service kept asking to slow down until the deadline."""

    kind = "throttled"
    advice = "Send less at once, or raise the instance's or the table's capacity."


class TablestoreConnectionError(TablestoreUnavailableError, ConnectionError):
    """The service could not be reached, or connections kept breaking, until the deadline."""

    kind = "connection"
    advice = "Check the option end_point, name resolution and the network between here and there."


class TablestoreCertificateError(TablestoreError, ConnectionError):
    """The server's certificate is refused: nothing was sent, and trying again does not help."""

    kind = "certificate"
    advice = (
        "Nothing was sent: who answers may not be the service. No option turns this check off; "
        "`sentry-tablestore check` says more."
    )


class TablestoreTableNotReadyError(TablestoreTableError, TablestoreUnavailableError):
    """The table was created or moved a moment ago and serves nothing yet."""

    kind = "table_not_ready"
    advice = "A new table takes up to a minute: try again then."


class TablestoreTimeoutError(TablestoreError, _DeadlineExceeded, TimeoutError):
    """No answer came before the deadline; a write may or may not have been applied."""

    kind = "timeout"
    advice = (
        "Try again, or raise the option timeout. "
        "A write may have been applied; repeating it does no harm."
    )


class TablestorePartialError(TablestoreError):
    """Rows of a batch failed for different reasons, not all of which are temporary: see `failures`.

    The others were done.
    """

    kind = "partial"
    advice = "The nodes that are not among the failures were done; the call may be repeated."


class TablestoreServiceError(TablestoreError):
    """The service answered with a code that has no exception of its own."""

    kind = "service"


class TablestoreClosedError(TablestoreError):
    """Another thread closed the client during the call."""

    kind = "closed"
    advice = "The next call opens a new client."


class TablestoreLoadError(TablestoreError, ImportError):
    """The engine could not be loaded into this process."""

    kind = "load"


class TablestoreInternalError(TablestoreError):
    """A defect of this package. Nothing was left half done, and the next call works."""

    kind = "internal"
    advice = "Please report it with this message."


def _leaves(root: Type[TablestoreError]) -> Dict[str, Type[TablestoreError]]:
    found = {root.kind: root} if root.kind else {}
    for child in root.__subclasses__():
        found.update(_leaves(child))
    return found


_BY_KIND = _leaves(TablestoreError)


def from_engine(text: bytes) -> TablestoreError:
    """Make the exception of an error that the engine told.

    :param text: JSON object with `kind` (the exception's `kind`), `operation`, `table`, `code`,
        `message`,
        `request_id`, `http_status`, `ids` and `failures`, the last two being null or lists. A
        kind that is not known here makes a TablestoreInternalError that names it.
    """
    error = json.loads(text.decode("utf-8"))
    message = error.get("message") or ""
    cls = _BY_KIND.get(error.get("kind"))
    if cls is None:
        cls = TablestoreInternalError
        message = "the engine told of an unknown kind of error, {!r}: {}".format(
            error.get("kind"), message
        )
    return cls(
        message,
        operation=error.get("operation") or "",
        table=error.get("table") or "",
        code=error.get("code") or "",
        request_id=error.get("request_id") or "",
        http_status=error.get("http_status") or 0,
        ids=error.get("ids") or (),
        failures=[
            Failure(*(failure.get(name) or "" for name in Failure._fields))
            for failure in error.get("failures") or ()
        ],
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + "…"


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(id) for id in ids[:_SHOWN_IDS])
    more = len(ids) - _SHOWN_IDS
    return "{} {}{}".format(
        "id" if len(ids) == 1 else "ids", shown, f" and {more} more" if more > 0 else ""
    )
