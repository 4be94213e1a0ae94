"""Which time of a session a window selects by, without I/O."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import attrs
import pytest

from depotclient.probe.experiment import PageResponse, ProbeRequest, SeenReport, Window
from depotclient.probe.sample import Sample
from depotclient.probe.times import WindowFindings, find_time_filter
from tests.support.probing import FAILED, WINDOW, Account, Respond, record, run, seen, sessions

Accepts = Callable[[Window, datetime, datetime], bool]

MS = timedelta(milliseconds=1)
HALF = timedelta(seconds=0.5)


def pages(*reports: tuple[SeenReport, ...]) -> Sample:
    return Sample(WINDOW, 10, tuple(PageResponse(reports=each) for each in reports))


FEW = pages(sessions(3), ())


def selecting(accepts: Accepts, reports: tuple[SeenReport, ...] = sessions(3)) -> Respond:
    """Return an account that selects sessions by a function of window, start and end."""

    def respond(request: ProbeRequest) -> PageResponse:
        return PageResponse(
            reports=tuple(
                report
                for report in reports
                if report.start and report.end and accepts(request.window, report.start, report.end)
            )
        )

    return respond


def values(found: WindowFindings) -> tuple[object, object, object]:
    return found.time_filter.value, found.includes_from.value, found.includes_to.value


def whole_seconds(time: datetime) -> datetime:
    return time.replace(microsecond=0)


UPLOAD = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("accepts", "expected"),
    [
        (lambda w, s, _: w.start <= s <= w.end, ("start", True, True)),
        (lambda w, s, _: w.start <= s < w.end, ("start", True, False)),
        (lambda w, _, e: w.start < e <= w.end, ("end", False, True)),
        (lambda w, s, e: w.start < e and s <= w.end, ("overlap", False, True)),
        # The server compares whole seconds, so that a millisecond makes no difference.
        (
            lambda w, s, _: whole_seconds(w.start) <= s <= whole_seconds(w.end),
            ("start", None, True),
        ),
        (
            lambda w, s, _: whole_seconds(w.start) <= s + HALF <= whole_seconds(w.end),
            ("start", None, None),
        ),
        # The server ignores `from` or `to` or both, or compares whole days.
        (lambda w, s, _: s <= w.end, (None, None, None)),
        (lambda w, s, _: w.start <= s, (None, None, None)),
        (lambda w, _, e: e <= w.end, (None, None, None)),
        (lambda w, s, e: True, (None, None, None)),
        (lambda w, s, _: w.start.date() <= s.date() <= w.end.date(), (None, None, None)),
        # Only sessions inside of the window, and those by the time of their upload.
        (lambda w, s, e: w.start <= s and e <= w.end, (None, None, None)),
        (lambda w, _, e: w.start <= e + UPLOAD <= w.end, (None, None, None)),
    ],
)
def test_windows_around_the_start_and_end_of_a_session_tell_the_filter(
    accepts: Accepts, expected: tuple[object, ...]
) -> None:
    assert values(run(find_time_filter(FEW), selecting(accepts))) == expected


def test_the_windows_end_exactly_at_the_start_and_a_millisecond_before() -> None:
    start = seen(0).start
    assert start is not None
    respond = selecting(lambda w, s, _: w.start <= s <= w.end)
    _, requests = record(find_time_filter(FEW), respond)
    windows = [request.window for request in requests]
    assert [window.start for window in windows[3:5]] == [start, start + MS]
    assert [window.end for window in windows[5:7]] == [start, start - MS]


def test_a_session_whose_window_is_crowded_is_replaced_by_another() -> None:
    crowd = tuple(attrs.evolve(seen(0), key=key, digest=b"%d" % key) for key in range(20))
    lonely = seen(3)
    sample = Sample(
        WINDOW, 10, (PageResponse(reports=(*crowd[:9], lonely)), PageResponse(reports=crowd[9:]))
    )
    found = run(find_time_filter(sample), Account((*crowd, lonely)))
    assert values(found) == ("start", True, True)
    others = Account(tuple(attrs.evolve(report, key=report.key + 99) for report in crowd))
    found = run(find_time_filter(pages(crowd[:10], crowd[10:])), others)
    assert found.time_filter.reason == "too many sessions at the same time"


@pytest.mark.parametrize(
    "report",
    [
        attrs.evolve(seen(0), end=None),
        attrs.evolve(seen(0), start=None),
        seen(0, hours=0.001),
        attrs.evolve(seen(0), start=WINDOW.start + timedelta(microseconds=1)),
    ],
)
def test_a_session_without_usable_times_tells_nothing(report: SeenReport) -> None:
    sample = Sample(WINDOW, 10, (PageResponse(reports=(report,)), PageResponse()))
    found, requests = record(find_time_filter(sample), Account((report,)))
    assert (found.time_filter.value, requests) == (None, [])
    assert "no session has a start and a later end" in found.time_filter.reason


def test_failures_leave_the_filter_or_an_end_of_the_window_unknown() -> None:
    account = Account(sessions(3))
    reports = account.reports
    start = reports[0].start
    assert start is not None
    failing = {Window(start + MS, start + timedelta(seconds=2))}
    found = run(
        find_time_filter(FEW),
        lambda request: FAILED if request.window in failing else account(request),
    )
    assert values(found) == ("start", None, True)
    assert found.includes_from.reason == FAILED.failure


def test_a_session_that_is_removed_meanwhile_tells_nothing() -> None:
    remaining = 4

    def respond(request: ProbeRequest) -> PageResponse:
        nonlocal remaining
        remaining -= 1
        return Account(sessions(3)[:1] if remaining >= 0 else ())(request)

    only = pages(sessions(3)[:1], ())
    found = run(find_time_filter(only), respond)
    assert found.time_filter.reason == "sessions were removed during the probe"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (FAILED, FAILED.failure),
        (PageResponse(400, None), "status 400"),
        (PageResponse(reports=None), "no list of reports"),
    ],
)
def test_a_window_without_a_page_leaves_everything_unknown(
    response: PageResponse, reason: str
) -> None:
    found = run(find_time_filter(FEW), lambda _: response)
    assert (values(found), found.time_filter.reason) == ((None, None, None), reason)
