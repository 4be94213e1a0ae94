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

T = TypeVar("T")

Respond = Callable[[ProbeRequest], PageResponse]

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(FIRST, FIRST + timedelta(days=366))

FAILED = PageResponse.failed("the server failed: status 503")


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
