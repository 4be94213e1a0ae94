"""Data of a session's picture: series, states, errors and texts of a report, without drawing."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from depotclient.models import SessionReport

__all__ = ["Series", "SessionData", "TimeSpan", "TimelineRow", "session_data", "shorten"]

# Events with a longer gap between them belong to different groups.
_GROUP_GAP = timedelta(hours=1)
# Events this close to the session are shown with it.
_MARGIN = timedelta(minutes=10)
# Longest time between a current and a voltage that are multiplied.
_SAME_MOMENT = timedelta(seconds=5)
# A larger value in A, V, W or Wh is impossible.
_MAX_VALUE = 1e12
# Other years stand for "never", and matplotlib can't draw an axis near the years 1 and 9999.
_YEARS = range(1000, 9000)
_MAX_ROWS = 8
_SERIES = (
    *("present_current", "requested_current", "present_voltage", "requested_voltage"),
    *("Station", "Request"),
)


@attrs.frozen
class TimeSpan:
    """Span of time, including both ends. It is empty if `end` is before `start`."""

    start: datetime
    end: datetime

    @property
    def is_empty(self) -> bool:
        """Return True if the span contains no time."""
        return self.end < self.start

    def contains(self, time: datetime) -> bool:
        """Return True if a time is in the span."""
        return self.start <= time <= self.end


_EMPTY_SPAN = TimeSpan(datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))


@attrs.frozen
class Series:
    """Values in order of time. NaN stands for a value that can't be drawn."""

    times: Sequence[datetime]
    values: Sequence[float]

    @property
    def known(self) -> list[float]:
        """Return the values that can be drawn."""
        return [value for value in self.values if not math.isnan(value)]


@attrs.frozen
class TimelineRow:
    """A state or an error, with the spans in which it was present."""

    name: str
    spans: Sequence[TimeSpan]


@attrs.frozen(kw_only=True)
class SessionData:
    """Data of one picture.

    Attributes:
        title: Ids of the session and the vehicle.
        summary: Known times, energy and state of charge of the session.
        span: Time that the picture shows.
        series: Meter values by key, in A and V, and power limits by `paramType`, in W.
        power: Present current times voltage, in kW.
        energy: Integral of the power, in kWh.
        counter: Charged energy by the counter, at the start and the end, in kWh.
        soc: State of charge at the start and the end, in percent.
        states: OCPP states, the earliest first.
        errors: Device errors, the most frequent first.
        notes: Sentences about data that the picture omits.
    """

    title: str
    summary: str
    span: TimeSpan
    series: dict[str, Series]
    power: Series
    energy: Series
    counter: Series
    soc: Series
    states: Sequence[TimelineRow]
    errors: Sequence[TimelineRow]
    notes: Sequence[str]


def session_data(report: SessionReport) -> SessionData:
    """Return the data of a report's picture."""
    start, end = report.session_time_start, report.session_time_end
    values, errors = _named_values(report), _named_errors(report)
    states = [(state.event_timestamp, state.value or "no name") for state in report.ocpp_status]
    times = [time for time, _ in states + errors] + [time for time, _, _ in values]
    session = [time for time in (start, end) if time is not None]
    span = _choose_span(session, [time for time in times if time is not None])
    series = {
        name: _series([(time, value) for time, key, value in values if key == name], span)
        for name in _SERIES
    }
    power = _multiply(series["present_current"], series["present_voltage"])
    charged = _charged_energy(report)
    vehicle = "" if report.vehicle_id is None else f" · {shorten(report.vehicle_id, 40)}"
    return SessionData(
        title=f"Session {report.session_id}{vehicle}",
        summary=_summarize(report),
        span=span,
        series=series,
        power=power,
        energy=_integrate(power),
        counter=_series([] if charged is None else [(start, 0.0), (end, charged)], span),
        soc=_series([(start, report.energy_soc_start), (end, report.energy_soc_end)], span),
        states=_merge_rows(_state_rows(states, span), "others"),
        errors=_merge_rows(_error_rows(errors, span), "other errors"),
        notes=[*_session_notes(session, span), *_event_notes(times, span, series.values())],
    )


