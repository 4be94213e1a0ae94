"""One charging session as a picture: states, currents, energy, errors (extra `plot`)."""

from __future__ import annotations

import math
import re
import secrets
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import attrs

try:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    raise ImportError(
        "depotclient.plot needs matplotlib: pip install 'thor-depot-clients[plot]'"
    ) from error

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from depotclient.models import ErrorCode, SessionReport

__all__ = ["require_picture", "save_figure", "session_figure"]

_METERS = ("present_current", "requested_current", "present_voltage", "requested_voltage")
"""The keys of the meter values that are drawn."""

_GAP = timedelta(hours=1)
"""Events further apart than this belong to different stretches of time."""

_MARGIN = timedelta(minutes=10)
"""Events so shortly before or after a session are shown with it."""

_TOGETHER = timedelta(seconds=5)
"""A current and a voltage no further apart than this make a power."""

_BEYOND = 1e12
"""No charger's values in A, V, W or Wh come near; above it a picture can't show anything else."""

_ROWS = 8
"""So many states or errors have a row of their own; the others share one."""

_FAR = 4.0
"""A limit so many times as high as the highest power would flatten the curve, so is not drawn."""

_FIRST_DAY, _LAST_DAY = -718_797.0, 2_932_531.0
"""The ends of what matplotlib's axes can show with ticks around it, in days since 1970."""

# Inches.
_WIDTH, _LEFT, _RIGHT, _BETWEEN, _FOOT, _LINE, _HEAD = 11.0, 1.6, 0.8, 0.34, 0.62, 0.2, 0.98
_DPI = 100

# Okabe and Ito's colours, which colour-blind readers can tell apart, and shades of them.
_CURRENT, _CURRENT_ASKED = "#0072B2", "#A9D6F0"
_VOLTAGE, _VOLTAGE_ASKED = "#8A4B75", "#E8C3DA"
_POWER, _STATION, _REQUEST = "#007A5A", "#555555", "#D98A00"
_ENERGY, _SOC, _ERROR = "#0072B2", "#D55E00", "#C8102E"
_QUIET, _GRID = "#606060", "#E4E7EA"
_STATES = {
    "Available": "#9AA5AE",
    "Preparing": "#E69F00",
    "Charging": "#009E73",
    "SuspendedEV": "#CC79A7",
    "SuspendedEVSE": "#8A4B75",
    "Finishing": "#56B4E9",
    "Reserved": "#F0E442",
    "Unavailable": "#404040",
    "Faulted": "#C8102E",
}
_UNKNOWN_STATE = "#BBBBBB"


def session_figure(report: SessionReport, *, title: str | None = None) -> Figure:
    """Draw one session against time: UTC, in panels above each other.

    From the top: the OCPP states; current (A) and voltage (V), present and requested; power (kW),
    computed from the present two, with the announced limits; energy (kWh), by the counters and as
    the integral of that power, with the state of charge (%); the errors of devices.

    Whatever is None, missing or no use is left out, and the picture says so. When most events lie
    elsewhere than the session, as in the vendor's example, they are shown at their own time.

    The figure belongs to no window and no pyplot state, so it can be made in any thread.

    Args:
        report: The session (Depot: `SessionReports` schema).
        title: What to write on top, as one line, instead of the session's and the vehicle's id.

    Returns:
        A figure 11 inches wide, 9 high or more: each state and each error has a row.
    """
    scene = _Scene.of(report)
    panels = _panels(scene)
    notes = _notes(scene)
    height = _HEAD + sum(panel.height + _BETWEEN for panel in panels) - _BETWEEN
    height += _FOOT + _LINE * len(notes)
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    _head(figure, report, title)
    _place(figure, scene, panels)
    for line, note in enumerate(reversed(notes)):
        _write(figure, _LEFT, 0.1 + _LINE * line, note, size=8.5, colour=_ERROR)
    return figure


