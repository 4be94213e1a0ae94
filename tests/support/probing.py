"""An API without I/O for the experiments of a probe, and sessions for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import attrs

from depotclient.probe.experiment import (
    Experiment,
    PageResponse,
    ProbeRequest,
    SeenReport,
    Window,
)
from depotclient.profile import Profile

T = TypeVar("T")

Respond = Callable[[ProbeRequest], PageResponse]

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(FIRST, FIRST + timedelta(days=366))

FAILED = PageResponse.failed("the server failed: status 503")

COMPLETE = Profile(
    credentials="client_credentials",
    token_lifetime=3600,
    min_limit=1,
    max_limit=2000,
    low_limits="clamp",
    high_limits=400,
    odd_limits="honoured",
    order="descending",
    ignore_page=False,
    past_the_end="null",
    page_zero=422,
    time_filter="overlap",
    includes_from=True,
    includes_to=False,
    echo="upper",
    missing_fields={"deviceStatus[].errorCodes": 0.125, "ocppStatus[].value": 0.0001},
    null_fields={"vehicleId": 1},
    unknown_fields={"phase1Voltage": 0.5},
    unknown_values={},
    compression="gzip",
    latency=0.0415,
    bytes_per_second=2_500_000,
    page_seconds={1: 0.05, 10: 1.25},
    report_bytes=208_000,
    longest_session=5,
)
"""Profile with each value."""


def seen(number: int, *, hours: float = 1, size: int = 2000) -> SeenReport:
    """Return the report of a session that starts `number` days after the first."""
    start = FIRST + timedelta(days=number)
    end = start + timedelta(hours=hours)
    return SeenReport(number, b"%d" % number, start, end, size)


def sessions(count: int) -> tuple[SeenReport, ...]:
    """Return the reports of sessions that start an hour apart and take half an hour."""
    step = timedelta(hours=1)
    return tuple(
        attrs.evolve(seen(0), key=n, digest=b"%d" % n, start=start, end=start + step / 2)
        for n, start in enumerate(FIRST + n * step for n in range(count))
    )


@attrs.frozen
class Account:
    """An API that selects by start and honours all limits up to one.

    Attributes:
        step: -1 for a descending order.
    """

    reports: Sequence[SeenReport] = ()
    max_limit: int = 2000
    step: int = 1

    def __call__(self, request: ProbeRequest) -> PageResponse:
        """Return the page for a request."""
        window, size = request.window, min(request.limit, self.max_limit)
        selected = [
            report
            for report in self.reports
            if report.start is None or window.start <= report.start <= window.end
        ][:: self.step]
        first = (request.page - 1) * size
        return PageResponse(reports=tuple(selected[first : first + size]))


def run(experiment: Experiment[T], respond: Respond) -> T:
    """Return the result of an experiment."""
    return record(experiment, respond)[0]


def record(experiment: Experiment[T], respond: Respond) -> tuple[T, list[ProbeRequest]]:
    """Return the result of an experiment, and its requests."""
    requests = list[ProbeRequest]()
    response = None
    while True:
        try:
            request = next(experiment) if response is None else experiment.send(response)
        except StopIteration as end:
            return end.value, requests
        requests.append(request)
        response = respond(request)
