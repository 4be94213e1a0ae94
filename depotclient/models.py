"""Session reports, as the Depot Session Reports API shows them in its example.

The vendor documents no field as required and publishes no enum. So only `session_id` is relied on;
every other field may be None, a list that is missing or null is empty, and strings are open. The
vendor's own example has event times a year before the session, so events need not lie inside it.
Energies are counters in Wh, and powers, currents and voltages in W, A and V: the units are
inferred from the example.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TypeVar

import attrs

from evtransport.structure import Structurer, Structures

__all__ = [
    "BatteryAlignmentResults",
    "ChargeParameters",
    "DcBreakerOpenConditions",
    "DetailStatus",
    "DeviceStatus",
    "ErrorCode",
    "MeterValue",
    "OcppStatus",
    "SessionReport",
]

T = TypeVar("T")


@attrs.define
class OcppStatus:
    """A change of the connector's OCPP 1.6 state, such as `Preparing`."""

    value: str | None = None
    event_timestamp: datetime | None = None


@attrs.define
class DetailStatus:
    """A change of an internal status word: `value` is a 32-bit hex string such as `0x0000784B`."""

    key: str | None = None
    value: str | None = None
    event_timestamp: datetime | None = None


@attrs.define
class ErrorCode:
    """An error that a device reported, and how often."""

    error_code: str | None = None
    error_counter: int | None = None
    event_timestamp: datetime | None = None


@attrs.define
class DeviceStatus:
    """A change of a device's state, such as `OPEN` of the `Breaker`, with its errors."""

    status: str | None = None
    device_id: str | None = None
    error_codes: list[ErrorCode] = attrs.field(factory=list)
    event_timestamp: datetime | None = None


@attrs.define
class ChargeParameters:
    """Limits that were announced: `param_type` is `Station` or `Request`; in W, A and V."""

    param_type: str | None = None
    max_power: float | None = None
    max_current: float | None = None
    max_voltage: float | None = None
    min_current: float | None = None
    min_voltage: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class MeterValue:
    """One sample: `present_current` (A), `present_voltage` (V) and the like."""

    key: str | None = None
    value: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class BatteryAlignmentResults:
    """Whether the voltage met what the battery had asked for, in V."""

    in_range: bool | None = None
    present_voltage: float | None = None
    requested_voltage: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class DcBreakerOpenConditions:
    """What the DC breaker met when it opened, in A and V."""

    current: float | None = None
    voltage: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class SessionReport:
    """The raw record of one charging session (Depot: `SessionReports` schema).

    Attributes:
        session_id: The one field that is always there.
        vehicle_id: As the vehicle names itself.
        session_time_start: UTC.
        session_time_end: UTC.
        energy_soc_start: State of charge at the start, in percent.
        energy_soc_end: State of charge at the end, in percent.
        energy_charge_start: Wh counter of what went into the vehicle.
        energy_charge_end: The same at the end.
        energy_primary_start: Wh counter on the grid side.
        energy_primary_end: The same at the end.
        energy_requested_start: Wh counter of what vehicles asked for.
        energy_requested_end: The same at the end.
        ocpp_status: OCPP 1.6 states of the connector.
        detail_status: Internal status words.
        device_status: States and errors of devices.
        charge_parameters: Limits of station and vehicle.
        session_meter_values: Samples; thousands of them for a session of 20 minutes.
        battery_alignment_results: The check before the contactors closed.
        dc_breaker_open_conditions: The opening of the breaker.
    """

    session_id: int
    vehicle_id: str | None = None
    session_time_start: datetime | None = None
    session_time_end: datetime | None = None
    energy_soc_start: float | None = None
    energy_soc_end: float | None = None
    energy_charge_start: float | None = None
    energy_charge_end: float | None = None
    energy_primary_start: float | None = None
    energy_primary_end: float | None = None
    energy_requested_start: float | None = None
    energy_requested_end: float | None = None
    ocpp_status: list[OcppStatus] = attrs.field(factory=list)
    detail_status: list[DetailStatus] = attrs.field(factory=list)
    device_status: list[DeviceStatus] = attrs.field(factory=list)
    charge_parameters: list[ChargeParameters] = attrs.field(factory=list)
    session_meter_values: list[MeterValue] = attrs.field(factory=list)
    battery_alignment_results: BatteryAlignmentResults | None = None
    dc_breaker_open_conditions: DcBreakerOpenConditions | None = None


def camel_case(name: str) -> str:
    """The vendor's spelling of an attribute: `session_id` is `sessionId`."""
    return re.sub("_(.)", lambda letter: letter[1].upper(), name)


STRUCTURES = Structures(
    rename=camel_case,
    plain={
        *(OcppStatus, DetailStatus, ErrorCode, DeviceStatus, ChargeParameters, MeterValue),
        *(BatteryAlignmentResults, DcBreakerOpenConditions, SessionReport),
    },
)


def structurer_of(into: type[T]) -> Structurer[T]:
    """Return a function that decodes JSON bytes into one class.

    Raises:
        ValueError: It is no attrs class, or has a field that no session report has.
    """
    cls: type = into
    if not (isinstance(cls, type) and attrs.has(cls)):
        raise ValueError(f"into must be an attrs class: {into!r}")
    known = attrs.fields_dict(SessionReport)
    unknown = [field.name for field in attrs.fields(cls) if field.init and field.name not in known]
    if unknown:
        raise ValueError(
            f"into={into.__name__} has fields that no session report has: {', '.join(unknown)};"
            f" there are {', '.join(known)}"
        )
    return STRUCTURES.of(into)
