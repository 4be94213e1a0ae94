"""What can't be undercut: bodies that nobody decodes, and msgspec's own structs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from benchmarks.contestants.interface import Call, one_by_one
from benchmarks.contestants.over_aiohttp import OverAiohttp
from benchmarks.workloads import PAGE

EMPTY = 1000
"""Bytes; a body that is shorter holds no report of the shape that is served."""


class Model(msgspec.Struct, rename="camel"):
    """The vendor of the reports writes camelCase."""


class OcppStatus(Model):
    value: str | None = None
    event_timestamp: datetime | None = None


class DetailStatus(Model):
    key: str | None = None
    value: str | None = None
    event_timestamp: datetime | None = None


class ErrorCode(Model):
    error_code: str | None = None
    error_counter: int | None = None
    event_timestamp: datetime | None = None


class DeviceStatus(Model):
    status: str | None = None
    device_id: str | None = None
    error_codes: list[ErrorCode] = []
    event_timestamp: datetime | None = None


class ChargeParameters(Model):
    param_type: str | None = None
    max_power: float | None = None
    max_current: float | None = None
    max_voltage: float | None = None
    min_current: float | None = None
    min_voltage: float | None = None
    event_timestamp: datetime | None = None


class MeterValue(Model):
    key: str | None = None
    value: float | None = None
    event_timestamp: datetime | None = None


class BatteryAlignmentResults(Model):
    in_range: bool | None = None
    present_voltage: float | None = None
    requested_voltage: float | None = None
    event_timestamp: datetime | None = None


class DcBreakerOpenConditions(Model):
    current: float | None = None
    voltage: float | None = None
    event_timestamp: datetime | None = None


class SessionReport(Model):
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
    ocpp_status: list[OcppStatus] = []
    detail_status: list[DetailStatus] = []
    device_status: list[DeviceStatus] = []
    charge_parameters: list[ChargeParameters] = []
    session_meter_values: list[MeterValue] = []
    battery_alignment_results: BatteryAlignmentResults | None = None
    dc_breaker_open_conditions: DcBreakerOpenConditions | None = None


class SessionReports(msgspec.Struct):
    """A page."""

    items: list[SessionReport]


class _Split(msgspec.Struct):
    """A page whose reports are left as they are."""

    items: list[msgspec.Raw]


class MsgspecStruct(OverAiohttp):
    """Straight into structs, which are no attrs classes."""

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        return one_by_one(msgspec.json.Decoder(SessionReport).decode, reports)

    def reports_of(self, body: bytes) -> Sequence[object]:
        return _PAGE_DECODER.decode(body).items


class Raw(OverAiohttp):
    """Only what can't be left out: finding the ends of the reports, or reading the bodies."""

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        return one_by_one(msgspec.json.Decoder(_Split).decode, (page,))

    def reports_of(self, body: bytes) -> Sequence[object]:
        # Taken for a full page: the count of all reports shows how many pages there were.
        return () if len(body) < EMPTY else (body,) * PAGE


_PAGE_DECODER = msgspec.json.Decoder(SessionReports)
STRUCT = MsgspecStruct()
RAW = Raw()
