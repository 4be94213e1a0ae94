"""Picture of a session: every report can be drawn and saved."""

from __future__ import annotations

import math
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

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

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(minutes=30)
ODD_TEXT = "$x^2$ {\\frac\b\r\x00\x07\x1b[31m 🚌 日本 \ud800 \u202eabc --><script>&amp;" + "W" * 500


def report(**fields: object) -> SessionReport:
    times = {"session_time_start": START, "session_time_end": END}
    return SessionReport(1, **(times | fields))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def simulated() -> SessionReport:
    [plan] = simulate_sessions(1, "CP-001", "1", 1)
    return STRUCTURES.of(SessionReport)(render(plan, ReportShape(80, 6, 4, 10)))


def panel(figure: Figure, label: str) -> Axes:
    [found] = (axes for axes in figure.axes if axes.get_ylabel() == label)
    return found


def texts(part: Axes | Figure) -> list[str]:
    return [text.get_text() for text in part.texts]


def test_the_panels_have_one_time_axis_and_the_curves_of_the_report(
    simulated: SessionReport,
) -> None:
    figure = session_figure(simulated)
    curves = {axes.get_ylabel(): [line.get_label() for line in axes.lines] for axes in figure.axes}
    assert curves | {"Errors": []} == {
        "OCPP state": [],
        "Current (A)": ["requested current", "present current"],
        "Voltage (V)": ["requested voltage", "present voltage"],
        "Power (kW)": ["power (present current x voltage)", "station limit", "vehicle limit"],
        "Energy (kWh)": ["energy (integral of the power)", "energy counter (start and end)"],
        "SoC (%)": ["SoC (start and end)"],
        "Errors": [],
    }
    start, end = date2num([simulated.session_time_start, simulated.session_time_end])  # type: ignore[no-untyped-call]
    [soc] = panel(figure, "SoC (%)").lines
    assert np.asarray(soc.get_xydata()).tolist() == [
        [start, simulated.energy_soc_start],
        [end, simulated.energy_soc_end],
    ]
    assert texts(panel(figure, "Errors"))
    assert panel(figure, "OCPP state").get_yticklabels()[0].get_text() == "Available"
    [limits] = {axes.get_xlim() for axes in figure.axes}
    assert limits[0] < start < end < limits[1]


@pytest.mark.parametrize(
    ("watts", "label", "kilowatts"),
    [
        (20_000.0, "station limit", [20.0]),
        (450_000.0, "station limit up to 450 kW (not drawn)", []),
    ],
)
def test_a_limit_that_would_flatten_the_power_is_named_but_not_drawn(
    watts: float, label: str, kilowatts: list[float]
) -> None:
    values = {"present_current": 10.0, "present_voltage": 600.0}
    figure = session_figure(
        report(
            session_meter_values=[MeterValue(key, value, START) for key, value in values.items()],
            charge_parameters=[
                ChargeParameters("Station", watts, event_timestamp=START),
                ChargeParameters("Weather", 1.0, event_timestamp=START),
            ],
        )
    )

    power, limit = panel(figure, "Power (kW)").lines
    assert np.asarray(power.get_ydata()).tolist() == [6.0]
    assert (limit.get_label(), np.asarray(limit.get_ydata()).tolist()) == (label, kilowatts)


def test_the_figure_of_an_empty_report_says_what_is_missing() -> None:
    figure = session_figure(SessionReport(5))
    assert texts(figure)[0] == "Session 5"
    assert [text for axes in figure.axes for text in texts(axes)] == [
        "no OCPP states",
        "no meter values for the current",
        "no meter values for the voltage",
        "no meter values for current and voltage at the same time",
        "neither energy nor state of charge in the time shown",
        "no device errors",
    ]


@pytest.mark.parametrize(
    "odd",
    [
        report(
            vehicle_id=ODD_TEXT,
            charge_parameters=[ChargeParameters("Station", 1.0, event_timestamp=START)],
            ocpp_status=[OcppStatus(ODD_TEXT, START)],
            device_status=[DeviceStatus("", "", [ErrorCode(ODD_TEXT, 10**400)], START)],
        ),
        report(
            session_meter_values=[
                MeterValue(key, value, START + timedelta(seconds=n))
                for key in ("present_current", "present_voltage")
                for n, value in enumerate((-1.0, math.nan, 0.0))
            ],
            energy_soc_start=-1.0,
            energy_soc_end=1e12,
            energy_charge_start=0.0,
            energy_charge_end=-1e12,
        ),
        report(session_time_end=START, energy_charge_start=1.0, energy_charge_end=1.0),
        report(
            session_time_start=datetime(1000, 1, 1, tzinfo=UTC),
            session_time_end=datetime(8999, 12, 31, tzinfo=UTC),
        ),
        SessionReport(5),
    ],
    ids=["text", "values", "instant", "millennia", "empty"],
)
def test_an_odd_report_can_be_saved_without_a_warning(odd: SessionReport, tmp_path: Path) -> None:
    save_figure(session_figure(odd), tmp_path / "picture.svg")
    ET.parse(tmp_path / "picture.svg")  # noqa: S314


@pytest.mark.parametrize(
    ("title", "text"),
    [(None, "Session 1 · $a_1$ ? ?é"), ("Depot West,\nbay 7", "Depot West, bay 7")],
)
def test_the_title_is_one_line_of_characters_in_the_font(title: str | None, text: str) -> None:
    figure = session_figure(report(vehicle_id="$a_1$ 🚌\n\x07é"), title=title)
    assert texts(figure)[0] == text
    assert not figure.texts[0].get_parse_math()


def test_threads_save_the_same_svg_and_change_no_setting(
    simulated: SessionReport, tmp_path: Path
) -> None:
    def save(number: int) -> None:
        save_figure(session_figure(simulated), tmp_path / f"{number}.svg")

    settings = {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(save, range(2)))
    first, second = (file.read_bytes() for file in tmp_path.iterdir())
    assert first == second
    ids = re.findall(rb'\bid="([^"]+)"', first)
    assert len(ids) == len(set(ids))
    assert set(re.findall(rb'(?:url\(|href=")#([^")]+)', first)) <= set(ids)
    assert settings == {name: mpl.rcParams[name] for name in settings}
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize(("name", "head"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")])
def test_the_suffix_selects_the_format(name: str, head: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"an older picture")
    save_figure(Figure(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(head)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.pdf", ValueError, r"must end in \.png or \.svg, got 'a.pdf'"),
        ("nowhere/a.png", FileNotFoundError, r"there is no folder '.*nowhere'"),
        ("folder.png", OSError, r"directory: '[^']*folder\.png'$"),
    ],
)
def test_an_unusable_path_is_rejected(
    name: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(error, match=message):
        save_figure(Figure(), tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.png"]
