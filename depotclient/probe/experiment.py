"""Experiment without I/O, and the requests and responses that it exchanges with its runner."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

import attrs

__all__ = ["Experiment", "PageResponse", "ProbeRequest", "SeenReport", "Window"]
__all__ += ["shift"]

T = TypeVar("T")


@attrs.frozen
class Window:
    """Time range of a request: `from` and `to`, in UTC."""

    start: datetime
    end: datetime


def shift(time: datetime, by: timedelta) -> datetime:
    """Return a time plus a duration, or the time itself before year 1 and after 9999."""
    try:
        return time + by
    except OverflowError:
        return time


@attrs.frozen
class ProbeRequest:
    """Request for one page.

    Attributes:
        window: Time range.
        page: Page number.
        limit: Page size.
        repeat: Number of equal requests before this one. A probe sends equal requests once.
    """

    window: Window
    page: int
    limit: int
    repeat: int = 0


@attrs.frozen
class SeenReport:
    """Identity and times of a report on a page.

    Attributes:
        key: Key of the session, see `Page.keys`.
        digest: Digest of the report's bytes.
        start: Start of the session in UTC, or None.
        end: End of the session in UTC, or None.
        size: Size in bytes.
    """

    key: int
    digest: bytes
    start: datetime | None
    end: datetime | None
    size: int


@attrs.frozen
class PageResponse:
    """Response to a request, or the reason why there is none.

    Attributes:
        status: HTTP status: 200, or the one that refuses the request. 0 without a response.
        reports: Reports of the page. None if the list is missing or null.
        failure: Why there is no usable response. Empty if there is one.
        is_too_large: True if the response exceeds `max_response_bytes`.
    """

    status: int = 200
    reports: tuple[SeenReport, ...] | None = ()
    failure: str = ""
    is_too_large: bool = False

    @classmethod
    def failed(cls, reason: str, *, is_too_large: bool = False) -> PageResponse:
        """Return the absence of a response."""
        return cls(0, None, reason, is_too_large)

    @property
    def count(self) -> int:
        """Number of reports."""
        return len(self.reports or ())

    @property
    def keys(self) -> tuple[int, ...]:
        """Keys of the reports."""
        return tuple(report.key for report in self.reports or ())

    @property
    def is_served(self) -> bool:
        """True if the server returned a list of reports, which may be empty."""
        return self.reports is not None

    @property
    def refusal(self) -> int | None:
        """Status with which the server refused the request, or None."""
        return self.status if self.status not in {0, 200} else None

    @property
    def problem(self) -> str:
        """Why the response has no list of reports, in words."""
        if self.failure:
            return self.failure
        return f"status {self.status}" if self.refusal else "no list of reports"


Experiment: TypeAlias = Generator[ProbeRequest, PageResponse, T]
"""Experiment without I/O: it yields requests, receives their responses and returns a result."""
