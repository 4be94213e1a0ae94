"""Picture of one charging session, drawn with matplotlib (extra `plot`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

try:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties, findfont, get_font
except ImportError as error:
    raise ImportError(
        "depotclient.plot needs matplotlib: pip install 'thor-depot-clients[plot]'"
    ) from error

from depotclient.plot.data import Series, SessionData, TimelineRow, TimeSpan, session_data, shorten
from evtransport.atomic import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from depotclient.models import SessionReport

__all__ = ["save_figure", "session_figure", "validate_picture_path"]

# A limit this many times the highest power is not drawn: it would flatten the curve.
_MAX_LIMIT_RATIO = 4.0

# Sizes in inches.
_WIDTH, _LEFT, _RIGHT = 11.0, 1.6, 0.8
_HEAD, _GAP, _FOOT, _NOTE = 0.98, 0.34, 0.62, 0.2

# Okabe and Ito's colours, which colour-blind readers can distinguish, and tints of them.
_CURRENT, _CURRENT_REQUESTED = "#0072B2", "#A9D6F0"
_VOLTAGE, _VOLTAGE_REQUESTED = "#8A4B75", "#E8C3DA"
_POWER, _STATION, _VEHICLE = "#007A5A", "#555555", "#D98A00"
_ENERGY, _SOC, _ERROR = "#0072B2", "#D55E00", "#C8102E"
_TEXT, _GRID, _OTHER_STATE = "#606060", "#E4E7EA", "#BBBBBB"
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


def session_figure(report: SessionReport, *, title: str | None = None) -> Figure:
    """Draw one session against time (UTC), as panels with one time axis.

    The panels show the OCPP states; current and voltage, present and requested; power with the
    announced limits; energy and state of charge; device errors. The power is computed from
    current and voltage, and the energy curve from the power.

    Missing and impossible values are omitted, and a note below the panels says so. If most events
    happened at a different time from the session, the picture shows the time of the events.

    Any thread can call this: it uses no window and no state of pyplot.

    Args:
        report: Session to draw (Depot: `SessionReports` schema).
        title: Title, as one line. The default is the ids of the session and the vehicle.

    Returns:
        A figure 11 inches wide and at least 9 high. Each state and each error has a row.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     (report,) = await depot.session_reports("CP-001", 1).collect(max_items=1)
        >>> figure = session_figure(report, title="One session")
    """
    data = session_data(report)
    figure, panels = _make_panels(data)
    states, current, voltage, power, energy, errors = panels
    _draw_states(states, data.states)
    _draw_meters(current, data, "current", "A", (_CURRENT, _CURRENT_REQUESTED))
    _draw_meters(voltage, data, "voltage", "V", (_VOLTAGE, _VOLTAGE_REQUESTED))
    _draw_power(power, data)
    _draw_energy(energy, data)
    _draw_errors(errors, data.errors)
    for axes in panels:
        _style_panel(axes)
    _draw_time_axis(errors, data.span)
    figure.align_ylabels(panels)
    height = figure.get_figheight()
    title = shorten(title or data.title, 62)
    _write(figure, height - 0.42, title, fontsize=15, weight="bold")
    _write(figure, height - 0.66, data.summary, fontsize=10.5, color="#303030")
    for n, note in enumerate(reversed(data.notes)):
        _write(figure, 0.1 + _NOTE * n, note, fontsize=8.5, color=_ERROR)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture to a file, which appears only when it is complete.

    The same figure results in the same SVG, byte for byte.

    Args:
        figure: Picture to save.
        path: Path that ends in `.png` or `.svg`. An existing file is replaced.

    Raises:
        ValueError: The path has a different suffix.
        OSError: The folder is missing or not writable.

    Example:
        >>> from pathlib import Path
        >>> async with DepotClient.from_env() as depot:
        ...     (report,) = await depot.session_reports("CP-001", 1).collect(max_items=1)
        >>> save_figure(session_figure(report), Path("session.svg"))
    """
    validate_picture_path(path)
    picture = _render_svg(figure) if path.suffix.lower() == ".svg" else _render(figure, "png")
    try:
        write_atomically(path, picture)
    except OSError as error:
        # Name the picture instead of the temporary file.
        raise OSError(error.errno, error.strerror, str(path)) from None