def _named_values(report: SessionReport) -> list[tuple[datetime | None, str, float]]:
    meters = [(m.event_timestamp, m.key, m.value) for m in report.session_meter_values]
    limits = [(p.event_timestamp, p.param_type, p.max_power) for p in report.charge_parameters]
    return [
        (time, name, value)
        for time, name, value in meters + limits
        if name in _SERIES and value is not None
    ]


def _named_errors(report: SessionReport) -> list[tuple[datetime | None, str]]:
    errors = list[tuple[datetime | None, str]]()
    for device in report.device_status:
        source = shorten(device.device_id or "device without a name", 22)
        for error in device.error_codes:
            name = f"{source}: {shorten(error.error_code or 'error without a code', 70)}"
            errors.append((error.event_timestamp or device.event_timestamp, name))
    return errors


def _choose_span(session: Iterable[datetime], events: Iterable[datetime]) -> TimeSpan:
    """Return the session with the events close to it, or the largest group of other events."""
    session = [time for time in session if time.year in _YEARS]
    events = sorted(time for time in events if time.year in _YEARS)
    near = list[datetime]()
    if session:
        first, last = min(session), max(session)
        near = [time for time in events if first - time <= _MARGIN and time - last <= _MARGIN]
    groups = list[list[datetime]]()
    for time in events:
        if not groups or time - groups[-1][-1] > _GROUP_GAP:
            groups.append([])
        groups[-1].append(time)
    largest = max(groups, key=len, default=[])
    shown = [*session, *near] if session and 2 * len(near) >= len(largest) else largest
    return TimeSpan(min(shown), max(shown)) if shown else _EMPTY_SPAN


def _series(events: Iterable[tuple[datetime | None, float | None]], span: TimeSpan) -> Series:
    """Return the events in a span. The last value of a moment replaces the others."""
    values = {
        time: float(value) if abs(value) <= _MAX_VALUE else math.nan
        for time, value in events
        if time is not None and value is not None and span.contains(time)
    }
    times = sorted(values)
    return Series(times, [values[time] for time in times])


def _multiply(current: Series, voltage: Series) -> Series:
    """Return the power in kW, for each current with a voltage at the same moment."""
    times, values = list[datetime](), list[float]()
    for time, amperes in zip(current.times, current.values, strict=True):
        place = bisect_left(voltage.times, time)
        neighbours = range(max(0, place - 1), min(len(voltage.times), place + 1))
        nearest = min(neighbours, key=lambda n: abs(voltage.times[n] - time), default=None)
        if nearest is not None and abs(voltage.times[nearest] - time) <= _SAME_MOMENT:
            times.append(time)
            values.append(amperes * voltage.values[nearest] / 1000)
    return Series(times, values)


def _integrate(power: Series) -> Series:
    """Return the energy in kWh by the trapezoidal rule. A gap adds nothing."""
    total, values = 0.0, [0.0] if power.times else []
    points = zip(power.times, power.values, strict=True)
    for (before, p), (after, q) in pairwise(points):
        step = (p + q) / 2 * ((after - before) / timedelta(hours=1))
        total += 0.0 if math.isnan(step) else step
        values.append(math.nan if math.isnan(q) else total)
    return Series(power.times, values)


def _state_rows(states: Iterable[tuple[datetime | None, str]], span: TimeSpan) -> list[TimelineRow]:
    """Return a row for each state. A state lasts until the next one."""
    changes = [(time, shorten(name, 13)) for time, name in states if time is not None]
    changes.sort(key=lambda change: change[0])
    spans: dict[str, list[TimeSpan]] = {}
    for (start, name), (end, _) in pairwise([*changes, (span.end, "")]):
        if start <= span.end and end >= span.start:
            part = TimeSpan(max(start, span.start), min(end, span.end))
            spans.setdefault(name, []).append(part)
    return [TimelineRow(name, parts) for name, parts in spans.items()]


