"""Session reports for tests, as the JSON that the Depot API sends."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

import attrs
import msgspec

from depotclient.models import (
    BatteryAlignmentResults,
    ChargeParameters,
    DcBreakerOpenConditions,
    DetailStatus,
    DeviceStatus,
    MeterValue,
    OcppStatus,
    camel_case,
)
from depotclient.sandbox.simulation import ReportShape, SessionPlan, render, simulate_sessions
from depotclient.sandbox.store import epoch_us
from evtransport.surrogates import replace_lone_surrogates
from evtransport.testing.fields import encode_fields
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

__all__ = ["ReportFields", "change_report", "make_report"]


class ReportFields(TypedDict, total=False):
    """Fields of a `SessionReport` that can be set, all except `session_id`. None is sent as null.

    Times must be timezone-aware.

    Example:
        >>> fields: ReportFields = {"vehicle_id": "BUS-001", "energy_soc_end": 80.0}
        >>> report = make_report(1, **fields)
    """

    vehicle_id: str | None
    session_time_start: datetime | None
    session_time_end: datetime | None
    energy_soc_start: float | None
    energy_soc_end: float | None
    energy_charge_start: float | None
    energy_charge_end: float | None
    energy_primary_start: float | None
    energy_primary_end: float | None
    energy_requested_start: float | None
    energy_requested_end: float | None
    ocpp_status: Sequence[OcppStatus]
    detail_status: Sequence[DetailStatus]
    device_status: Sequence[DeviceStatus]
    charge_parameters: Sequence[ChargeParameters]
    session_meter_values: Sequence[MeterValue]
    battery_alignment_results: BatteryAlignmentResults | None
    dc_breaker_open_conditions: DcBreakerOpenConditions | None


def make_report(
    session_id: int = 1, *, shape: ReportShape | None = None, **fields: Unpack[ReportFields]
) -> bytes:
    """Return a session report as JSON, as the API sends it (Depot: `SessionReports` schema).

    Without arguments, it is a simulated session that starts at 2026-01-01 UTC. Its events follow
    `session_time_start` and `session_time_end`, so that they lie within the session. Other fields
    replace the simulated ones and change nothing else.

    Args:
        session_id: Id of the session.
        shape: Number of events. The default is `ReportShape.small()`.
        fields: Fields by their names in `SessionReport`: see `ReportFields`. Energies are in Wh.

    Raises:
        ValueError: The id is not an int, a field is unknown, a time is naive, or a value has no
            JSON form.

    Example:
        >>> from depotclient.sandbox import make_report
        >>> report = make_report(7, vehicle_id="BUS-007", energy_soc_end=80)
        >>> b'"vehicleId":"BUS-007"' in report
        True
    """
    validate_int("session_id", session_id, minimum=-(2**63))
    [plan] = simulate_sessions(0, "CP-001", "1", 1)
    plan = attrs.evolve(plan, session_id=session_id)
    # First, because it checks the times.
    changes = _encode_changes(fields)
    times = fields.get("session_time_start"), fields.get("session_time_end")
    plan = _place(plan, *(time if isinstance(time, datetime) else None for time in times))
    return _merge(render(plan, shape or ReportShape.small()), changes)


def change_report(report: bytes, fields: Mapping[str, object]) -> bytes:
    """Return the JSON of a report with changed fields. All other bytes stay the same.

    Raises:
        ValueError: A field is unknown, a time is naive, or a value has no JSON form.
    """
    return _merge(report, _encode_changes(fields))


def _encode_changes(fields: Mapping[str, object]) -> dict[str, object]:
    return encode_fields(fields, ReportFields.__annotations__, camel_case)


def _merge(report: bytes, changes: Mapping[str, object]) -> bytes:
    kept = msgspec.json.decode(replace_lone_surrogates(report), type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**kept, **changes})


def _place(plan: SessionPlan, start: datetime | None, end: datetime | None) -> SessionPlan:
    """Return the session moved to a start, an end, or both, which may shorten the charging."""
    if start is not None:
        plan = plan.starting_at(epoch_us(start) // 1000)
    if end is None:
        return plan
    last = epoch_us(end) // 1000
    if start is None:
        plan = plan.starting_at(last - (plan.end - plan.start))
    charge_start, charge_end = min(plan.charge_start, last), min(plan.charge_end, last)
    return attrs.evolve(plan, charge_start=charge_start, charge_end=charge_end, end=last)
