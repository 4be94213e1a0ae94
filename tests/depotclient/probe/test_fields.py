"""Counts of missing, null and unknown fields."""

from __future__ import annotations

import msgspec
import pytest

from depotclient.probe.fields import FieldCounts
from depotclient.sandbox import make_report


async def counted(*reports: bytes) -> FieldCounts:
    counts = FieldCounts()
    for report in reports:
        await counts.add(report)
    return counts


def changed(**fields: object) -> bytes:
    """Return a report with other JSON fields."""
    content = msgspec.json.decode(make_report(7))
    return msgspec.json.encode({**content, **fields})


def without(*names: str) -> bytes:
    """Return a report that lacks fields."""
    content = msgspec.json.decode(make_report(7))
    return msgspec.json.encode({n: v for n, v in content.items() if n not in names})


STATES = [{"value": "Charging"}, {"value": None, "eventTimestamp": None}, {"value": "Parked"}, {}]


async def test_shares_are_those_of_the_objects_that_could_have_a_field() -> None:
    counts = await counted(changed(vehicleId=None, ocppStatus=STATES), without("vehicleId"))
    missing, null, _, unknown_values = counts.shares().values()
    assert (counts.reports, missing["vehicleId"], null["vehicleId"]) == (2, 0.5, 0.5)
    events = len(STATES) + len(msgspec.json.decode(make_report(7))["ocppStatus"])
    assert missing["ocppStatus[].value"] == 1 / events
    assert missing["ocppStatus[].eventTimestamp"] == 3 / events
    assert null["ocppStatus[].value"] == 1 / events
    assert unknown_values == {"ocppStatus[].value": 1 / (events - 2)}


async def test_nested_events_have_shares_of_their_own() -> None:
    devices = [{"errorCodes": [{"errorCode": "E1"}, {"errorCode": None}]}, {"errorCodes": None}]
    missing, null, *_ = (await counted(changed(deviceStatus=devices))).shares().values()
    assert null["deviceStatus[].errorCodes"] == 0.5
    assert null["deviceStatus[].errorCodes[].errorCode"] == 0.5
    assert missing["deviceStatus[].errorCodes[].errorCounter"] == 1.0


async def test_a_field_that_is_never_missing_has_no_share() -> None:
    missing, _, *unknown = (await counted(make_report(7))).shares().values()
    assert "sessionId" not in missing
    assert unknown == [{}, {}]


async def test_unknown_fields_have_the_share_of_their_reports() -> None:
    counts = await counted(changed(weather="rain"), make_report(8))
    assert counts.shares()["unknown_fields"] == {"weather": 0.5}


@pytest.mark.parametrize("name", ["BUS-021", "id100001", "a1b2c3d4", "VIN", "mini_bus", "depot"])
async def test_no_unknown_field_is_named_if_one_may_be_an_id(name: str) -> None:
    counts = FieldCounts(["Depot"])
    await counts.add(changed(weather="rain", **{name: 1}))
    await counts.add(changed(vehicleId="Mini-Bus"))
    assert (counts.has_ids, counts.shares()["unknown_fields"]) == (True, {})


@pytest.mark.parametrize("report", [b"7", b"null", b"[]"])
async def test_a_report_that_is_no_object_does_not_count(report: bytes) -> None:
    assert (await counted(report)).reports == 0


async def test_lone_surrogates_and_wrong_types_are_counted_as_present() -> None:
    odd = changed(ocppStatus=7, batteryAlignmentResults=[]).replace(b'"BUS-', b'"\\ud83d')
    counts = await counted(odd)
    assert not {"vehicleId", "ocppStatus"} & counts.shares()["missing_fields"].keys()