def _place(figure: Figure, scene: _Scene, panels: Sequence[_Panel]) -> None:
    """Draw the panels from the top down, over one axis of time."""
    width, height = figure.get_size_inches()
    first, top = None, height - _HEAD
    for panel in panels:
        bottom = top - panel.height
        place = (_LEFT / width, bottom / height)
        size = (1 - (_LEFT + _RIGHT) / width, panel.height / height)
        axes = figure.add_axes((*place, *size), sharex=first)
        first = first or axes
        panel.draw(axes)
        _finish(axes, scene, last=panel is panels[-1])
        top = bottom - _BETWEEN


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture into a file, which is there only when it is whole.

    The same figure gives the same SVG, byte for byte.

    Args:
        figure: The picture.
        path: Ends in `.png` or `.svg`. A file that is there is replaced.

    Raises:
        ValueError: The path ends otherwise.
        OSError: The folder is missing, or can't be written to.
    """
    require_picture(path)
    picture = _svg(figure) if path.suffix.lower() == ".svg" else _png(figure)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(picture)
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def require_picture(path: Path) -> None:
    """Check where a picture is to go.

    Raises:
        ValueError: The path ends neither in `.png` nor in `.svg`.
        FileNotFoundError: The folder is missing.
    """
    if path.suffix.lower() not in {".png", ".svg"}:
        raise ValueError(f"the picture's file must end in .png or .svg, not {path.name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} for the picture")


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _svg(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    # matplotlib draws random ids unless a global setting is changed, which other threads would see.
    numbers: dict[bytes, bytes] = {}
    return re.sub(
        rb'(\bid="|#)([a-z]+[0-9a-f]{10})(?=["\)])',
        lambda found: found[1] + numbers.setdefault(found[2], b"i%d" % len(numbers)),
        file.getvalue(),
    )


@attrs.frozen
class _Window:
    """The time that is shown."""

    start: datetime
    end: datetime

    def __contains__(self, time: datetime) -> bool:
        return self.start <= time <= self.end

    @property
    def view(self) -> tuple[float, float]:
        """The ends of the axis, a little further out, as matplotlib's days."""
        start, end = _days(self.start), _days(self.end)
        room = max((end - start) * 0.012, 2 / 86_400)
        return max(start - room, _FIRST_DAY), min(end + room, _LAST_DAY)


@attrs.frozen
class _Series:
    """Values in the order of time; NaN where there is none to show."""

    times: tuple[datetime, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if not math.isnan(value)]

    @property
    def days(self) -> list[float]:
        found: list[float] = date2num(list(self.times)).tolist()  # type: ignore[no-untyped-call]
        return found

    @property
    def bad(self) -> int:
        return len(self) - len(self.known)


@attrs.frozen
class _Row:
    """A state or an error with the times at which it was there."""

    name: str
    spans: tuple[tuple[datetime, datetime], ...]
    colour: str = _ERROR


@attrs.frozen
class _Panel:
    """One picture above the time axis, and how many inches high it is."""

    height: float
    draw: Callable[[Axes], None]


@attrs.frozen
class _Scene:
    """What of a report is drawn."""

    window: _Window | None
    session: tuple[datetime, ...]
    outside: int
    missing_start: int
    events: int
    meters: dict[str, _Series]
    limits: dict[str, _Series]
    states: tuple[_Row, ...]
    errors: tuple[_Row, ...]
    energy: _Series
    soc: _Series

    @classmethod
    def of(cls, report: SessionReport) -> _Scene:
        moments = list(_moments(report))
        known = sorted(moment for moment in moments if moment is not None)
        ends = [report.session_time_start, report.session_time_end]
        session = tuple(time for time in ends if time is not None)
        window = _window(session, known)
        energy = _change(report.energy_charge_start, report.energy_charge_end) / 1000
        return cls(
            window=window,
            session=session,
            outside=0 if window is None else sum(time not in window for time in known),
            missing_start=len(moments) - len(known),
            events=len(moments),
            meters={key: _meter(report, key, window) for key in _METERS},
            limits={kind: _limit(report, kind, window) for kind in ("Station", "Request")},
            states=_state_rows(report, window),
            errors=_error_rows(report, window),
            energy=_ends(ends, [math.nan if math.isnan(energy) else 0.0, energy], window),
            soc=_ends(ends, [_sane(report.energy_soc_start), _sane(report.energy_soc_end)], window),
        )

    @property
    def power(self) -> _Series:
        """The power in kW."""
        return _power(self.meters["present_current"], self.meters["present_voltage"])


