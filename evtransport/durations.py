"""Parsing of durations in options."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import Final

__all__ = ["parse_duration", "parse_interval"]

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION: Final = re.compile(rf"(\d+(?:\.\d+)?) ?([{''.join(_UNITS)}]?)", re.ASCII)


def parse_duration(name: str, text: str) -> timedelta:
    """Return the duration in a string such as `1d`, `36h`, `5m` or `30s`.

    A plain number is in days.

    Raises:
        ValueError: The text has a different format, or the number is too large.

    Example:
        >>> from evtransport.durations import parse_duration
        >>> parse_duration("--margin", "36h")
        datetime.timedelta(days=1, seconds=43200)
    """
    with suppress(OverflowError):
        if found := _DURATION.fullmatch(text):
            return timedelta(**{_UNITS[found[2] or "d"]: float(found[1])})
    raise ValueError(f"{name} must be a duration such as 1d, 36h, 5m or 30s, got {text!r}")


def parse_interval(name: str, text: str) -> timedelta:
    """Return the time between repeated requests in a string such as `30s`, `5m` or `1h`.

    Raises:
        ValueError: The text has a different format, is zero, or has no unit: a user of other
            programs expects that a plain number is in seconds.

    Example:
        >>> from evtransport.durations import parse_interval
        >>> parse_interval("--every", "5m")
        datetime.timedelta(seconds=300)
    """
    has_unit = text[-1:].isalpha()
    interval = parse_duration(name, text) if has_unit else timedelta()
    if not interval:
        raise ValueError(f"{name} must be a time greater than 0, such as 30s or 5m, got {text!r}")
    return interval
