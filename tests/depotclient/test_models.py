"""Models of session reports: the vendor's example, missing fields and unknown ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from jsonschema import Draft202012Validator

from depotclient import (
    BatteryAlignmentResults,
    ChargeParameters,
    DcBreakerOpenConditions,
    DetailStatus,
    DeviceStatus,
    ErrorCode,
    MeterValue,
    OcppStatus,
    SchemaError,
    SessionReport,
    json_schema,
    to_dict,
    to_json,
)
from depotclient.models import STRUCTURES, camel_case, structurer_of

structure = STRUCTURES.of(SessionReport)

# The report of the "Example Response" in the vendor's documentation, without its `...`.
EXAMPLE = """{
  "sessionId": 123456789, "vehicleId": "qwerty",
  "ocppStatus": [
    {"value": "Available", "eventTimestamp": "2021-03-23T16:54:56.087Z"},
    {"value": "Preparing", "eventTimestamp": "2021-03-23T16:59:11.670Z"}
  ],
  "detailStatus": [
    {"key": "systemStatus", "value": "0x00000000", "eventTimestamp": "2021-03-23T00:48:26.437Z"},
    {"key": "operationalStatus", "value": "0x00000000",
     "eventTimestamp": "2021-03-23T00:48:26.437Z"}
  ],
  "deviceStatus": [
    {"status": "OPEN", "deviceId": "Breaker", "eventTimestamp": "2021-03-23T16:52:33.173Z"},
    {"status": "STANDBY", "deviceId": "Converter",
     "errorCodes": [
       {"errorCode": "WARN: converter : sibcos 1: VQS disabled from operating mode(no:144)",
        "errorCounter": 29}],
     "eventTimestamp": "2021-03-23T16:55:11.088Z"}
  ],
  "energySocEnd": 98, "energySocStart": 76, "sessionTimeEnd": "2022-08-03T16:40:30.440Z",
  "energyChargeEnd": 1046400,
  "chargeParameters": [
    {"maxPower": 450000, "paramType": "Station", "maxCurrent": 600, "maxVoltage": 750,
     "minCurrent": 0, "minVoltage": 400, "eventTimestamp": "2021-03-23T16:59:12.052Z"},
    {"maxPower": 600000, "paramType": "Request", "maxCurrent": 800, "maxVoltage": 750,
     "minCurrent": 0, "minVoltage": 0, "eventTimestamp": "2021-03-23T16:59:12.186Z"}
  ],
  "energyPrimaryEnd": 293138710, "sessionTimeStart": "2022-08-03T16:20:30.661Z",
  "energyChargeStart": 1009136, "energyPrimaryStart": 293099449, "energyRequestedEnd": 1054122,
  "sessionMeterValues": [
    {"key": "present_current", "value": 0, "eventTimestamp": "2021-03-23T16:54:35.287Z"},
    {"key": "present_voltage", "value": 3, "eventTimestamp": "2021-03-23T16:59:08.685Z"}
  ],
  "energyRequestedStart": 1016608,
  "batteryAlignmentResults": {
    "inRange": true, "eventTimestamp": "2021-03-23T16:59:38.672Z",
    "presentVoltage": 633, "requestedVoltage": 633},
  "dcBreakerOpenConditions": {
    "current": 0, "voltage": 676, "eventTimestamp": "2021-03-23T17:13:44.735Z"}
}"""


def day(hour: int, minute: int, second: int, millis: int) -> datetime:
    return datetime(2021, 3, 23, hour, minute, second, millis * 1000, tzinfo=UTC)


EXPECTED = SessionReport(
    session_id=123456789,
    vehicle_id="qwerty",
    session_time_start=datetime(2022, 8, 3, 16, 20, 30, 661_000, tzinfo=UTC),
    session_time_end=datetime(2022, 8, 3, 16, 40, 30, 440_000, tzinfo=UTC),
    energy_soc_start=76.0,
    energy_soc_end=98.0,
    energy_charge_start=1009136.0,
    energy_charge_end=1046400.0,
    energy_primary_start=293099449.0,
    energy_primary_end=293138710.0,
    energy_requested_start=1016608.0,
    energy_requested_end=1054122.0,
    ocpp_status=[
        OcppStatus("Available", day(16, 54, 56, 87)),
        OcppStatus("Preparing", day(16, 59, 11, 670)),
    ],
    detail_status=[
        DetailStatus("systemStatus", "0x00000000", day(0, 48, 26, 437)),
        DetailStatus("operationalStatus", "0x00000000", day(0, 48, 26, 437)),
    ],
    device_status=[
        DeviceStatus("OPEN", "Breaker", [], day(16, 52, 33, 173)),
        DeviceStatus(
            "STANDBY",
            "Converter",
            [
                ErrorCode(
                    "WARN: converter : sibcos 1: VQS disabled from operating mode(no:144)", 29, None
                )
            ],
            day(16, 55, 11, 88),
        ),
    ],
    charge_parameters=[
        ChargeParameters("Station", 450000.0, 600.0, 750.0, 0.0, 400.0, day(16, 59, 12, 52)),
        ChargeParameters("Request", 600000.0, 800.0, 750.0, 0.0, 0.0, day(16, 59, 12, 186)),
    ],
    session_meter_values=[
        MeterValue("present_current", 0.0, day(16, 54, 35, 287)),
        MeterValue("present_voltage", 3.0, day(16, 59, 8, 685)),
    ],
    battery_alignment_results=BatteryAlignmentResults(True, 633.0, 633.0, day(16, 59, 38, 672)),
    dc_breaker_open_conditions=DcBreakerOpenConditions(0.0, 676.0, day(17, 13, 44, 735)),
)


def example() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(EXAMPLE)
    return report


def test_the_vendors_example_has_every_field_with_its_type() -> None:
    report = structure(EXAMPLE.encode())

    assert report == EXPECTED
    assert repr(report) == repr(EXPECTED)  # 72 equals 72.0, but has a different type


def test_a_report_is_written_as_json_with_the_vendors_names_and_structured_again() -> None:
    text = to_json(EXPECTED, wire=True)

    assert structure(text) == EXPECTED
    assert json.loads(text).keys() == example().keys()
    for wire in (False, True):
        schema = json_schema(SessionReport, wire=wire)
        Draft202012Validator(schema).validate(to_dict(EXPECTED, wire=wire))


def test_the_fields_are_those_of_the_example() -> None:
    assert {camel_case(field.name) for field in attrs.fields(SessionReport)} == set(example())


@pytest.mark.parametrize(
    "cls",
    [
        *(SessionReport, OcppStatus, DetailStatus, DeviceStatus, ErrorCode, ChargeParameters),
        *(MeterValue, BatteryAlignmentResults, DcBreakerOpenConditions),
    ],
)
def test_every_field_but_the_session_id_may_be_missing_or_null(cls: type[Any]) -> None:
    names = [camel_case(field.name) for field in attrs.fields(cls)]
    required = {"sessionId": 1} if cls is SessionReport else {}
    empty = cls(1) if cls is SessionReport else cls()

    for body in (required, dict.fromkeys(names) | required):
        assert STRUCTURES.of(cls)(json.dumps(body).encode()) == empty


def test_undocumented_fields_are_ignored_and_undocumented_values_kept() -> None:
    report = example()
    report["newField"] = {"deep": [1, "x", None]}
    report["ocppStatus"][0] = {"value": "Levitating", "newField": 5}

    found = structure(json.dumps(report).encode())

    assert found.ocpp_status[0] == OcppStatus("Levitating")
    assert attrs.evolve(found, ocpp_status=EXPECTED.ocpp_status) == EXPECTED


@attrs.define
class Limits:
    max_power: str


@attrs.define
class Fleet:
    energy_soc_start: str
    vehicle_id: datetime | None = None
    ocpp_status: list[OcppStatus] = attrs.field(factory=list)
    charge_parameters: list[Limits] = attrs.field(factory=list)


LARGE = {"energySocStart": 17, "vehicleId": "x" * 2**20}


@pytest.mark.parametrize(
    ("report", "problems"),
    [
        (
            {"energySocStart": 17, "chargeParameters": [{"maxPower": 1.5}]},
            [
                "$.energySocStart: Fleet.energy_soc_start is declared str, got int",
                "$.chargeParameters[0].maxPower: Limits.max_power is declared str, got float",
            ],
        ),
        (
            {"vehicleId": "BUS-1", "chargeParameters": [None]},
            [
                "$.energySocStart: Fleet.energy_soc_start has no default, and the field is missing",
                "$.vehicleId: Fleet.vehicle_id: invalid RFC3339 encoded datetime",
                "$.chargeParameters[0]: Fleet.charge_parameters[0] is declared object, got null",
            ],
        ),
        (
            {"energySocStart": "17", "ocppStatus": [{"value": 5}]},
            ["$.ocppStatus[0].value: expected str, got int"],
        ),
        (
            LARGE,
            [
                "$.energySocStart: Fleet.energy_soc_start is declared str, got int",
                "and perhaps more",
            ],
        ),
    ],
    ids=["type", "missing", "class of the library", "large"],
)
def test_a_problem_of_the_callers_class_names_the_declaration(
    report: dict[str, object], problems: list[str]
) -> None:
    with pytest.raises(SchemaError) as caught:
        structurer_of(Fleet)(json.dumps(report).encode())

    assert list(caught.value.problems) == problems