def _moments(report: SessionReport) -> Iterator[datetime | None]:
    """When each event happened that the picture could show."""
    for state in report.ocpp_status:
        yield state.event_timestamp
    for meter in report.session_meter_values:
        if meter.key in _METERS and meter.value is not None:
            yield meter.event_timestamp
    for limit in report.charge_parameters:
        if limit.max_power is not None:
            yield limit.event_timestamp
    for _, _, time in _errors(report):
        yield time


def _window(session: Sequence[datetime], events: Sequence[datetime]) -> _Window | None:
    """The session with the events close to it, or where most events are if that is elsewhere."""
    session, events = _placeable(session), _placeable(events)
    near = list[datetime]()
    if session:
        first, last = min(session), max(session)
        near = [time for time in events if first - time <= _MARGIN and time - last <= _MARGIN]
    groups = list[list[datetime]]()
    for time in events:
        if not groups or time - groups[-1][-1] > _GAP:
            groups.append([])
        groups[-1].append(time)
    largest = max(groups, key=len, default=[])
    shown = [*session, *near] if session and 2 * len(near) >= len(largest) else largest
    return _Window(min(shown), max(shown)) if shown else None


def _placeable(times: Iterable[datetime]) -> list[datetime]:
    """Without the first and the last year there is: they stand for "never", and can't be drawn."""
    return [time for time in times if MINYEAR < time.year < MAXYEAR]


def _meter(report: SessionReport, key: str, window: _Window | None) -> _Series:
    return _series(
        (
            (meter.event_timestamp, meter.value)
            for meter in report.session_meter_values
            if meter.key == key
        ),
        window,
    )


def _limit(report: SessionReport, kind: str, window: _Window | None) -> _Series:
    """The power that one side announced as its most, in kW."""
    found = _series(
        (
            (limit.event_timestamp, limit.max_power)
            for limit in report.charge_parameters
            if limit.param_type == kind
        ),
        window,
    )
    return attrs.evolve(found, values=tuple(value / 1000 for value in found.values))


def _series(
    events: Iterable[tuple[datetime | None, float | None]], window: _Window | None
) -> _Series:
    """What can be shown, by time; of two values for one moment the later in the report counts."""
    found = {
        time: _sane(value)
        for time, value in events
        if time is not None and value is not None and window is not None and time in window
    }
    times = tuple(sorted(found))
    return _Series(times, tuple(found[time] for time in times))


def _ends(
    times: Sequence[datetime | None], values: Sequence[float], window: _Window | None
) -> _Series:
    """What is known at the two ends of a session only, as far as it is known."""
    ends = zip(times, values, strict=True)
    return _series(((time, value) for time, value in ends if not math.isnan(value)), window)


def _power(current: _Series, voltage: _Series) -> _Series:
    """In kW, for each current that has a voltage close to it in time."""
    times, values = list[datetime](), list[float]()
    for time, amperes in zip(current.times, current.values, strict=True):
        at = bisect_left(voltage.times, time)
        near = range(max(0, at - 1), min(len(voltage), at + 1))
        best = min(near, key=lambda n: abs(voltage.times[n] - time), default=None)
        if best is not None and abs(voltage.times[best] - time) <= _TOGETHER:
            times.append(time)
            values.append(amperes * voltage.values[best] / 1000)
    return _Series(tuple(times), tuple(values))


def _integral(power: _Series) -> _Series:
    """The energy in kWh under a power in kW, by trapezoids; a gap adds nothing."""
    total, values = 0.0, [0.0] if power.times else []
    points = zip(power.times, power.values, strict=True)
    for (before, p), (after, q) in pairwise(points):
        step = (p + q) / 2 * ((after - before) / timedelta(hours=1))
        total += 0.0 if math.isnan(step) else step
        values.append(math.nan if math.isnan(q) else total)
    return _Series(power.times, tuple(values))


