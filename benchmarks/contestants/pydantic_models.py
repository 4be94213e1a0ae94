"""The models of both APIs in pydantic, as lenient as this library's: only the ids are required."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """The vendor of the reports writes camelCase."""

    model_config = ConfigDict(alias_generator=to_camel)


class OcppStatus(Model):
    value: str | None = None
    event_timestamp: AwareDatetime | None = None


class DetailStatus(Model):
    key: str | None = None
    value: str | None = None
    event_timestamp: AwareDatetime | None = None


class ErrorCode(Model):
    error_code: str | None = None
    error_counter: int | None = None
    event_timestamp: AwareDatetime | None = None


class DeviceStatus(Model):
    status: str | None = None
    device_id: str | None = None
    error_codes: list[ErrorCode] = []
    event_timestamp: AwareDatetime | None = None


class ChargeParameters(Model):
    param_type: str | None = None
    max_power: float | None = None
    max_current: float | None = None
    max_voltage: float | None = None
    min_current: float | None = None
    min_voltage: float | None = None
    event_timestamp: AwareDatetime | None = None


class MeterValue(Model):
    key: str | None = None
    value: float | None = None
    event_timestamp: AwareDatetime | None = None


class BatteryAlignmentResults(Model):
    in_range: bool | None = None
    present_voltage: float | None = None
    requested_voltage: float | None = None
    event_timestamp: AwareDatetime | None = None


class DcBreakerOpenConditions(Model):
    current: float | None = None
    voltage: float | None = None
    event_timestamp: AwareDatetime | None = None


class SessionReport(Model):
    session_id: int
    vehicle_id: str | None = None
    session_time_start: AwareDatetime | None = None
    session_time_end: AwareDatetime | None = None
    energy_soc_start: float | None = None
    energy_soc_end: float | None = None
    energy_charge_start: float | None = None
    energy_charge_end: float | None = None
    energy_primary_start: float | None = None
    energy_primary_end: float | None = None
    energy_requested_start: float | None = None
    energy_requested_end: float | None = None
    ocpp_status: list[OcppStatus] = []
    detail_status: list[DetailStatus] = []
    device_status: list[DeviceStatus] = []
    charge_parameters: list[ChargeParameters] = []
    session_meter_values: list[MeterValue] = []
    battery_alignment_results: BatteryAlignmentResults | None = None
    dc_breaker_open_conditions: DcBreakerOpenConditions | None = None


class SessionReports(Model):
    """A page."""

    items: list[SessionReport]
    charger_id: str | None = Field(default=None, alias="ChargerID")
    connector_id: str | int | None = Field(default=None, alias="ConnectorID")


class RollingCounts(BaseModel):
    last_7: int
    last_30: int
    last_60: int


class Analytics(BaseModel):
    charges: RollingCounts
    disconnections: RollingCounts
    energy: RollingCounts
    users: RollingCounts
    active_since: AwareDatetime | None = None
