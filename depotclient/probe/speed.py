"""Speed of the responses: latency, bytes a second, and seconds for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

import attrs

from depotclient.probe.sample import NO_SESSION
from evtransport.measurements import Finding

__all__ = ["Timing", "find_latency", "find_page_seconds", "find_speed"]

SMALL_BYTES: Final = 1024
"""Maximum size of a response whose time is the latency."""

LARGE_BYTES: Final = 64 * 1024
"""Minimum size of a response whose time shows the speed."""

_MIN_SECONDS: Final = 0.002
"""Minimum time beyond the latency. Shorter times are within the error of measurement."""


@attrs.frozen
class Timing:
    """One complete response with status 200.

    Attributes:
        count: Number of reports.
        size: Size in decoded bytes.
        seconds: Time from the request to the end of the response.
        encoding: `Content-Encoding`, such as `gzip`. Empty without one.
    """

    count: int
    size: int
    seconds: float
    encoding: str = ""


def find_latency(timings: Iterable[Timing]) -> Finding[float]:
    """Return the median time of small responses, in seconds."""
    small = [timing.seconds for timing in timings if timing.size <= SMALL_BYTES]
    if not small:
        return Finding.unknown("no small response")
    return Finding(_rounded(median(small)))


def find_speed(timings: Iterable[Timing], latency: float | None) -> Finding[float]:
    """Return the decoded bytes a second after the latency."""
    if latency is None:
        return Finding.unknown("the latency is unknown")
    large = [timing for timing in timings if timing.size >= LARGE_BYTES]
    if not large:
        return Finding.unknown(f"no page of {LARGE_BYTES // 1024} KiB or more")
    seconds = sum(max(timing.seconds - latency, 0) for timing in large)
    if seconds < _MIN_SECONDS * len(large):
        return Finding.unknown("the pages arrive too fast to measure")
    return Finding(float(round(sum(timing.size for timing in large) / seconds)))


def find_page_seconds(timings: Sequence[Timing]) -> Finding[dict[int, float]]:
    """Return the median time of a page in seconds, by its number of reports."""
    sizes = sorted({timing.count for timing in timings if timing.count})
    if not sizes:
        return Finding.unknown(NO_SESSION)
    return Finding(
        {
            size: _rounded(median(each.seconds for each in timings if each.count == size))
            for size in sizes
        }
    )


def _rounded(seconds: float) -> float:
    return round(seconds, 4)