def _state_rows(report: SessionReport, window: _Window | None) -> tuple[_Row, ...]:
    """A row for each state, by when it first was there; a state lasts until the next one."""
    known = [
        (state.event_timestamp, _plain(state.value or "no name", 13))
        for state in report.ocpp_status
        if state.event_timestamp is not None
    ]
    known.sort(key=lambda state: state[0])
    if window is None or not known:
        return ()
    changes = [*known, (max(window.end, known[-1][0]), "")]
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for (start, name), (end, _) in pairwise(changes):
        if start <= window.end and end >= window.start:
            span = max(start, window.start), min(end, window.end)
            spans.setdefault(name, []).append(span)
    rows = [
        _Row(name, tuple(found), _STATES.get(name, _UNKNOWN_STATE)) for name, found in spans.items()
    ]
    if len(rows) <= _ROWS:
        return tuple(rows)
    others = tuple(span for row in rows[_ROWS - 1 :] for span in row.spans)
    return (*rows[: _ROWS - 1], _Row(f"{len(rows) - _ROWS + 1} others", others, _UNKNOWN_STATE))


def _errors(report: SessionReport) -> Iterator[tuple[str | None, ErrorCode, datetime | None]]:
    """Each error with its device and its time, by default that of the device's state."""
    for device in report.device_status:
        for error in device.error_codes:
            yield device.device_id, error, error.event_timestamp or device.event_timestamp


def _error_rows(report: SessionReport, window: _Window | None) -> tuple[_Row, ...]:
    """A row for each error of each device, those that were reported most often first."""
    found: dict[tuple[str | None, str | None], list[tuple[ErrorCode, datetime | None]]] = {}
    for device, error, time in _errors(report):
        found.setdefault((device, error.error_code), []).append((error, time))
    rows = [
        _Row(_error_name(device, code, [error for error, _ in events]), _marks(events, window))
        for (device, code), events in sorted(found.items(), key=lambda row: -len(row[1]))
    ]
    if len(rows) <= _ROWS:
        return tuple(rows)
    others = rows[_ROWS - 1 :]
    marks = tuple(mark for row in others for mark in row.spans)
    return (*rows[: _ROWS - 1], _Row(f"{len(others)} other errors", marks))


def _marks(
    events: Iterable[tuple[ErrorCode, datetime | None]], window: _Window | None
) -> tuple[tuple[datetime, datetime], ...]:
    times = (time for _, time in events)
    return tuple((t, t) for t in times if t is not None and window is not None and t in window)


def _error_name(device: str | None, code: str | None, events: Sequence[ErrorCode]) -> str:
    who = _plain(device or "device without a name", 22)
    what = _plain(code or "error without a code", 70)
    counters = sorted({event.error_counter for event in events if event.error_counter is not None})
    text = f"{who}: {what}  ({_times(len(events))}"
    if counters:
        lowest, highest = _number(counters[0]), _number(counters[-1])
        text += f", counter {lowest}" + (f" to {highest}" if len(counters) > 1 else "")
    return f"{text})"


def _times(count: int) -> str:
    return "1 report" if count == 1 else f"{count:,} reports"


def _notes(scene: _Scene) -> list[str]:
    """What the picture does not show."""
    window, notes = scene.window, list[str]()
    if window and scene.session and not any(time in window for time in scene.session):
        notes.append(
            f"The session's own time, {_span(*scene.session)} UTC, is not in the picture:"
            " the report's events lie elsewhere, and are shown where they lie."
        )
    if len(scene.session) == 2 and scene.session[1] < scene.session[0]:
        notes.append("The session ends before it starts.")
    drawn = [*scene.meters.values(), *scene.limits.values()]
    left_out = {
        "outside of the time shown": scene.outside,
        "without a time": scene.missing_start,
        "with a value that is no number or beyond all measure": sum(s.bad for s in drawn),
    }
    reasons = [f"{count:,} {reason}" for reason, count in left_out.items() if count]
    if reasons:
        notes.append(f"Left out, of {scene.events:,} events: {'; '.join(reasons)}.")
    return notes