def validate_picture_path(path: Path) -> None:
    """Check the path of a picture.

    Raises:
        ValueError: The path ends neither in `.png` nor in `.svg`.
        FileNotFoundError: The folder is missing.

    Example:
        >>> from pathlib import Path
        >>> validate_picture_path(Path("session.png"))
    """
    if path.suffix.lower() not in {".png", ".svg"}:
        raise ValueError(f"the picture's file must end in .png or .svg, got {path.name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r}")


def _render(figure: Figure, file_format: str, **options: object) -> bytes:
    file = BytesIO()
    figure.savefig(file, format=file_format, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _render_svg(figure: Figure) -> bytes:
    # Matplotlib uses random ids. The setting that prevents them is global, and shared by threads.
    ids: dict[bytes, bytes] = {}
    return re.sub(
        rb'(\bid="|#)([a-z]+[0-9a-f]{10})(?=["\)])',
        lambda match: match[1] + ids.setdefault(match[2], b"i%d" % len(ids)),
        _render(figure, "svg", metadata={"Date": None}),
    )


def _make_panels(data: SessionData) -> tuple[Figure, Sequence[Axes]]:
    heights = [
        0.12 + 0.19 * max(3, len(data.states)),
        *(1.15, 1.0, 1.25, 1.25),
        0.1 + 0.36 * max(1, len(data.errors)),
    ]
    foot = _FOOT + _NOTE * len(data.notes)
    height = _HEAD + sum(heights) + _GAP * (len(heights) - 1) + foot
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    grid = {
        "height_ratios": heights,
        "hspace": _GAP * len(heights) / sum(heights),
        "left": _LEFT / _WIDTH,
        "right": 1 - _RIGHT / _WIDTH,
        "top": 1 - _HEAD / height,
        "bottom": foot / height,
    }
    return figure, list(figure.subplots(len(heights), sharex=True, gridspec_kw=grid))


def _draw_states(axes: Axes, rows: Sequence[TimelineRow]) -> None:
    axes.set_ylabel("OCPP state")
    axes.set_yticks(range(len(rows)), [_drawable(row.name) for row in rows], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(3, len(rows)) - 0.4, -0.6)
    if not rows:
        _explain(axes, "no OCPP states")
    for place, row in enumerate(rows):
        days = [(_days(span.start), _days(span.end)) for span in row.spans]
        bars = [(start, end - start) for start, end in days]
        # The edge shows a state that lasted for less than a pixel.
        colour = _STATES.get(row.name, _OTHER_STATE)
        axes.broken_barh(bars, (place - 0.38, 0.76), color=colour, linewidth=1.5)


def _draw_meters(
    axes: Axes, data: SessionData, name: str, unit: str, colours: tuple[str, str]
) -> None:
    axes.set_ylabel(f"{name.capitalize()} ({unit})")
    # The requested value is a wide line below the present value, since both are often equal.
    requested = data.series[f"requested_{name}"]
    lines = _draw_line(axes, requested, f"requested {name}", colours[1], linewidth=4.5)
    present = data.series[f"present_{name}"]
    lines = _draw_line(axes, present, f"present {name}", colours[0]) + lines
    _draw_legend(axes, lines)
    if not lines:
        _explain(axes, f"no meter values for the {name}")
    elif name == "current":
        _start_at_zero(axes)


def _draw_power(axes: Axes, data: SessionData) -> None:
    axes.set_ylabel("Power (kW)")
    lines = _draw_line(axes, data.power, "power (present current x voltage)", _POWER)
    peak = max(map(abs, data.power.known), default=0.0)
    style: dict[str, Any] = {"drawstyle": "steps-post", "linestyle": "--", "linewidth": 1.2}
    for key, label, colour in (
        ("Station", "station limit", _STATION),
        ("Request", "vehicle limit", _VEHICLE),
    ):
        limit = Series(data.series[key].times, [watts / 1000 for watts in data.series[key].values])
        highest = max(limit.known, default=0.0)
        if peak and highest > _MAX_LIMIT_RATIO * peak:
            label = f"{label} up to {highest:,.0f} kW (not drawn)"
            lines += axes.plot([], [], label=label, color=colour, **style)
        else:
            lines += _draw_line(axes, limit, label, colour, **style)
    _draw_legend(axes, lines)
    if not data.power.known:
        _explain(axes, "no meter values for current and voltage at the same time")
    if lines:
        _start_at_zero(axes)


def _draw_energy(axes: Axes, data: SessionData) -> None:
    axes.set_ylabel("Energy (kWh)", color=_ENERGY)
    ends = {"linestyle": "--", "linewidth": 0.8, "markersize": 6}
    label = "energy counter (start and end)"
    lines = _draw_line(axes, data.energy, "energy (integral of the power)", _ENERGY)
    lines += _draw_line(axes, data.counter, label, _ENERGY, marker="s", **ends)
    if lines:
        _start_at_zero(axes)
    else:
        axes.set_yticks([])
    right = axes.twinx()
    right.set_ylabel("SoC (%)", color=_SOC, fontsize=9.5)
    right.spines[["top", "left", "bottom"]].set_visible(False)
    right.tick_params(labelsize=8.5, colors=_SOC)
    soc = _draw_line(right, data.soc, "SoC (start and end)", _SOC, marker="o", **ends)
    if not soc:
        right.set_yticks([])
    elif all(0 <= value <= 100 for value in data.soc.known):
        right.set_ylim(0, 105)
    _draw_legend(axes, lines + soc)
    if not lines + soc:
        _explain(axes, "neither energy nor state of charge in the time shown")


def _draw_errors(axes: Axes, rows: Sequence[TimelineRow]) -> None:
    axes.set_ylabel("Errors")
    axes.set_yticks([])
    axes.set_ylim(max(1, len(rows)) - 0.45, -0.75)
    if not rows:
        _explain(axes, "no device errors")
    for place, row in enumerate(rows):
        days = [_days(span.start) for span in row.spans]
        axes.plot(days, [place + 0.2] * len(days), "D", color=_ERROR, markersize=4.5, alpha=0.8)
        axes.text(
            0.006,
            place - 0.28,
            _drawable(row.name),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
            parse_math=False,
        )


def _draw_line(axes: Axes, series: Series, label: str, colour: str, **style: Any) -> list[Line2D]:
    """Draw a curve. Return it for the legend, or nothing if no value is known."""
    if not series.known:
        return []
    style = {
        "linewidth": 1.6,
        # One or two points need a mark: a line alone is invisible, or looks like many points.
        "marker": "o" if len(series.known) < 3 else None,
        "markersize": 4.5,
    } | style
    axes.locator_params(axis="y", nbins=5)
    axes.ticklabel_format(axis="y", useOffset=False)
    days = [_days(time) for time in series.times]
    return axes.plot(days, series.values, label=label, color=colour, clip_on=False, **style)


def _draw_legend(axes: Axes, lines: Sequence[Line2D]) -> None:
    if lines:
        axes.legend(
            handles=lines,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.02),
            ncols=len(lines),
            frameon=False,
            fontsize=8.5,
            borderaxespad=0,
        )


