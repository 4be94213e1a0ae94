"""Results of a probe in words, for a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from depotclient.probe.recommend import Advice
from depotclient.probe.summary import Measurement
from evtransport.measurements import SHARED_WORDS, Line, Wording

__all__ = ["describe_measurement", "describe_setting"]

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
    **SHARED_WORDS,
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
}
"""Words for a choice. A choice without words is the status of an error."""


def _page_times(seconds_by_size: Mapping[int, float]) -> list[str]:
    return [
        f"{seconds:.3f} s for {size:,} report{'s' * (size > 1)}"
        for size, seconds in seconds_by_size.items()
    ]


_FORMATS: Final[Mapping[str, Callable[[Any], str | list[str]]]] = {
    "token_lifetime": lambda seconds: f"{seconds:,.0f} s",
    "min_limit": lambda limit: f"{limit:,}",
    "max_limit": lambda limit: f"{limit:,}",
    "latency": lambda seconds: f"{seconds * 1000:,.1f} ms",
    "page_seconds": _page_times,
    "bytes_per_second": lambda speed: f"{speed / 1e6:,.2f} MB/s",
    "report_bytes": lambda size: f"{size / 1000:,.1f} kB (median)",
    "longest_session": lambda hours: f"at most {hours} h",
}


_WORDING: Final = Wording(_TITLES, _WORDS, _FORMATS)


def describe_measurement(measurement: Measurement) -> Iterator[Line]:
    """Yield the lines of a measurement: all values of a profile, measured or unknown."""
    return _WORDING.describe(measurement.profile, measurement.reasons)


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
