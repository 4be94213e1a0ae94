"""The whole probe without I/O."""

from __future__ import annotations

import attrs
import pytest

from depotclient.probe.experiment import PageResponse, ProbeRequest
from depotclient.probe.plan import plan_probe
from tests.support.probing import FAILED, WINDOW, Account, record, run, sessions

UNTIMED = Account([attrs.evolve(report, start=None, end=None) for report in sessions(60)], 25)


def test_large_limits_are_requested_in_a_window_with_few_sessions() -> None:
    _, requests = record(plan_probe([WINDOW]), Account(sessions(300)))
    windows = {request.window for request in requests if request.limit > 100}
    assert WINDOW not in windows
    assert len(requests) < 40


@pytest.mark.parametrize(("after", "largest"), [(PageResponse(), 25), (FAILED, None)])
def test_without_such_a_window_they_are_requested_after_the_last_page(
    after: PageResponse, largest: int | None
) -> None:
    def respond(request: ProbeRequest) -> PageResponse:
        return after if request.page == 1000 else UNTIMED(request)

    findings = run(plan_probe([WINDOW]), respond)
    assert findings.limits.max_limit.value == largest


def test_nothing_is_measured_if_each_limit_is_refused() -> None:
    findings, requests = record(plan_probe([WINDOW]), lambda _: PageResponse(400, None))
    assert findings.order.reason == "the server refuses each limit that was tried"
    assert len(requests) == 10


def test_nothing_is_measured_if_each_request_fails() -> None:
    findings = run(plan_probe([WINDOW]), lambda _: FAILED)
    found = attrs.asdict(findings, recurse=False)
    limits, windows = found.pop("limits"), found.pop("windows")
    found |= attrs.asdict(limits, recurse=False) | attrs.asdict(windows, recurse=False)
    assert found.pop("narrow") is None
    assert {finding.value for finding in found.values()} == {None}
