"""Moments as arguments: a date, a date and a time, or how long ago."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import click

from ..errors import TablestoreOptionsError
from .configuration import duration

_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


class Moment(click.ParamType):
    """`2026-11-23`, `2026-11-23T10:00` (UTC), or `30d` for thirty days ago: ms since 1970.

    :param relative: Whether to take the last form, whose moment is another one each time: no
        command that is repeated until it is done can have that.
    """

    name = "moment"

    def __init__(self, relative: bool = True) -> None:
        self._relative = relative

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Any) -> int:
        """Give the moment in ms since 1970."""
        if isinstance(value, int):
            return value
        text = value.strip()
        if self._relative and re.match(r"\d+(\.\d+)?\s*[smhdw]\Z", text):
            try:
                moment = datetime.now(timezone.utc) - duration(self.name, text)
            except (OverflowError, TablestoreOptionsError):
                self.fail(f"{value!r} is longer ago than any year has a number", param, ctx)
            return (moment - _EPOCH) // _MILLISECOND
        plain = text[:-1] if text.endswith("Z") else text
        for form in _FORMATS:
            try:
                moment = datetime.strptime(plain.replace(" ", "T"), form)
            except ValueError:
                continue
            return (moment.replace(tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
        forms = "a date (2026-11-23), or a date and a time in UTC (2026-11-23T10:00)"
        if self._relative:
            forms += ", or how long ago (30d)"
        self.fail(f"{value!r} is no moment: give {forms}", param, ctx)