def _head(figure: Figure, report: SessionReport, title: str | None) -> None:
    """Which session, when and how long, how much."""
    top = figure.get_figheight()
    if title is None:
        vehicle = "" if report.vehicle_id is None else f" · {_plain(report.vehicle_id, 40)}"
        title = f"Session {report.session_id}{vehicle}"
    text = _plain(title, 62)
    _write(figure, _LEFT, top - 0.42, text, size=15, colour="black", weight="bold")
    _write(figure, _LEFT, top - 0.66, _summary(report), size=10.5, colour="#303030")


def _summary(report: SessionReport) -> str:
    """The line under the title; what is not known is not spoken of."""
    start, end = report.session_time_start, report.session_time_end
    parts = list[str]()
    if start is not None:
        parts.append(f"{_date(start)} {start:%H:%M} UTC")
    elif end is not None:
        parts.append(f"until {_date(end)} {end:%H:%M} UTC")
    if start is not None and end is not None:
        parts.append(_duration(end - start))
    energy = _change(report.energy_charge_start, report.energy_charge_end) / 1000
    if not math.isnan(energy):
        parts.append(f"{_number(energy, 1)} kWh")
    first, last = _sane(report.energy_soc_start), _sane(report.energy_soc_end)
    if not math.isnan(last - first):
        parts.append(
            f"SoC {_number(first)} → {_number(last)} % ({_number(last - first, sign='+')})"
        )
    return " · ".join(parts) or "the session's times, energy and state of charge are not known"


def _panels(scene: _Scene) -> list[_Panel]:
    return [
        _Panel(0.12 + 0.19 * max(3, len(scene.states)), partial(_draw_states, scene)),
        _Panel(1.15, partial(_draw_meters, scene, "current", "A", (_CURRENT, _CURRENT_ASKED))),
        _Panel(1.0, partial(_draw_meters, scene, "voltage", "V", (_VOLTAGE, _VOLTAGE_ASKED))),
        _Panel(1.25, partial(_draw_power, scene)),
        _Panel(1.25, partial(_draw_energy, scene)),
        _Panel(0.1 + 0.36 * max(1, len(scene.errors)), partial(_draw_errors, scene)),
    ]


def _draw_states(scene: _Scene, axes: Axes) -> None:
    axes.set_ylabel("OCPP state")
    axes.set_yticks([])
    axes.set_ylim(max(3, len(scene.states)) - 0.4, -0.6)
    if not scene.states:
        _say(axes, "no OCPP states")
    for place, row in enumerate(scene.states):
        spans = [(_days(start), _days(end) - _days(start)) for start, end in row.spans]
        # The edge shows a state that lasted for less than a pixel.
        axes.broken_barh(spans, (place - 0.38, 0.76), color=row.colour, linewidth=1.5)
        _name(axes, -0.008, place, row.name, align="right")


def _draw_meters(scene: _Scene, what: str, unit: str, colours: tuple[str, str], axes: Axes) -> None:
    axes.set_ylabel(f"{what.capitalize()} ({unit})")
    present, asked = scene.meters[f"present_{what}"], scene.meters[f"requested_{what}"]
    lines: list[Artist] = []
    # The requested value is the wider line below, since the two are often the same.
    if asked.known:
        lines += _line(axes, asked, f"requested {what}", colours[1], width=4.5)
    if present.known:
        lines += _line(axes, present, f"present {what}, measured", colours[0])
    _legend(axes, lines[::-1])
    if not lines:
        where = " in the time shown" if scene.outside else ""
        _say(axes, f"no meter values of the {what}{where}")
    elif what == "current":
        _from_zero(axes)


def _draw_power(scene: _Scene, axes: Axes) -> None:
    axes.set_ylabel("Power (kW)")
    power = scene.power
    lines: list[Artist] = []
    if power.known:
        label = "power, computed: present current x voltage"
        lines += _line(axes, power, label, _POWER)
    highest = max(map(abs, power.known), default=0.0)
    names = {
        "Station": ("the station offers", _STATION),
        "Request": ("the vehicle asks for", _REQUEST),
    }
    for kind, (label, colour) in names.items():
        limit = scene.limits[kind]
        if not limit.known:
            continue
        most = max(limit.known)
        if highest and most > _FAR * highest:
            lines.append(Patch(color="none", label=f"{label} up to {_number(most)} kW (not drawn)"))
        else:
            lines += _line(axes, limit, f"{label} at most", colour, width=1.2, step=True)
    _legend(axes, lines)
    if not power.known:
        _say(axes, "no meter values of current and voltage at the same time")
    if lines:
        _from_zero(axes)


