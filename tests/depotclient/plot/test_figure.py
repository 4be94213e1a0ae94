"""What the picture of a session shows, and that no report is too odd for one."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs
import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from depotclient.models import (
    STRUCTURES,
    ChargeParameters,
    DeviceStatus,
    ErrorCode,
    MeterValue,
    OcppStatus,
    SessionReport,
)
from depotclient.plot import save_figure, session_figure
from depotclient.sandbox.simulation import ReportShape, render, simulate_sessions

PANELS = [
    "OCPP state",
    "Current (A)",
    "Voltage (V)",
    "Power (kW)",
    "Energy (kWh)",
    "Errors",
]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(minutes=30)


def simulated(shape: ReportShape | None = None) -> SessionReport:
    plan = simulate_sessions(1, "CP-001", "1", 1, first_session_id=4711)[0]
    return STRUCTURES.of(SessionReport)(render(plan, shape))


def session(**fields: object) -> SessionReport:
    """Half an hour, and what a test is about."""
    report = SessionReport(1, session_time_start=START, session_time_end=END)
    for name, value in fields.items():
        setattr(report, name, value)
    return report


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def meters(key: str, *values: float | None, step: float = 1) -> list[MeterValue]:
    return [MeterValue(key, value, minute(n * step)) for n, value in enumerate(values)]


def panel(figure: Figure, label: str) -> Axes:
    (found,) = (axes for axes in figure.axes if axes.get_ylabel() == label)
    return found


def line(axes: Axes, label: str) -> Line2D:
    (found,) = (line for line in axes.lines if label in str(line.get_label()))
    return found


def points(curve: Line2D) -> list[tuple[datetime, float]]:
    """To the millisecond, which is what reports have."""
    xs, ys = (np.asarray(values, dtype=float) for values in curve.get_data())
    times = num2date(xs)  # type: ignore[no-untyped-call]
    return [(moment(time), float(y)) for time, y in zip(times, ys, strict=True)]


def moment(time: datetime) -> datetime:
    time += timedelta(microseconds=500)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def words(axes: Axes | Figure) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def drawn(figure: Figure, tmp_path: Path) -> Path:
    """Written both ways: what warns or breaks does so here."""
    for name in ("picture.png", "picture.svg"):
        save_figure(figure, tmp_path / name)
    return tmp_path / "picture.svg"


def test_the_panels_share_an_axis_of_time_that_names_the_day_and_utc() -> None:
    figure = session_figure(simulated())

    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel() != "SoC (%)"] == PANELS
    assert figure.axes[-1].get_xlabel() == "2026-01-01 (UTC)"
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_the_head_says_which_session_when_how_long_and_how_much() -> None:
    report = simulated()
    assert report.session_time_start is not None
    report.session_time_end = report.session_time_start + timedelta(minutes=64)
    report.energy_charge_start, report.energy_charge_end = 1_000.0, 63_400.0
    report.energy_soc_start, report.energy_soc_end = 20.0, 46.0

    head, summary = (text.get_text() for text in session_figure(report).texts)

    assert head == f"Session 4711 · {report.vehicle_id}"
    assert summary == "2026-01-01 00:00 UTC · 1 h 4 min · 62.4 kWh · SoC 20 → 46 % (+26)"


def test_a_title_of_ones_own_takes_the_place_of_the_ids() -> None:
    figure = session_figure(simulated(), title="Depot West,\nbay 7")

    assert figure.texts[0].get_text() == "Depot West, bay 7"
    assert "4711" not in words(figure)


@pytest.mark.parametrize("kind", ["present", "requested"])
@pytest.mark.parametrize(("what", "unit"), [("current", "A"), ("voltage", "V")])
def test_a_curve_has_the_meter_values_of_its_key(kind: str, what: str, unit: str) -> None:
    report = simulated()

    curve = line(panel(session_figure(report), f"{what.capitalize()} ({unit})"), f"{kind} {what}")

    assert points(curve) == [
        (value.event_timestamp, value.value)
        for value in report.session_meter_values
        if value.key == f"{kind}_{what}"
    ]


def test_the_power_is_current_times_voltage() -> None:
    report = session(
        session_meter_values=[
            *meters("present_current", 100.0, 200.0, 300.0),
            MeterValue("present_voltage", 600.0, START),
            MeterValue("present_voltage", 650.0, minute(1) + timedelta(seconds=2)),
        ]
    )

    power = line(panel(session_figure(report), "Power (kW)"), "computed")

    assert points(power) == [(START, 60.0), (minute(1), 130.0)], "no voltage near the third"


def test_the_energy_is_the_integral_and_agrees_with_the_counter() -> None:
    report = simulated()
    assert report.energy_charge_start is not None
    assert report.energy_charge_end is not None
    energy = panel(session_figure(report), "Energy (kWh)")

    computed = points(line(energy, "computed"))
    counted = points(line(energy, "counter, start and end only"))

    charged = (report.energy_charge_end - report.energy_charge_start) / 1000
    assert counted == [(report.session_time_start, 0.0), (report.session_time_end, charged)]
    assert computed[0][1] == 0
    assert computed[-1][1] == pytest.approx(charged, rel=0.02)


def test_the_state_of_charge_is_known_at_the_ends_only_and_dashed_between() -> None:
    report = simulated()

    soc = line(panel(session_figure(report), "SoC (%)"), "SoC")

    assert points(soc) == [
        (report.session_time_start, report.energy_soc_start),
        (report.session_time_end, report.energy_soc_end),
    ]
    assert soc.get_linestyle() == "--"
    assert soc.get_label() == "SoC, start and end only"


def test_one_end_alone_is_one_point_and_a_charge_of_zero_is_a_value() -> None:
    figure = session_figure(session(energy_soc_start=0.0, energy_charge_start=5.0))

    assert points(line(panel(figure, "SoC (%)"), "SoC")) == [(START, 0.0)]
    assert legend(panel(figure, "Energy (kWh)")) == ["SoC, start and end only"]


def test_the_limits_are_in_kw_too() -> None:
    report = session(
        session_meter_values=[
            *meters("present_current", 500.0, 500.0),
            *meters("present_voltage", 600.0, 600.0),
        ],
        charge_parameters=[
            ChargeParameters("Station", 450_000.0, event_timestamp=minute(1)),
            ChargeParameters("Request", 330_000.0, event_timestamp=minute(2)),
            ChargeParameters("Weather", 1.0, event_timestamp=minute(3)),
        ],
    )

    power = panel(session_figure(report), "Power (kW)")

    assert points(line(power, "station")) == [(minute(1), 450.0)]
    assert points(line(power, "vehicle")) == [(minute(2), 330.0)]
    assert len(power.lines) == 3


def test_a_limit_that_would_flatten_the_power_is_told_in_words() -> None:
    report = session(
        session_meter_values=[*meters("present_current", 10.0), *meters("present_voltage", 600.0)],
        charge_parameters=[ChargeParameters("Station", 450_000.0, event_timestamp=minute(1))],
    )

    power = panel(session_figure(report), "Power (kW)")

    assert "the station offers up to 450 kW (not drawn)" in legend(power)
    assert power.get_ylim()[1] < 10


def spans(axes: Axes) -> list[tuple[datetime, datetime]]:
    """The bars from the top row down."""
    bars = [bar for bar in axes.collections if isinstance(bar, PolyCollection)]
    paths = [np.asarray(path.vertices, dtype=float) for bar in bars for path in bar.get_paths()]
    ends = [(path[:, 0].min(), path[:, 0].max()) for path in paths]
    times = [num2date(end) for end in ends]  # type: ignore[no-untyped-call]
    return [(moment(start), moment(end)) for start, end in times]


def test_a_state_lasts_until_the_next_one_and_the_last_until_the_end() -> None:
    report = session(
        ocpp_status=[
            OcppStatus("Charging", minute(4)),
            OcppStatus("Available", START),
            OcppStatus("Preparing", minute(1)),
            OcppStatus("Reserved", None),
        ]
    )

    states = panel(session_figure(report), "OCPP state")

    assert words(states) == "Available\nPreparing\nCharging"
    assert spans(states) == [(START, minute(1)), (minute(1), minute(4)), (minute(4), END)]


def test_a_state_of_hours_ago_is_shown_from_where_the_picture_begins() -> None:
    states = [OcppStatus("Preparing", minute(-600)), OcppStatus("Charging", minute(10))]

    figure = session_figure(session(ocpp_status=states))

    assert spans(panel(figure, "OCPP state"))[0] == (START, minute(10))


def test_more_states_than_there_is_room_for_share_the_last_row() -> None:
    states = [OcppStatus(f"State {n}", minute(n)) for n in range(20)]

    names = words(panel(session_figure(session(ocpp_status=states)), "OCPP state")).split("\n")

    assert names[0] == "State 0"
    assert names[-1] == "13 others"


def test_each_error_of_a_device_is_written_once_with_how_often_it_was_reported() -> None:
    report = session(
        device_status=[
            DeviceStatus(
                "STANDBY",
                "Converter",
                [ErrorCode("no:144", n + 1), ErrorCode("no:7", 3, minute(20))],
                minute(n),
            )
            for n in range(15)
        ]
    )

    errors = panel(session_figure(report), "Errors")

    assert words(errors).split("\n") == [
        "Converter: no:144  (15 reports, counter 1 to 15)",
        "Converter: no:7  (15 reports, counter 3)",
    ]
    own, inherited = points(errors.lines[1]), points(errors.lines[0])
    assert {time for time, _ in own} == {minute(20)}
    assert [time for time, _ in inherited] == [minute(n) for n in range(15)]


def test_an_error_without_a_time_is_written_though_it_has_no_mark() -> None:
    figure = session_figure(session(device_status=[DeviceStatus("OPEN", None, [ErrorCode()])]))

    (text,) = words(panel(figure, "Errors")).split("\n")
    assert text == "device without a name: error without a code  (1 report), not in the picture"
    assert "Left out, of 1 events: 1 without a time." in words(figure)


def test_many_different_errors_share_the_last_row() -> None:
    errors = [ErrorCode(f"no:{n}", 1, minute(n)) for n in range(25)]

    texts = words(
        panel(session_figure(session(device_status=[DeviceStatus("A", "B", errors)])), "Errors")
    )

    assert texts.endswith("18 other errors")
    assert len(texts.split("\n")) == 8


def test_a_report_of_nothing_but_an_id_says_what_is_missing(tmp_path: Path) -> None:
    figure = session_figure(SessionReport(5))

    assert "Session 5" in words(figure)
    assert words(panel(figure, "Current (A)")) == "no meter values of the current"
    assert words(panel(figure, "OCPP state")) == "no OCPP states"
    assert words(panel(figure, "Errors")) == "no device errors"
    assert "no time (UTC)" in figure.axes[-1].get_xlabel() + figure.axes[-2].get_xlabel()
    drawn(figure, tmp_path)


def test_events_a_year_before_the_session_are_shown_at_their_own_time(tmp_path: Path) -> None:
    long_ago = START - timedelta(days=400)
    values = [
        MeterValue("present_voltage", 600.0, long_ago + timedelta(minutes=n)) for n in range(9)
    ]
    figure = session_figure(session(session_meter_values=values, energy_soc_start=5.0))

    assert len(points(line(panel(figure, "Voltage (V)"), "present"))) == 9
    assert "2026-03-01 12:00 to 12:30 UTC, is not in the picture" in words(figure)
    assert "2025-01-25 (UTC)" in [axes.get_xlabel() for axes in figure.axes]
    assert not panel(figure, "SoC (%)").lines
    drawn(figure, tmp_path)


def test_a_stray_event_is_left_out_and_counted() -> None:
    report = simulated()
    report.session_meter_values[0].event_timestamp = START - timedelta(days=400)

    figure = session_figure(report)

    assert re.search(r"Left out, of [\d,]+ events: 1 outside of the time shown\.", words(figure))
    assert figure.axes[-1].get_xlabel() == "2026-01-01 (UTC)"


@pytest.mark.parametrize("bad", [math.nan, -math.inf, 1e300])
def test_a_value_that_is_none_makes_a_gap_and_is_counted(bad: float, tmp_path: Path) -> None:
    report = session(
        energy_soc_end=bad,
        energy_charge_start=bad,
        energy_charge_end=1.0,
        charge_parameters=[ChargeParameters("Station", bad, event_timestamp=START)],
        session_meter_values=[
            *meters("present_current", 1.0, bad, -3.0, None),
            *meters("present_voltage", 1000.0, 1000.0, 1000.0),
        ],
    )
    figure = session_figure(report)

    values = [value for _, value in points(line(panel(figure, "Power (kW)"), "computed"))]
    assert values == pytest.approx([1.0, math.nan, -3.0], nan_ok=True)
    assert "2 with a value that is no number or beyond all measure" in words(figure)
    assert "kWh" not in words(figure)
    drawn(figure, tmp_path)


def test_values_may_come_in_any_order_and_of_two_for_one_moment_the_later_counts() -> None:
    values = [
        *reversed(meters("present_current", 1.0, 2.0, 3.0)),
        MeterValue("present_current", 9.0, START),
    ]

    curve = line(
        panel(session_figure(session(session_meter_values=values)), "Current (A)"), "present"
    )

    assert points(curve) == [(START, 9.0), (minute(1), 2.0), (minute(2), 3.0)]


ODD = [
    "$x^2$ $\\frac{$",
    "BUS_{}\\$",
    "a\nb\tc\r\x00\x07\x1b[31m",
    "🚌 日本 \ud800 \u202eabc",
    "--><script>&amp;",
    "",
    "W" * 500,
]


@pytest.mark.parametrize("text", ODD)
def test_any_text_can_be_drawn(text: str, tmp_path: Path) -> None:
    report = session(
        vehicle_id=text,
        ocpp_status=[OcppStatus(text, START)],
        device_status=[DeviceStatus(text, text, [ErrorCode(text, 10**400)], START)],
    )

    picture = drawn(session_figure(report, title=text or None), tmp_path)

    ET.parse(picture)  # noqa: S314


def test_dollars_are_no_formulas_and_letters_without_a_glyph_are_question_marks() -> None:
    report = session(vehicle_id="$a_1$ 🚌\n\x07é")

    (title, *_) = session_figure(report).texts

    assert title.get_text() == "Session 1 · $a_1$ ? ?é"
    assert not title.get_parse_math()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0001-01-01T00:00Z", "9999-12-31T23:59Z"),
        ("0001-01-01T00:00Z", None),
        (None, "9999-12-31T23:59Z"),
        ("0002-01-01T00:00Z", "9998-12-31T23:59Z"),
        ("2026-01-01T00:00Z", "2026-01-01T00:00Z"),
        ("2026-01-01T00:00:30Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00Z", "2026-03-01T00:00Z"),
    ],
)
def test_any_time_can_be_drawn(start: str | None, end: str | None, tmp_path: Path) -> None:
    times = [None if time is None else datetime.fromisoformat(time) for time in (start, end)]
    report = SessionReport(
        1,
        session_time_start=times[0],
        session_time_end=times[1],
        energy_soc_start=1.0,
        energy_charge_start=0.0,
        energy_charge_end=1e12,
        ocpp_status=[OcppStatus("Charging", time) for time in times],
    )

    drawn(session_figure(report), tmp_path)


def test_the_same_report_gives_the_same_svg(tmp_path: Path) -> None:
    report = simulated(ReportShape.small())
    pictures = list[bytes]()
    for name in ("one.svg", "two.svg"):
        save_figure(session_figure(report), tmp_path / name)
        pictures.append((tmp_path / name).read_bytes())

    assert pictures[0] == pictures[1]
    ids = re.findall(rb'\bid="([^"]+)"', pictures[0])
    assert len(ids) == len(set(ids))
    assert set(re.findall(rb'(?:url\(|href=")#([^")]+)', pictures[0])) <= set(ids)


def settings() -> dict[str, object]:
    """Without the backend, which is chosen when somebody looks."""
    return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}


def test_a_picture_is_made_and_saved_in_threads_and_changes_no_settings(tmp_path: Path) -> None:
    report, before = simulated(ReportShape.small()), settings()

    def work(number: int) -> None:
        save_figure(session_figure(report), tmp_path / f"{number}.svg")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1
    assert len(list(tmp_path.iterdir())) == 3
    assert settings() == before


@pytest.mark.parametrize(("name", "begin"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")])
def test_the_suffix_says_what_the_file_is(name: str, begin: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"an older picture")

    save_figure(Figure(), tmp_path / name)

    assert (tmp_path / name).read_bytes().startswith(begin)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.pdf", "a", ".png"])
def test_another_suffix_is_refused_with_those_that_would_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg, not '" + re.escape(name)):
        save_figure(Figure(), tmp_path / name)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*nowhere'"):
        save_figure(Figure(), tmp_path / "nowhere" / "a.png")


def test_a_file_that_cant_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()

    with pytest.raises(OSError, match=r"a\.png"):
        save_figure(Figure(), tmp_path / "a.png")

    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_nothing_is_asked_of_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from depotclient.models import SessionReport;"
        "from depotclient.plot import save_figure, session_figure;"
        "save_figure(session_figure(SessionReport(1)), Path(sys.argv[1]));"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], check=True)  # noqa: S603


def test_the_report_is_left_as_it_was() -> None:
    report = simulated()
    before = attrs.asdict(report)

    session_figure(report)

    assert attrs.asdict(report) == before
