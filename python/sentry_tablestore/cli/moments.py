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
    """`2026-11-23`, `2026-11-23T10:00` (UTC), or `30d` for thirty days ago: ms since 1970."""

    name = "moment"

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Any) -> int:
        """Give the moment in ms since 1970."""
        if isinstance(value, int):
            return value
        text = value.strip()
        if re.match(r"\d+(\.\d+)?\s*[smhdw]\Z", text):
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
        self.fail(
            f"{value!r} is no moment: give a date (2026-11-23), a date and a time in UTC "
            "(2026-11-23T10:00), or how long ago (30d)",
            param,
            ctx,
        )
