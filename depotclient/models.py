"""Session reports, as in the example of the Depot Session Reports API.

The vendor documents no field as required and publishes no enum. Only `session_id` is therefore
required. Other fields may be None, a missing or null list is empty, and strings are not checked.
Events may lie outside their session: in the vendor's example, they are a year earlier. The
units are those that the example implies: Wh for the energies, which are counters, and W, A and V.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TypeVar

import attrs

from evtransport.structure import Into, JsonValue, Structurer, Structures
from evtransport.structure.types import fields_of, has_fields

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
    "json_schema",
    "to_dict",
    "to_json",
]

T = TypeVar("T")


@attrs.define
class OcppStatus:
    """Change of the connector's OCPP 1.6 state, such as `Preparing`.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.ocpp_status[0].value
        'Available'
    """

    value: str | None = None
    event_timestamp: datetime | None = None


@attrs.define
class DetailStatus:
    """Change of an internal status word. `value` is a 32-bit hex string such as `0x0000784B`.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.detail_status[0].key, report.detail_status[0].value
        ('systemStatus', '0x00000000')
    """

    key: str | None = None
    value: str | None = None
    event_timestamp: datetime | None = None


@attrs.define
class ErrorCode:
    """Error that a device reported, and the number of times.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.device_status[0].error_codes[0].error_counter
        49
    """

    error_code: str | None = None
    error_counter: int | None = None
    event_timestamp: datetime | None = None


@attrs.define
class DeviceStatus:
    """Change of a device's state, such as `OPEN` of the `Breaker`, with its errors.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.device_status[0].device_id, report.device_status[0].status
        ('Converter', 'STANDBY')
    """

    status: str | None = None
    device_id: str | None = None
    error_codes: list[ErrorCode] = attrs.field(factory=list)
    event_timestamp: datetime | None = None


@attrs.define
class ChargeParameters:
    """Announced limits in W, A and V. `param_type` is `Station` or `Request`.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.charge_parameters[0].param_type, report.charge_parameters[0].max_power
        ('Station', 450000.0)
    """

    param_type: str | None = None
    max_power: float | None = None
    max_current: float | None = None
    max_voltage: float | None = None
    min_current: float | None = None
    min_voltage: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class MeterValue:
    """One sample, such as `present_current` (A) or `present_voltage` (V).

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.session_meter_values[0].key, report.session_meter_values[0].value
        ('present_current', 250.0)
    """

    key: str | None = None
    value: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class BatteryAlignmentResults:
    """Comparison of the present voltage with the one that the battery requested, in V.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.battery_alignment_results.in_range
        True
    """

    in_range: bool | None = None
    present_voltage: float | None = None
    requested_voltage: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class DcBreakerOpenConditions:
    """Current and voltage when the DC breaker opened, in A and V.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.dc_breaker_open_conditions.current
        0.0
    """

    current: float | None = None
    voltage: float | None = None
    event_timestamp: datetime | None = None


@attrs.define
class SessionReport:
    """Record of one charging session (Depot: `SessionReports` schema).

    Attributes:
        session_id: Id of the session. It is always present.
        vehicle_id: Id that the vehicle sent.
        session_time_start: Start of the session, in UTC.
        session_time_end: End of the session, in UTC.
        energy_soc_start: State of charge at the start, in percent.
        energy_soc_end: State of charge at the end, in percent.
        energy_charge_start: Counter of the energy delivered to vehicles at the start, in Wh.
        energy_charge_end: The same counter at the end.
        energy_primary_start: Counter on the grid side at the start, in Wh.
        energy_primary_end: The same counter at the end.
        energy_requested_start: Counter of the energy that vehicles requested at the start, in Wh.
        energy_requested_end: The same counter at the end.
        ocpp_status: OCPP 1.6 states of the connector.
        detail_status: Internal status words.
        device_status: States and errors of devices.
        charge_parameters: Limits of station and vehicle.
        session_meter_values: Samples, thousands in a session of 20 minutes.
        battery_alignment_results: Check before the contactors closed.
        dc_breaker_open_conditions: Opening of the DC breaker.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     report = (await depot.session_reports("CP-001", 1).collect(max_items=1))[0]
        >>> report.session_id, report.vehicle_id, report.energy_soc_end
        (100000001, 'BUS-021', 46.0)
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
    """Return the JSON name of an attribute: `sessionId` for `session_id`."""
    return re.sub("_(.)", lambda letter: letter[1].upper(), name)


STRUCTURES = Structures(
    package="depotclient",
    rename=camel_case,
    plain={
        *(OcppStatus, DetailStatus, ErrorCode, DeviceStatus, ChargeParameters, MeterValue),
        *(BatteryAlignmentResults, DcBreakerOpenConditions, SessionReport),
    },
)


def structurer_of(into: Into[T]) -> Structurer[T]:
    """Return a function that decodes the JSON bytes of a session report into an object.

    Args:
        into: An attrs class or a dataclass with some of the fields of `SessionReport`, or a
            function that returns an object for bytes.

    Raises:
        ValueError: `into` is neither, or has a field that session reports lack.
    """
    structurer = STRUCTURES.of(into)
    if has_fields(into):
        known = attrs.fields_dict(SessionReport)
        unknown = [field.name for field in fields_of(into) if field.name not in known]
        if unknown:
            raise ValueError(
                f"into={into.__name__} has fields that session reports lack: {', '.join(unknown)};"
                f" they have {', '.join(known)}"
            )
    return structurer


def to_dict(obj: object, *, wire: bool = False) -> dict[str, JsonValue]:
    """Return an object of this package as a dict of JSON values.

    Args:
        obj: Object of an attrs class or a dataclass.
        wire: False uses the names of Python, and ISO 8601 for all times. True uses the names and
            the time formats of the API.

    Returns:
        All fields, with None for a missing value. A `Secret` is masked. Unknown values of an enum
        are kept.

    Raises:
        ValueError: `obj` is not such an object, or a value has no JSON form.

    Example:
        >>> to_dict(OcppStatus("Charging"))
        {'value': 'Charging', 'event_timestamp': None}
    """
    return STRUCTURES.to_dict(obj, wire=wire)


def to_json(obj: object, *, wire: bool = False) -> bytes:
    """Return an object of this package as JSON text in UTF-8.

    Args:
        obj: As in `to_dict`.
        wire: As in `to_dict`.

    Raises:
        ValueError: `obj` is not such an object, or a value has no JSON form.

    Example:
        >>> to_json(OcppStatus("Charging"), wire=True)
        b'{"value":"Charging","eventTimestamp":null}'
    """
    return STRUCTURES.to_json(obj, wire=wire)


def json_schema(cls: type, *, wire: bool = False) -> dict[str, JsonValue]:
    """Return the JSON Schema of the values that `to_dict` and `to_json` return for a class.

    The schema has no references, so it may be part of an OpenAPI 3.1 document.

    Args:
        cls: An attrs class or a dataclass, such as `SessionReport`.
        wire: As in `to_dict`.

    Raises:
        ValueError: `cls` is not such a class, or has a field without a JSON form.

    Example:
        >>> json_schema(SessionReport)["properties"]["session_id"]
        {'type': 'integer', 'description': 'Id of the session. It is always present.'}
    """
    return STRUCTURES.json_schema(cls, wire=wire)