def _error_rows(errors: Iterable[tuple[datetime | None, str]], span: TimeSpan) -> list[TimelineRow]:
    """Return a row for each error of each device."""
    times_by_name: dict[str, list[datetime | None]] = {}
    for time, name in errors:
        times_by_name.setdefault(name, []).append(time)
    return [
        TimelineRow(
            f"{name}  ({len(times):,} x)",
            [TimeSpan(time, time) for time in times if time is not None and span.contains(time)],
        )
        for name, times in sorted(times_by_name.items(), key=lambda item: -len(item[1]))
    ]


def _merge_rows(rows: Sequence[TimelineRow], noun: str) -> Sequence[TimelineRow]:
    """Merge the last of more than 8 rows into one."""
    if len(rows) <= _MAX_ROWS:
        return rows
    others = rows[_MAX_ROWS - 1 :]
    spans = [span for row in others for span in row.spans]
    return [*rows[: _MAX_ROWS - 1], TimelineRow(f"{len(others)} {noun}", spans)]


def _session_notes(session: Sequence[datetime], span: TimeSpan) -> Iterator[str]:
    if not span.is_empty and session and not any(span.contains(time) for time in session):
        yield (
            f"The session itself ({_format_time(session[0])} UTC) is not in the picture:"
            " most of its events have other times."
        )
    if len(session) == 2 and session[1] < session[0]:
        yield "The session ends before it starts."


def _event_notes(
    times: Sequence[datetime | None], span: TimeSpan, series: Iterable[Series]
) -> Iterator[str]:
    known = [time for time in times if time is not None]
    omitted = {
        "outside the time shown": sum(not span.contains(time) for time in known),
        "without a time": len(times) - len(known),
        "with an impossible value": sum(len(s.values) - len(s.known) for s in series),
    }
    reasons = [f"{count:,} {reason}" for reason, count in omitted.items() if count]
    if reasons:
        yield f"Omitted from {len(times):,} events: {'; '.join(reasons)}."


def _summarize(report: SessionReport) -> str:
    start, end = report.session_time_start, report.session_time_end
    charged = _charged_energy(report)
    gained = _difference(report.energy_soc_start, report.energy_soc_end)
    parts = list[str]()
    if start is not None:
        parts.append(f"{_format_time(start)} UTC")
    if start is not None and end is not None:
        minutes = int((end - start).total_seconds() / 60)
        hours = f"{minutes // 60} h {minutes % 60} min"
        parts.append(hours if minutes >= 60 else f"{minutes} min")
    if charged is not None:
        parts.append(f"{charged:,.1f} kWh")
    if gained is not None:
        start_soc, end_soc = report.energy_soc_start, report.energy_soc_end
        parts.append(f"SoC {start_soc:,.0f} → {end_soc:,.0f} % ({gained:+,.0f})")
    return " · ".join(parts)


def _charged_energy(report: SessionReport) -> float | None:
    """Return the energy in kWh by the counter, or None if it is unknown."""
    energy = _difference(report.energy_charge_start, report.energy_charge_end)
    return None if energy is None else energy / 1000


def _difference(start: float | None, end: float | None) -> float | None:
    """Return `end - start`, or None if a value is missing or impossible."""
    if start is None or end is None:
        return None
    return end - start if abs(start) <= _MAX_VALUE and abs(end) <= _MAX_VALUE else None


def _format_time(time: datetime) -> str:
    # On some systems, strftime writes the year 1 without leading zeros.
    return time.isoformat(" ", "minutes")[:16]


def shorten(text: str, maximum: int) -> str:
    """Return a string as one line of at most `maximum` characters."""
    line = " ".join(text.split())
    return line if len(line) <= maximum else f"{line[: maximum - 1]}…"
