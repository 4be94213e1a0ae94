"""What openapi-python-client 0.29 writes for a description of the API, put together by hand.

The public generator makes a folder of modules; what runs for an answer stands here in one module,
statement by statement as in its templates (release 0.29 reads times by `datetime.fromisoformat`,
as older ones did by dateutil). No field but the id is required, and none is nullable, which would
make the code slower. Left out are `to_dict`, the access to additional properties by `[]`, and the
import statements inside of `from_dict`, by which its modules avoid cycles.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, Literal, Self, TypeVar

import httpx
from attrs import define, field, frozen

from benchmarks.contestants.interface import Call, Contestant, Depot, one_by_one, page_by_page
from benchmarks.protocol import Access

T = TypeVar("T")


class Unset:
    def __bool__(self) -> Literal[False]:
        return False


UNSET = Unset()


@define
class OcppStatus:
    value: str | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        value = d.pop("value", UNSET)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        ocpp_status = cls(
            value=value,
            event_timestamp=event_timestamp,
        )
        ocpp_status.additional_properties = d
        return ocpp_status


@define
class DetailStatus:
    key: str | Unset = UNSET
    value: str | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        key = d.pop("key", UNSET)
        value = d.pop("value", UNSET)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        detail_status = cls(
            key=key,
            value=value,
            event_timestamp=event_timestamp,
        )
        detail_status.additional_properties = d
        return detail_status


@define
class ErrorCode:
    error_code: str | Unset = UNSET
    error_counter: int | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        error_code = d.pop("errorCode", UNSET)
        error_counter = d.pop("errorCounter", UNSET)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        error_code = cls(
            error_code=error_code,
            error_counter=error_counter,
            event_timestamp=event_timestamp,
        )
        error_code.additional_properties = d
        return error_code


@define
class DeviceStatus:
    status: str | Unset = UNSET
    device_id: str | Unset = UNSET
    error_codes: list[ErrorCode] | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        status = d.pop("status", UNSET)
        device_id = d.pop("deviceId", UNSET)
        _error_codes = d.pop("errorCodes", UNSET)
        error_codes: list[ErrorCode] | Unset = UNSET
        if _error_codes is not UNSET:
            error_codes = []
            for error_codes_item_data in _error_codes:
                error_codes_item = ErrorCode.from_dict(error_codes_item_data)
                error_codes.append(error_codes_item)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        device_status = cls(
            status=status,
            device_id=device_id,
            error_codes=error_codes,
            event_timestamp=event_timestamp,
        )
        device_status.additional_properties = d
        return device_status


@define
class ChargeParameters:
    param_type: str | Unset = UNSET
    max_power: float | Unset = UNSET
    max_current: float | Unset = UNSET
    max_voltage: float | Unset = UNSET
    min_current: float | Unset = UNSET
    min_voltage: float | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        param_type = d.pop("paramType", UNSET)
        max_power = d.pop("maxPower", UNSET)
        max_current = d.pop("maxCurrent", UNSET)
        max_voltage = d.pop("maxVoltage", UNSET)
        min_current = d.pop("minCurrent", UNSET)
        min_voltage = d.pop("minVoltage", UNSET)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        charge_parameters = cls(
            param_type=param_type,
            max_power=max_power,
            max_current=max_current,
            max_voltage=max_voltage,
            min_current=min_current,
            min_voltage=min_voltage,
            event_timestamp=event_timestamp,
        )
        charge_parameters.additional_properties = d
        return charge_parameters


@define
class MeterValue:
    key: str | Unset = UNSET
    value: float | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        key = d.pop("key", UNSET)
        value = d.pop("value", UNSET)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        meter_value = cls(
            key=key,
            value=value,
            event_timestamp=event_timestamp,
        )
        meter_value.additional_properties = d
        return meter_value


@define
class BatteryAlignmentResults:
    in_range: bool | Unset = UNSET
    present_voltage: float | Unset = UNSET
    requested_voltage: float | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        in_range = d.pop("inRange", UNSET)
        present_voltage = d.pop("presentVoltage", UNSET)
        requested_voltage = d.pop("requestedVoltage", UNSET)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        battery_alignment_results = cls(
            in_range=in_range,
            present_voltage=present_voltage,
            requested_voltage=requested_voltage,
            event_timestamp=event_timestamp,
        )
        battery_alignment_results.additional_properties = d
        return battery_alignment_results


@define
class DcBreakerOpenConditions:
    current: float | Unset = UNSET
    voltage: float | Unset = UNSET
    event_timestamp: datetime | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        current = d.pop("current", UNSET)
        voltage = d.pop("voltage", UNSET)
        _event_timestamp = d.pop("eventTimestamp", UNSET)
        event_timestamp: datetime | Unset
        if isinstance(_event_timestamp, Unset):
            event_timestamp = UNSET
        else:
            event_timestamp = datetime.fromisoformat(_event_timestamp)
        dc_breaker_open_conditions = cls(
            current=current,
            voltage=voltage,
            event_timestamp=event_timestamp,
        )
        dc_breaker_open_conditions.additional_properties = d
        return dc_breaker_open_conditions


@define
class SessionReport:
    session_id: int
    vehicle_id: str | Unset = UNSET
    session_time_start: datetime | Unset = UNSET
    session_time_end: datetime | Unset = UNSET
    energy_soc_start: float | Unset = UNSET
    energy_soc_end: float | Unset = UNSET
    energy_charge_start: float | Unset = UNSET
    energy_charge_end: float | Unset = UNSET
    energy_primary_start: float | Unset = UNSET
    energy_primary_end: float | Unset = UNSET
    energy_requested_start: float | Unset = UNSET
    energy_requested_end: float | Unset = UNSET
    ocpp_status: list[OcppStatus] | Unset = UNSET
    detail_status: list[DetailStatus] | Unset = UNSET
    device_status: list[DeviceStatus] | Unset = UNSET
    charge_parameters: list[ChargeParameters] | Unset = UNSET
    session_meter_values: list[MeterValue] | Unset = UNSET
    battery_alignment_results: BatteryAlignmentResults | Unset = UNSET
    dc_breaker_open_conditions: DcBreakerOpenConditions | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        session_id = d.pop("sessionId")
        vehicle_id = d.pop("vehicleId", UNSET)
        _session_time_start = d.pop("sessionTimeStart", UNSET)
        session_time_start: datetime | Unset
        if isinstance(_session_time_start, Unset):
            session_time_start = UNSET
        else:
            session_time_start = datetime.fromisoformat(_session_time_start)
        _session_time_end = d.pop("sessionTimeEnd", UNSET)
        session_time_end: datetime | Unset
        if isinstance(_session_time_end, Unset):
            session_time_end = UNSET
        else:
            session_time_end = datetime.fromisoformat(_session_time_end)
        energy_soc_start = d.pop("energySocStart", UNSET)
        energy_soc_end = d.pop("energySocEnd", UNSET)
        energy_charge_start = d.pop("energyChargeStart", UNSET)
        energy_charge_end = d.pop("energyChargeEnd", UNSET)
        energy_primary_start = d.pop("energyPrimaryStart", UNSET)
        energy_primary_end = d.pop("energyPrimaryEnd", UNSET)
        energy_requested_start = d.pop("energyRequestedStart", UNSET)
        energy_requested_end = d.pop("energyRequestedEnd", UNSET)
        _ocpp_status = d.pop("ocppStatus", UNSET)
        ocpp_status: list[OcppStatus] | Unset = UNSET
        if _ocpp_status is not UNSET:
            ocpp_status = []
            for ocpp_status_item_data in _ocpp_status:
                ocpp_status_item = OcppStatus.from_dict(ocpp_status_item_data)
                ocpp_status.append(ocpp_status_item)
        _detail_status = d.pop("detailStatus", UNSET)
        detail_status: list[DetailStatus] | Unset = UNSET
        if _detail_status is not UNSET:
            detail_status = []
            for detail_status_item_data in _detail_status:
                detail_status_item = DetailStatus.from_dict(detail_status_item_data)
                detail_status.append(detail_status_item)
        _device_status = d.pop("deviceStatus", UNSET)
        device_status: list[DeviceStatus] | Unset = UNSET
        if _device_status is not UNSET:
            device_status = []
            for device_status_item_data in _device_status:
                device_status_item = DeviceStatus.from_dict(device_status_item_data)
                device_status.append(device_status_item)
        _charge_parameters = d.pop("chargeParameters", UNSET)
        charge_parameters: list[ChargeParameters] | Unset = UNSET
        if _charge_parameters is not UNSET:
            charge_parameters = []
            for charge_parameters_item_data in _charge_parameters:
                charge_parameters_item = ChargeParameters.from_dict(charge_parameters_item_data)
                charge_parameters.append(charge_parameters_item)
        _session_meter_values = d.pop("sessionMeterValues", UNSET)
        session_meter_values: list[MeterValue] | Unset = UNSET
        if _session_meter_values is not UNSET:
            session_meter_values = []
            for session_meter_values_item_data in _session_meter_values:
                session_meter_values_item = MeterValue.from_dict(session_meter_values_item_data)
                session_meter_values.append(session_meter_values_item)
        _battery_alignment_results = d.pop("batteryAlignmentResults", UNSET)
        battery_alignment_results: BatteryAlignmentResults | Unset
        if isinstance(_battery_alignment_results, Unset):
            battery_alignment_results = UNSET
        else:
            battery_alignment_results = BatteryAlignmentResults.from_dict(
                _battery_alignment_results
            )
        _dc_breaker_open_conditions = d.pop("dcBreakerOpenConditions", UNSET)
        dc_breaker_open_conditions: DcBreakerOpenConditions | Unset
        if isinstance(_dc_breaker_open_conditions, Unset):
            dc_breaker_open_conditions = UNSET
        else:
            dc_breaker_open_conditions = DcBreakerOpenConditions.from_dict(
                _dc_breaker_open_conditions
            )
        session_report = cls(
            session_id=session_id,
            vehicle_id=vehicle_id,
            session_time_start=session_time_start,
            session_time_end=session_time_end,
            energy_soc_start=energy_soc_start,
            energy_soc_end=energy_soc_end,
            energy_charge_start=energy_charge_start,
            energy_charge_end=energy_charge_end,
            energy_primary_start=energy_primary_start,
            energy_primary_end=energy_primary_end,
            energy_requested_start=energy_requested_start,
            energy_requested_end=energy_requested_end,
            ocpp_status=ocpp_status,
            detail_status=detail_status,
            device_status=device_status,
            charge_parameters=charge_parameters,
            session_meter_values=session_meter_values,
            battery_alignment_results=battery_alignment_results,
            dc_breaker_open_conditions=dc_breaker_open_conditions,
        )
        session_report.additional_properties = d
        return session_report


@define
class SessionReports:
    items: list[SessionReport] | Unset = UNSET
    charger_id: str | Unset = UNSET
    connector_id: str | Unset = UNSET
    additional_properties: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        _items = d.pop("items", UNSET)
        items: list[SessionReport] | Unset = UNSET
        if _items is not UNSET:
            items = []
            for items_item_data in _items:
                items_item = SessionReport.from_dict(items_item_data)
                items.append(items_item)
        charger_id = d.pop("ChargerID", UNSET)
        connector_id = d.pop("ConnectorID", UNSET)
        session_reports = cls(
            items=items,
            charger_id=charger_id,
            connector_id=connector_id,
        )
        session_reports.additional_properties = d
        return session_reports


class UnexpectedStatus(Exception):
    def __init__(self, status_code: int, content: bytes) -> None:
        super().__init__(f"unexpected status {status_code}: {content[:1000]!r}")


@define
class Response(Generic[T]):
    status_code: HTTPStatus
    content: bytes
    headers: MutableMapping[str, str]
    parsed: T | None


def _get_kwargs(query: Mapping[str, str | Unset]) -> dict[str, Any]:
    params = {k: v for k, v in query.items() if v is not UNSET and v is not None}
    return {"method": "get", "url": "/sessionReports", "params": params}


def _parse_response(response: httpx.Response) -> SessionReports:
    if response.status_code == 200:
        return SessionReports.from_dict(response.json())
    raise UnexpectedStatus(response.status_code, response.content)


def _build_response(response: httpx.Response) -> Response[SessionReports]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


async def asyncio_detailed(
    client: httpx.AsyncClient, query: Mapping[str, str | Unset]
) -> Response[SessionReports]:
    response = await client.request(**_get_kwargs(query))
    return _build_response(response)


@frozen
class _Depot:
    """The loop that a user writes around the generated call."""

    client: httpx.AsyncClient

    def walk(self, charger_id: str, connector_id: str) -> AsyncGenerator[object, None]:
        return page_by_page(self._fetch, charger_id, connector_id)

    async def _fetch(self, query: dict[str, str]) -> Sequence[SessionReport]:
        parsed = (await asyncio_detailed(self.client, query)).parsed
        return (parsed and parsed.items) or ()


def _decode(report: bytes) -> SessionReport:
    return SessionReport.from_dict(json.loads(report))


class Generated(Contestant):
    """The generated models, and the generated call over httpx."""

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        return one_by_one(_decode, reports)

    @asynccontextmanager
    async def depot(
        self, access: Access, limiter: asyncio.Semaphore | None = None
    ) -> AsyncGenerator[Depot, None]:
        if limiter is not None:
            raise NotImplementedError
        # Its client sets no timeout unless it is told to.
        async with httpx.AsyncClient(
            base_url=access.base_url,
            headers={"Authorization": f"Bearer {access.credential}"},
            timeout=None,  # noqa: S113
        ) as client:
            yield _Depot(client)


GENERATED = Generated()
