"""Simulated sessions: their plans and reports are plausible."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depotclient.models import STRUCTURES, SessionReport
from depotclient.sandbox.simulation import ReportShape, SessionPlan, render, simulate_sessions


def plans(count: int = 20, seed: int = 0) -> tuple[SessionPlan, ...]:
    return simulate_sessions(seed, "CP-001", "1", count)


def decode(plan: SessionPlan, shape: ReportShape | None = None) -> dict[str, Any]:
    report: dict[str, Any] = msgspec.json.decode(render(plan, shape))
    return report


def readings(report: dict[str, Any], key: str) -> list[float]:
    return [meter["value"] for meter in report["sessionMeterValues"] if meter["key"] == key]


def leaves(value: Any) -> list[Any]:
    """Return all values inside nested lists and dicts."""
    if isinstance(value, dict):
        value = [*value.values()]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list) else [value]


def test_the_seed_and_the_ids_determine_the_reports() -> None:
    assert [render(plan) for plan in plans(2)] == [render(plan) for plan in plans(2)]
    assert plans(5) != plans(5, seed=1)
    assert plans(5) != simulate_sessions(0, "CP-001", "2", 5)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_sessions_follow_each_other_and_their_counters_agree(seed: int, count: int) -> None:
    sessions = plans(count, seed)
    for plan in sessions:
        gained = plan.soc[1] - plan.soc[0]
        charged, supplied = (end - start for start, end in (plan.charge, plan.primary))
        assert 3 <= gained <= 86
        assert charged == plan.battery.capacity * gained / 100
        assert 0.93 < charged / supplied < 0.97
        assert plan.requested[1] - plan.requested[0] > charged
    for before, after in pairwise(sessions):
        assert before.end < after.start
        assert before.session_id + 1 == after.session_id
        for counter in ("charge", "primary", "requested"):
            assert getattr(before, counter)[1] == getattr(after, counter)[0]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_the_metered_power_adds_up_to_the_counters(seed: int) -> None:
    for plan in plans(2, seed):
        report = decode(plan, ReportShape(400, 0, 0, 0))
        step = (plan.charge_end - plan.charge_start) / 99 / 3_600_000
        for kind, counter in (("present", plan.charge), ("requested", plan.requested)):
            current, voltage = (
                readings(report, f"{kind}_{name}") for name in ("current", "voltage")
            )
            power = [i * u for i, u in zip(current, voltage, strict=True)]
            energy = step * sum((p + q) / 2 for p, q in pairwise(power))
            assert math.isclose(energy, counter[1] - counter[0], rel_tol=0.01)


def test_voltage_rises_and_current_falls_after_the_taper() -> None:
    plan = max(plans(60), key=lambda plan: plan.soc[1])
    assert plan.soc[1] > 90
    report = decode(plan)
    voltages, currents = (readings(report, f"present_{name}") for name in ("voltage", "current"))
    assert voltages == sorted(voltages)
    assert currents == sorted(currents, reverse=True)
    assert currents[0] > 2 * currents[-1]


def test_a_report_has_every_field_of_the_vendor() -> None:
    report = STRUCTURES.of(SessionReport)(render(plans(1)[0]))
    assert all(attrs.astuple(report, recurse=False))
    assert None not in leaves(attrs.asdict(report))
    states = [state.value for state in report.ocpp_status]
    assert states == ["Available", "Preparing", "Charging", "Finishing", "Available"]
    assert all(0 <= int(state.value or "", 16) < 2**16 for state in report.detail_status)
    limits = [limit.param_type for limit in report.charge_parameters[:3]]
    assert limits == ["Station", "Request", "Station"]
    assert {bool(state.error_codes) for state in report.device_status} == {False, True}


@pytest.mark.parametrize("shape", [None, ReportShape.small()])
def test_events_are_inside_the_session_in_utc_milliseconds(shape: ReportShape | None) -> None:
    for plan in plans(5):
        report = decode(plan, shape)
        times = [leaf for leaf in leaves(report) if str(leaf).endswith("Z")]
        assert (min(times), max(times)) == (report["sessionTimeStart"], report["sessionTimeEnd"])
        for time in times[:5]:
            moment = datetime.fromisoformat(time)
            assert time == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values = [meter["eventTimestamp"] for meter in report["sessionMeterValues"]]
        assert values == sorted(values)


@given(counts=st.tuples(st.integers(0, 40), *[st.integers(0, 9)] * 3))
@settings(max_examples=50, deadline=None)
def test_a_shape_sets_the_number_of_events(counts: tuple[int, int, int, int]) -> None:
    report = decode(plans(1)[0], ReportShape(*counts))
    names = ("sessionMeterValues", "chargeParameters", "detailStatus", "deviceStatus")
    assert tuple(len(report[name]) for name in names) == counts


def test_reports_have_the_documented_size() -> None:
    by_duration = sorted(plans(60), key=lambda plan: plan.charge_end - plan.charge_start)
    assert 50_000 <= len(render(by_duration[0])) < 100_000
    assert 300_000 < len(render(by_duration[-1])) <= 500_000
    assert 200_000 < len(render(plans(1)[0], ReportShape())) < 215_000
    assert 1_500 < len(render(plans(1)[0], ReportShape.small())) < 2_500


def test_many_sessions_end_in_january_2026_by_default() -> None:
    assert plans(5_000)[-1].end < datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1000


def test_the_first_session_has_the_given_start_and_id() -> None:
    start = datetime(2025, 3, 30, 1, 59, 59, 999_000, tzinfo=timezone(timedelta(hours=1)))
    [plan] = simulate_sessions(0, "CP-001", "1", 1, start=start, first_session_id=77)
    report = decode(plan, ReportShape.small())
    assert report["sessionTimeStart"] == "2025-03-30T00:59:59.999Z"
    assert report["sessionId"] == 77


def test_an_invalid_count_and_a_naive_start_are_rejected() -> None:
    with pytest.raises(ValueError, match="count"):
        plans(-1)
    with pytest.raises(ValueError, match="detail_states"):
        ReportShape(detail_states=-1)
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="aware"):
        simulate_sessions(0, "CP-001", "1", 1, start=naive)
