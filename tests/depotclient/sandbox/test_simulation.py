"""Whether the sandbox's session reports could have happened."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Annotated

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depotclient.sandbox.simulation import ReportShape, SessionPlan, render, simulate_sessions

Number = int | float
Hex = Annotated[str, msgspec.Meta(pattern="^0x[0-9A-F]{8}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    event_timestamp: Moment


class OcppState(Strict):
    value: str


class DetailState(Strict):
    key: str
    value: Hex


class ErrorCode(Strict):
    error_code: str
    error_counter: int


class DeviceState(Strict):
    status: str
    device_id: str
    error_codes: list[ErrorCode] = []


class Parameters(Strict):
    param_type: str
    max_power: Number
    max_current: Number
    max_voltage: Number
    min_current: Number
    min_voltage: Number


class MeterValue(Strict):
    key: str
    value: Number


class Alignment(Strict):
    in_range: bool
    present_voltage: Number
    requested_voltage: Number


class Opening(Strict):
    current: Number
    voltage: Number


class Report(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    session_id: int
    vehicle_id: str
    session_time_start: Moment
    session_time_end: Moment
    energy_soc_start: int
    energy_soc_end: int
    energy_charge_start: int
    energy_charge_end: int
    energy_primary_start: int
    energy_primary_end: int
    energy_requested_start: int
    energy_requested_end: int
    ocpp_status: list[OcppState]
    detail_status: list[DetailState]
    device_status: list[DeviceState]
    charge_parameters: list[Parameters]
    session_meter_values: list[MeterValue]
    battery_alignment_results: Alignment
    dc_breaker_open_conditions: Opening

    def readings(self, key: str) -> list[tuple[Moment, Number]]:
        return [(v.event_timestamp, v.value) for v in self.session_meter_values if v.key == key]

    def energy(self, kind: str) -> float:
        """Wh under the curve of current times voltage, by trapezoids."""
        current, voltage = self.readings(f"{kind}_current"), self.readings(f"{kind}_voltage")
        power = [(at, i * u) for (at, i), (_, u) in zip(current, voltage, strict=True)]
        return sum(
            (p + q) / 2 * (after - before).total_seconds() / 3600
            for (before, p), (after, q) in pairwise(power)
        )


def read(plan: SessionPlan, shape: ReportShape | None = None) -> Report:
    return msgspec.json.decode(render(plan, shape), type=Report)


def plans(count: int = 20, seed: int = 0) -> tuple[SessionPlan, ...]:
    return simulate_sessions(seed, "CP-001", "1", count)


seeds = st.integers(0, 2**32)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert [render(plan) for plan in plans(3)] == [render(plan) for plan in plans(3)]
    assert render(plans(1)[0]) != render(plans(1, seed=1)[0])


def test_connectors_differ() -> None:
    assert simulate_sessions(0, "CP-001", "1", 5) != simulate_sessions(0, "CP-001", "2", 5)


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_energy_agrees_with_the_state_of_charge(seed: int) -> None:
    for plan in plans(20, seed):
        gained = plan.soc[1] - plan.soc[0]
        assert 3 <= gained <= 86
        assert plan.charge[1] - plan.charge[0] == plan.battery.capacity * gained / 100
        assert 0.93 < (plan.charge[1] - plan.charge[0]) / (plan.primary[1] - plan.primary[0]) < 0.97
        assert plan.requested[1] - plan.requested[0] > plan.charge[1] - plan.charge[0]


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_the_metered_power_adds_up_to_the_counted_energy(seed: int) -> None:
    for plan in plans(3, seed):
        report = read(plan, ReportShape(meter_values=400))
        counted = report.energy_charge_end - report.energy_charge_start
        asked = report.energy_requested_end - report.energy_requested_start
        assert math.isclose(report.energy("present"), counted, rel_tol=0.01)
        assert math.isclose(report.energy("requested"), asked, rel_tol=0.01)


def test_voltage_rises_and_current_falls_after_the_taper() -> None:
    plan = max(plans(60), key=lambda plan: plan.soc[1])
    assert plan.soc[1] > 90
    report = read(plan)
    voltages = [value for _, value in report.readings("present_voltage")]
    currents = [value for _, value in report.readings("present_current")]
    assert voltages == sorted(voltages)
    assert currents == sorted(currents, reverse=True)
    assert currents[0] > 2 * currents[-1]


def test_meter_values_come_at_regular_steps() -> None:
    times = [at for at, _ in read(plans(1)[0]).readings("present_current")]
    steps = {after - before for before, after in pairwise(times)}
    assert max(steps) - min(steps) <= timedelta(milliseconds=1)


@given(seed=seeds, count=st.integers(1, 100))
@settings(max_examples=25, deadline=None)
def test_sessions_ascend_without_overlap(seed: int, count: int) -> None:
    for before, after in pairwise(plans(count, seed)):
        assert before.end < after.start
        assert before.session_id + 1 == after.session_id
        assert before.charge[1] == after.charge[0]
        assert before.primary[1] == after.primary[0]
        assert before.requested[1] == after.requested[0]


@pytest.mark.parametrize("shape", [None, ReportShape(), ReportShape.small()])
def test_every_event_lies_inside_its_session(shape: ReportShape | None) -> None:
    for plan in plans(10):
        report = read(plan, shape)
        events: list[Strict] = [
            *report.ocpp_status,
            *report.detail_status,
            *report.device_status,
            *(code for state in report.device_status for code in state.error_codes),
            *report.charge_parameters,
            *report.session_meter_values,
            report.battery_alignment_results,
            report.dc_breaker_open_conditions,
        ]
        assert report.session_time_start == min(event.event_timestamp for event in events)
        assert report.session_time_end == max(event.event_timestamp for event in events)


def test_a_connector_goes_through_the_states_of_ocpp_in_order() -> None:
    for plan in plans():
        states = read(plan, ReportShape.small()).ocpp_status
        assert [state.value for state in states] == [
            "Available",
            "Preparing",
            "Charging",
            "Finishing",
            "Available",
        ]
        times = [state.event_timestamp for state in states]
        assert times == sorted(set(times))


def test_times_are_utc_with_milliseconds() -> None:
    raw = msgspec.json.decode(render(plans(1)[0], ReportShape.small()))
    for text in (raw["sessionTimeStart"], raw["ocppStatus"][2]["eventTimestamp"]):
        moment = datetime.fromisoformat(text)
        assert text == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_station_and_vehicle_take_turns_and_some_devices_warn() -> None:
    report = read(plans(1)[0])
    assert [p.param_type for p in report.charge_parameters[:4]] == ["Station", "Request"] * 2
    assert any(state.error_codes for state in report.device_status)
    assert not all(state.error_codes for state in report.device_status)


@given(
    shape=st.builds(
        ReportShape,
        meter_values=st.integers(0, 40),
        charge_parameters=st.integers(0, 9),
        detail_states=st.integers(0, 9),
        device_states=st.integers(0, 9),
    )
)
@settings(max_examples=50, deadline=None)
def test_a_shape_is_kept_to_the_letter(shape: ReportShape) -> None:
    report = read(plans(1)[0], shape)
    assert len(report.session_meter_values) == shape.meter_values
    assert len(report.charge_parameters) == shape.charge_parameters
    assert len(report.detail_status) == shape.detail_states
    assert len(report.device_status) == shape.device_states


def test_reports_are_as_large_as_is_documented() -> None:
    sizes = [len(render(plan)) for plan in plans(60)]
    assert 50_000 <= min(sizes) < 100_000
    assert 300_000 < max(sizes) <= 500_000
    assert all(200_000 < len(render(plan, ReportShape())) < 215_000 for plan in plans(5))
    assert all(1_500 < len(render(plan, ReportShape.small())) < 2_500 for plan in plans(5))


@pytest.mark.parametrize("count", [60, 20_000])
def test_sessions_are_over_by_the_end_of_january_2026(count: int) -> None:
    planned = plans(count)
    assert len(planned) == count
    assert planned[-1].end < datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1000


def test_the_first_session_begins_when_it_is_told_to() -> None:
    start = datetime(2025, 3, 30, 1, 59, 59, 999_000, tzinfo=timezone(timedelta(hours=1)))
    [plan] = simulate_sessions(0, "CP-001", "1", 1, start=start, first_session_id=77)
    report = read(plan, ReportShape.small())
    assert (report.session_time_start, report.session_id) == (start, 77)


@pytest.mark.parametrize("count", [-1, 1.5, True, "3"])
def test_a_count_that_is_none_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="count"):
        simulate_sessions(0, "CP-001", "1", count)
    with pytest.raises(ValueError, match="detail_states"):
        ReportShape(detail_states=count)


def test_a_naive_start_is_refused() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="aware"):
        simulate_sessions(0, "CP-001", "1", 1, start=naive)
