"""Data of a session's picture: the parts of a report that it shows."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from depotclient.models import (
    ChargeParameters,
    DeviceStatus,
    ErrorCode,
    MeterValue,
    OcppStatus,
    SessionReport,
)
from depotclient.plot.data import Series, SessionData, TimelineRow, TimeSpan, session_data

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
END = START + 30 * MINUTE
YEAR_1, YEAR_9999 = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def data(**fields: object) -> SessionData:
    """Return the data of half an hour."""
    times = {"session_time_start": START, "session_time_end": END}
    return session_data(SessionReport(1, **(times | fields)))  # type: ignore[arg-type]


def at(minute: float) -> datetime:
    return START + minute * MINUTE


def meters(key: str, *values: float | None) -> list[MeterValue]:
    return [MeterValue(key, value, at(n)) for n, value in enumerate(values)]


def points(series: Series) -> list[tuple[datetime, float]]:
    return list(zip(series.times, series.values, strict=True))


def test_power_needs_a_current_and_the_last_voltage_within_5_seconds() -> None:
    voltages = [
        MeterValue("present_voltage", 650.0, at(1) + timedelta(seconds=5)),
        MeterValue("present_voltage", 9.0, START),
        MeterValue("present_voltage", 600.0, START),
    ]
    result = data(
        session_meter_values=meters("present_current", 100.0, 200.0, 300.0) + voltages,
        energy_soc_start=0.0,
        energy_charge_start=5.0,
    )
    assert points(result.power) == [(START, 60.0), (at(1), 130.0)]
    assert points(result.energy) == [(START, 0.0), (at(1), pytest.approx(95 / 60))]
    assert points(result.soc) == [(START, 0.0)]
    assert points(result.counter) == []


@pytest.mark.parametrize("bad", [math.nan, -math.inf, 10**400], ids=["nan", "inf", "int"])
def test_an_impossible_value_is_a_gap_and_is_counted(bad: float) -> None:
    result = data(
        energy_soc_start=5.0,
        energy_soc_end=bad,
        energy_charge_start=bad,
        energy_charge_end=1.0,
        charge_parameters=[ChargeParameters("Station", bad, event_timestamp=START)],
        session_meter_values=[
            *meters("present_current", 1.0, bad, -3.0, None),
            *meters("present_voltage", 1000.0, 1000.0, 1000.0),
        ],
    )

    assert result.power.values == pytest.approx([1.0, math.nan, -3.0], nan_ok=True)
    assert result.energy.values == pytest.approx([0.0, math.nan, 0.0], nan_ok=True)
    assert result.soc.known == [5.0]
    assert not result.counter.times
    assert "Omitted from 7 events: 2 with an impossible value." in result.notes
    assert result.summary == "2026-03-01 12:00 UTC · 30 min"


def test_a_state_lasts_until_the_next_one_and_the_last_until_the_end() -> None:
    states = [("Charging", at(4)), ("Available", at(-600)), ("Preparing", at(1)), ("Lost", None)]
    states += [("Charging", at(60 * 24)), ("Zero", at(4)), ("Finishing", at(4))]

    result = data(ocpp_status=[OcppStatus(name, time) for name, time in states])

    assert result.states == [
        TimelineRow("Available", [TimeSpan(START, at(1))]),
        TimelineRow("Preparing", [TimeSpan(at(1), at(4))]),
        TimelineRow("Charging", [TimeSpan(at(4), at(4))]),
        TimelineRow("Zero", [TimeSpan(at(4), at(4))]),
        TimelineRow("Finishing", [TimeSpan(at(4), END)]),
    ]
    assert result.notes == ["Omitted from 7 events: 2 outside the time shown; 1 without a time."]


def test_an_error_is_a_row_with_the_times_of_its_reports() -> None:
    reports = [
        DeviceStatus("A", "Converter", [ErrorCode("no:7"), ErrorCode("no:8", 3, at(20))], at(n))
        for n in range(3)
    ]
    nameless = DeviceStatus("OPEN", None, [ErrorCode("no:8"), ErrorCode()])

    result = data(device_status=[nameless, *reports])

    assert [(row.name, [span.start for span in row.spans]) for row in result.errors] == [
        ("Converter: no:7  (3 x)", [at(0), at(1), at(2)]),
        ("Converter: no:8  (3 x)", [at(20)] * 3),
        ("device without a name: no:8  (1 x)", []),
        ("device without a name: error without a code  (1 x)", []),
    ]


def test_rows_after_the_eighth_are_merged_into_it() -> None:
    result = data(
        ocpp_status=[OcppStatus(f"State {n}", at(n)) for n in range(20)],
        device_status=[DeviceStatus("A", "B", [ErrorCode(f"no:{n}", 1, at(n)) for n in range(9)])],
    )

    assert [row.name for row in result.states][6:] == ["State 6", "13 others"]
    assert [row.name for row in result.errors][6:] == ["B: no:6  (1 x)", "2 other errors"]
    assert [span.start for span in result.errors[-1].spans] == [at(7), at(8)]


@pytest.mark.parametrize(
    ("start", "end", "near", "far", "span", "note"),
    [
        (START, END, 2, 0, TimeSpan(at(-9), END), ""),
        (START, END, 3, 1, TimeSpan(at(-9), END), "Omitted from 4 events: 1 outside the time"),
        (
            START,
            END,
            0,
            9,
            TimeSpan(at(-500_000), at(-499_992)),
            "The session itself (2026-03-01 12:00 UTC) is not in the picture",
        ),
        (END, START, 0, 0, TimeSpan(START, END), "The session ends before it starts."),
        # The years 1 and 9999 stand for "never".
        (START, YEAR_9999, 0, 0, TimeSpan(START, START), ""),
        (YEAR_1, YEAR_9999, 0, 0, None, ""),
        (None, None, 0, 0, None, ""),
    ],
)
def test_the_picture_shows_the_session_or_most_of_its_events(
    start: datetime | None,
    end: datetime | None,
    near: int,
    far: int,
    span: TimeSpan | None,
    note: str,
) -> None:
    values = [first + n for first, count in ((-9, near), (-500_000, far)) for n in range(count)]
    result = data(
        session_time_start=start,
        session_time_end=end,
        session_meter_values=[MeterValue("present_voltage", 600.0, at(n)) for n in values],
        energy_soc_start=5.0,
    )
    assert result.span.is_empty if span is None else result.span == span
    assert len(result.series["present_voltage"].times) == max(near, far)
    assert bool(result.soc.times) == result.span.contains(start or YEAR_1)
    assert [text[: len(note)] for text in result.notes] == ([note] if note else [])


@pytest.mark.parametrize(
    ("end", "duration"), [(at(64), "1 h 4 min"), (at(64.9), "1 h 4 min"), (at(-5), "-5 min")]
)
def test_the_title_and_the_summary_name_the_session(end: datetime, duration: str) -> None:
    result = data(
        vehicle_id="BUS\n 7" + "x" * 40,
        session_time_end=end,
        energy_charge_start=1_000.0,
        energy_charge_end=63_400.0,
        energy_soc_start=20.0,
        energy_soc_end=46.0,
    )
    assert result.title == f"Session 1 · BUS 7{'x' * 34}…"
    assert dict(points(result.counter)) == {START: 0.0, end: 62.4}
    assert result.summary == (f"2026-03-01 12:00 UTC · {duration} · 62.4 kWh · SoC 20 → 46 % (+26)")