def _draw_energy(scene: _Scene, axes: Axes) -> None:
    axes.set_ylabel("Energy (kWh)", color=_ENERGY)
    lines: list[Artist] = []
    energy = _integral(scene.power)
    if len(energy.known) > 1:
        lines += _line(axes, energy, "energy, computed: integral of the power", _ENERGY)
    if len(scene.energy) > 1:
        label = "energy counter, start and end only"
        lines += _line(axes, scene.energy, label, _ENERGY, width=0.8, ends="s")
    if lines:
        _from_zero(axes)
    else:
        axes.set_yticks([])
    lines += _draw_soc(scene.soc, axes)
    _legend(axes, lines)
    if not lines:
        _say(axes, "neither energy nor state of charge in the time shown")


def _draw_soc(soc: _Series, left: Axes) -> list[Artist]:
    """The state of charge, on an axis of its own at the right."""
    axes = left.twinx()
    axes.set_ylabel("SoC (%)", color=_SOC, fontsize=9.5)
    axes.spines[["top", "left", "bottom"]].set_visible(False)
    axes.tick_params(labelsize=8.5, colors=_SOC)
    if not soc.known:
        axes.set_yticks([])
        return []
    lines = _line(axes, soc, "SoC, start and end only", _SOC, width=0.8, ends="o")
    if all(0 <= value <= 100 for value in soc.known):
        axes.set_ylim(0, 105)
    return lines


def _draw_errors(scene: _Scene, axes: Axes) -> None:
    axes.set_ylabel("Errors")
    axes.set_yticks([])
    axes.set_ylim(max(1, len(scene.errors)) - 0.45, -0.75)
    if not scene.errors:
        _say(axes, "no device errors")
    for place, row in enumerate(scene.errors):
        days = [_days(time) for time, _ in row.spans]
        axes.plot(days, [place + 0.2] * len(days), "D", color=_ERROR, markersize=4.5, alpha=0.8)
        name = row.name if row.spans else f"{row.name}, not in the picture"
        _name(axes, 0.006, place - 0.28, name, align="left")


def _name(axes: Axes, x: float, y: float, name: str, *, align: Literal["left", "right"]) -> None:
    """Write the name of a row: across, in widths of the panel."""
    axes.text(
        x,
        y,
        name,
        transform=axes.get_yaxis_transform(),
        ha=align,
        va="center",
        fontsize=8.5,
        parse_math=False,
    )


def _line(
    axes: Axes,
    series: _Series,
    label: str,
    colour: str,
    *,
    width: float = 1.6,
    step: bool = False,
    ends: str = "",
) -> list[Artist]:
    """A curve; with marks at its ends it is dashed, for nothing is known between them."""
    drawn = axes.plot(
        series.days,
        series.values,
        label=label,
        color=colour,
        linewidth=width,
        linestyle="--" if ends or step else "-",
        drawstyle="steps-post" if step else "default",
        marker=ends or ("o" if len(series.known) < 3 else None),
        markersize=6 if ends else 3 + width,
        solid_capstyle="butt",
        clip_on=False,
    )
    return [*drawn]


def _legend(axes: Axes, lines: Sequence[Artist]) -> None:
    if lines:
        axes.legend(
            handles=lines,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.02),
            ncols=len(lines),
            frameon=False,
            fontsize=8.5,
            borderaxespad=0,
            borderpad=0.1,
            handlelength=2.2,
            columnspacing=1.6,
        )


def _from_zero(axes: Axes) -> None:
    """Let the axis begin at zero unless values lie below."""
    low, high = axes.dataLim.intervaly
    room = (max(high, 0.0) - min(low, 0.0)) * 0.08 or 1.0
    axes.set_ylim(min(low - room, 0.0) if low < 0 else 0.0, max(high, 0.0) + room)


