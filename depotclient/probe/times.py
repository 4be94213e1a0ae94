"""Which time of a session `from` and `to` filter by, and whether the ends are in the range."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import attrs

from depotclient.probe.experiment import Experiment, ProbeRequest, SeenReport, Window, shift
from depotclient.probe.sample import NO_SESSION, Sample
from depotclient.profile import TimeFilter
from evtransport.measurements import Finding

__all__ = ["WindowFindings", "find_time_filter"]

_NO_TIMES: Final = "no session has a start and a later end, both in whole milliseconds"
_MILLISECOND: Final = timedelta(milliseconds=1)
_STEPS: Final = (-1, 0, 1)
"""Milliseconds by which a window is moved inwards: it is wider, exact and narrower."""

_DISTANCE: Final = timedelta(seconds=2)
"""Time from a session's start or end to the sides of the windows around it.

It is so short that no other time, such as that of the upload, lies in the window by chance. It is
so long that a server may compare whole seconds.
"""

_MIN_LENGTH: Final = 5 * _DISTANCE
_MAX_TRIED: Final = 2
"""Maximum number of sessions to try. More would exhaust the request budget."""

_FILTERS: Final[dict[tuple[bool, bool, bool], TimeFilter]] = {
    (True, False, False): "start",
    (False, False, True): "end",
    (True, True, True): "overlap",
}
"""Filters by whether the windows around the start, inside, and around the end have the session."""


@attrs.frozen
class WindowFindings:
    """Findings about `from` and `to`. The other names are those of `Profile`.

    Attributes:
        narrow: Window with few sessions, or None.
    """

    time_filter: Finding[TimeFilter]
    includes_from: Finding[bool]
    includes_to: Finding[bool]
    narrow: Window | None = None

    @classmethod
    def unknown(cls, reason: str) -> WindowFindings:
        """Return findings without a value."""
        return cls(Finding.unknown(reason), Finding.unknown(reason), Finding.unknown(reason))


@attrs.frozen
class _TimedSession:
    """Session with a start and an end, around which windows are placed."""

    report: SeenReport
    start: datetime
    end: datetime

    def around(self, time: datetime) -> Window:
        """Return the window around one of the session's times."""
        return Window(shift(time, -_DISTANCE), shift(time, _DISTANCE))

    @property
    def inside(self) -> Window:
        """Window after the start and before the end."""
        return Window(self.start + _DISTANCE, self.end - _DISTANCE)

    @property
    def before(self) -> Window:
        """Window before the start."""
        return Window(shift(self.start, -3 * _DISTANCE), shift(self.start, -_DISTANCE))

    @property
    def after(self) -> Window:
        """Window after the end."""
        return Window(shift(self.end, _DISTANCE), shift(self.end, 3 * _DISTANCE))


def find_time_filter(sample: Sample) -> Experiment[WindowFindings]:
    """Return which time the windows filter by. It takes up to 9 requests for a session."""
    found = WindowFindings.unknown(_NO_TIMES if sample.reports else NO_SESSION)
    for session in _choose_sessions(sample)[:_MAX_TRIED]:
        found = yield from _examine(sample, session)
        if found.time_filter.value is not None:
            break
    return found


def _choose_sessions(sample: Sample) -> list[_TimedSession]:
    """Return the sessions whose windows can tell the filters apart, those on their own first."""
    sessions = [
        _TimedSession(report, start, end)
        for report in sample.reports
        if (start := _whole(report.start))
        and (end := _whole(report.end))
        and end - start >= _MIN_LENGTH
    ]
    starts = Counter(session.start for session in sessions)
    return sorted(sessions, key=lambda session: starts[session.start])


def _whole(time: datetime | None) -> datetime | None:
    """Return a time in whole milliseconds. Requests can't express other times."""
    return time if time is not None and time.microsecond % 1000 == 0 else None


def _examine(sample: Sample, session: _TimedSession) -> Experiment[WindowFindings]:
    windows = (session.around(session.start), session.inside, session.around(session.end))
    shown = list[bool]()
    for window in windows:
        response = yield ProbeRequest(window, 1, sample.limit)
        found = sample.shows(response, session.report)
        if found.value is None:
            return WindowFindings.unknown(found.reason)
        shown.append(found.value)
    start, inside, end = shown
    time_filter = _FILTERS.get((start, inside, end))
    if time_filter is None:
        return WindowFindings.unknown("the windows around a session's start and end contradict")
    narrow = windows[shown.index(True)]
    from_time = session.start if time_filter == "start" else session.end
    to_time = session.end if time_filter == "end" else session.start
    includes_from = yield from _find_inclusion(
        sample,
        session.report,
        *(Window(shift(from_time, n * _MILLISECOND), shift(from_time, _DISTANCE)) for n in _STEPS),
    )
    includes_to = yield from _find_inclusion(
        sample,
        session.report,
        *(Window(shift(to_time, -_DISTANCE), shift(to_time, -n * _MILLISECOND)) for n in _STEPS),
    )
    # A server that ignores `from` or `to`, or compares whole days, has the session elsewhere too.
    for inclusion, outside in ((includes_from, session.after), (includes_to, session.before)):
        if inclusion.value is None:
            response = yield ProbeRequest(outside, 1, sample.limit)
            found = sample.shows(response, session.report)
            if found.value is not False:
                return WindowFindings.unknown(
                    found.reason or "the response has sessions outside of the window"
                )
    # A session that was removed during the experiment looks as if it were outside of the windows.
    control = yield ProbeRequest(narrow, 1, sample.limit, repeat=1)
    if not sample.shows(control, session.report).value:
        return WindowFindings.unknown(control.failure or "sessions were removed during the probe")
    return WindowFindings(Finding(time_filter), includes_from, includes_to, narrow)


def _find_inclusion(
    sample: Sample, report: SeenReport, wider: Window, exact: Window, narrower: Window
) -> Experiment[Finding[bool]]:
    """Return whether a window that ends exactly at a time of a session has the session.

    Args:
        sample: First pages.
        report: Report of the session.
        wider: Window that also has the millisecond outside of the time.
        exact: Window with one end at the time.
        narrower: Window without the millisecond of the time.
    """
    response = yield ProbeRequest(exact, 1, sample.limit)
    found = sample.shows(response, report)
    control = yield ProbeRequest(narrower if found.value else wider, 1, sample.limit)
    other = sample.shows(control, report)
    if found.value is None or other.value is None:
        return Finding.unknown(found.reason or other.reason)
    if other.value is found.value:
        return Finding.unknown("the server doesn't compare times to the millisecond")
    return found
