"""Results of a probe in words, for a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, Literal

import attrs

from depotclient.probe.recommend import Advice
from depotclient.probe.summary import Measurement

__all__ = ["Line", "describe_measurement", "describe_setting"]

_TITLES: Final[Mapping[str, str]] = {
    "credentials": "Credentials",
    "token_lifetime": "Token lifetime",
    "min_limit": "Smallest limit",
    "low_limits": "Smaller limits",
    "max_limit": "Largest limit",
    "high_limits": "Larger limits",
    "odd_limits": "Limits such as 11",
    "order": "Order of reports",
    "ignore_page": "Page number",
    "past_the_end": "Page after the last",
    "page_zero": "Page 0",
    "time_filter": "Windows select by",
    "includes_from": "Time equal to from",
    "includes_to": "Time equal to to",
    "echo": "Ids in responses",
    "missing_fields": "Missing fields",
    "null_fields": "Null fields",
    "unknown_fields": "Unknown fields",
    "unknown_values": "Unknown enum values",
    "compression": "Compression",
    "latency": "Latency",
    "page_seconds": "Time of a page",
    "bytes_per_second": "Speed",
    "report_bytes": "Size of a report",
    "longest_session": "Longest session",
}
"""Title of each value of a profile, in the order of the table."""

_PAGES: Final = {"empty": "empty", "first_page": "the first page", "null": "null instead of a list"}
_ENDS: Final = {True: "in the window", False: "outside of the window"}

_WORDS: Final[Mapping[str, Mapping[Any, str]]] = {
    "credentials": {"token": "token", "client_credentials": "client id and secret"},
    "low_limits": {"clamp": "raised to the smallest limit"},
    "high_limits": {"clamp": "lowered to the largest limit"},
    "odd_limits": {"honoured": "honoured", "clamp": "lowered to a multiple of 10"},
    "order": {
        "ascending": "ascending by start",
        "descending": "descending by start",
        "shuffled": "not by start, the same each time",
        "changing": "different for each request",
    },
    "ignore_page": {False: "honoured", True: "ignored: every page is the first"},
    "past_the_end": _PAGES,
    "page_zero": _PAGES,
    "time_filter": {
        "start": "start of a session",
        "end": "end of a session",
        "overlap": "any overlap with a session",
    },
    "includes_from": _ENDS,
    "includes_to": _ENDS,
    "echo": {
        "same": "as requested",
        "upper": "in upper case",
        "lower": "in lower case",
        "absent": "absent",
    },
    "compression": {"identity": "none", "gzip": "gzip", "deflate": "deflate"},
}
"""Words for a choice. A choice without words is the status of an error."""

_FORMATS: Final[Mapping[str, Callable[[Any], str]]] = {
    "token_lifetime": lambda seconds: f"{seconds:,.0f} s",
    "min_limit": lambda limit: f"{limit:,}",
    "max_limit": lambda limit: f"{limit:,}",
    "latency": lambda seconds: f"{seconds * 1000:,.1f} ms",
    "bytes_per_second": lambda speed: f"{speed / 1e6:,.2f} MB/s",
    "report_bytes": lambda size: f"{size / 1000:,.1f} kB (median)",
    "longest_session": lambda hours: f"at most {hours} h",
}


@attrs.frozen
class Line:
    """Line of a table about a measurement.

    Attributes:
        title: Name of the value. Empty in further lines of the same value.
        result: Whether the value was measured. Empty in further lines.
        text: The value, or why it is unknown.
    """

    title: str
    result: Literal["measured", "unknown", ""]
    text: str


def describe_measurement(measurement: Measurement) -> Iterator[Line]:
    """Yield the lines of a measurement: all values of a profile, measured or unknown."""
    for name, title in _TITLES.items():
        value = getattr(measurement.profile, name)
        if value is None:
            yield Line(title, "unknown", measurement.reasons[name])
            continue
        first, *others = _describe(name, value)
        yield Line(title, "measured", first)
        yield from (Line("", "", text) for text in others)


def _describe(name: str, value: object) -> list[str]:
    """Return the lines of a measured value."""
    if name == "page_seconds" and isinstance(value, Mapping):
        return [f"{seconds:.3f} s for {_reports(size)}" for size, seconds in value.items()]
    if isinstance(value, Mapping):
        return [f"{path} {_percent(share)}" for path, share in value.items()] or ["none"]
    if name in _FORMATS:
        return [_FORMATS[name](value)]
    return [_WORDS[name].get(value, f"status {value}")]


def _reports(count: int) -> str:
    return "1 report" if count == 1 else f"{count:,} reports"


def _percent(share: float) -> str:
    percent = f"{share:.1%}"
    return "< 0.1%" if share and percent == "0.0%" else percent


def describe_setting(advice: Advice[Any]) -> str:
    """Return a recommended value in words, such as `3 days`."""
    match advice.value:
        case None:
            return "unknown"
        case bool():
            return "yes" if advice.value else "no"
        case timedelta():
            hours = advice.value // timedelta(hours=1)
            return f"{hours // 24} d" if hours and hours % 24 == 0 else f"{hours} h"
    return f"{advice.value:,}"