def _finish(axes: Axes, scene: _Scene, *, last: bool) -> None:
    """What all panels have: the axis of time, a grid, and sizes of text."""
    axes.yaxis.set_label_coords(-0.145, 0.5)
    axes.yaxis.label.set_fontsize(9.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5, labelbottom=last)
    axes.grid(visible=True, color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    if axes.get_yticks().size:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, min_n_ticks=2))
        axes.ticklabel_format(axis="y", useOffset=False)
    if scene.window is None:
        axes.set_xticks([])
    else:
        axes.set_xlim(*scene.window.view)
        _clock(axes)
    if last:
        axes.set_xlabel(_dates(scene.window), fontsize=9.5)


def _clock(axes: Axes) -> None:
    locator = AutoDateLocator(tz=UTC, minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(locator, tz=UTC, show_offset=False)  # type: ignore[no-untyped-call]
    # The day stands below the axis, so midnight may be a time as any other.
    formatter.zero_formats[3:5] = ["%H:%M", "%H:%M"]
    formatter.formats[5] = formatter.zero_formats[5] = "%H:%M:%S"
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)


def _dates(window: _Window | None) -> str:
    if window is None:
        return "no time (UTC) of the session or of an event is known"
    first, last = _date(window.start), _date(window.end)
    return f"{first} (UTC)" if first == last else f"{first} to {last} (UTC)"


def _say(axes: Axes, text: str) -> None:
    """Tell what a panel lacks, in the middle of it."""
    if not axes.has_data():
        axes.set_yticks([])
    height = 0.22 if axes.has_data() else 0.5
    axes.text(0.5, height, text, transform=axes.transAxes, ha="center", va="center", color=_QUIET)


def _write(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    colour: str,
    weight: str = "normal",
) -> None:
    """Write a line at inches from the lower left corner."""
    figure.text(
        x / figure.get_figwidth(),
        y / figure.get_figheight(),
        text,
        fontsize=size,
        color=colour,
        weight=weight,
        parse_math=False,
    )


def _plain(text: str, most: int) -> str:
    """One line of text that the font can show, and no longer than so many characters."""
    line = "".join(letter if _shown(letter) else "?" for letter in " ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _shown(letter: str) -> bool:
    """Whether the fonts of the picture have a letter; to draw another one is a warning."""
    if letter.isascii():
        return letter.isprintable()
    return letter.isprintable() and all(
        get_font(findfont(FontProperties(weight=weight))).get_char_index(ord(letter))
        for weight in ("normal", "bold")
    )


def _days(time: datetime) -> float:
    """A time as matplotlib counts it."""
    return float(date2num(time))  # type: ignore[no-untyped-call]


def _sane(value: float | None) -> float:
    """A value that can be drawn, or NaN."""
    return float(value) if value is not None and abs(value) <= _BEYOND else math.nan


def _change(start: float | None, end: float | None) -> float:
    return _sane(end) - _sane(start)


def _date(time: datetime) -> str:
    # Without strftime, which on some systems writes the year 1 as "1".
    return time.date().isoformat()


def _span(start: datetime, end: datetime | None = None) -> str:
    first = f"{_date(start)} {start:%H:%M}"
    if end is None or end == start:
        return first
    same = start.date() == end.date()
    return f"{first} to {end:%H:%M}" if same else f"{first} to {_date(end)} {end:%H:%M}"


def _duration(time: timedelta) -> str:
    sign = "-" if time < timedelta() else ""
    seconds = int(abs(time).total_seconds())
    if seconds < 60:
        return f"{sign}{seconds} s"
    minutes = seconds // 60
    return f"{sign}{minutes} min" if minutes < 60 else f"{sign}{minutes // 60} h {minutes % 60} min"


def _number(value: float, digits: int = 0, sign: str = "") -> str:
    """A number for a line of text: a long one is rounded."""
    shape = f"{sign},.{digits}f" if abs(value) < 1e7 else f"{sign}.3g"
    # A counter may be an int beyond any float.
    return format(max(-1e99, min(value, 1e99)), shape)