def _start_at_zero(axes: Axes) -> None:
    low, high = min(axes.dataLim.y0, 0.0), max(axes.dataLim.y1, 0.0)
    axes.set_ylim(low, high + (0.08 * (high - low) or 1.0))


def _style_panel(axes: Axes) -> None:
    axes.yaxis.label.set_fontsize(9.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5)
    axes.grid(visible=True, color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def _draw_time_axis(axes: Axes, span: TimeSpan) -> None:
    if span.is_empty:
        axes.set_xticks([])
        axes.set_xlabel("no time of the session or of an event is known", fontsize=9.5)
        return
    start, end = _days(span.start), _days(span.end)
    margin = max((end - start) * 0.012, 2 / 86_400)
    axes.set_xlim(start - margin, end + margin)
    locator = AutoDateLocator(tz=UTC, maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    axes.set_xlabel("Time (UTC)", fontsize=9.5)


def _explain(axes: Axes, text: str) -> None:
    """Write into a panel which data is missing."""
    y = 0.22 if axes.has_data() else 0.5
    if not axes.has_data():
        axes.set_yticks([])
    axes.text(0.5, y, text, transform=axes.transAxes, ha="center", va="center", color=_TEXT)


def _write(figure: Figure, y: float, text: str, **style: Any) -> None:
    """Write a line into the figure, `y` inches above its lower edge."""
    x, y = _LEFT / _WIDTH, y / figure.get_figheight()
    figure.text(x, y, _drawable(text), parse_math=False, **style)


def _drawable(text: str) -> str:
    """Return a string with `?` for characters without a glyph: matplotlib warns about them."""
    # The bold font has fewer characters than the regular one.
    font = get_font(findfont(FontProperties(weight="bold")))
    return "".join(
        letter if letter.isprintable() and font.get_char_index(ord(letter)) else "?"
        for letter in text
    )


def _days(time: datetime) -> float:
    """Return a time as a number of days, matplotlib's unit."""
    return float(date2num(time))  # type: ignore[no-untyped-call]
