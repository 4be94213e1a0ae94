"""Reports that tests make: their fields and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import msgspec
import pytest

from depotclient import ErrorCode, MeterValue, SessionReport
from depotclient.models import STRUCTURES
from depotclient.sandbox import ReportFields, ReportShape, make_report
from depotclient.sandbox.make import change_report

START = datetime(2026, 3, 1, 8, tzinfo=UTC)

structure = STRUCTURES.of(SessionReport)


def test_the_default_is_a_whole_small_report() -> None:
    report = structure(make_report())
    assert report.session_id == 1
    assert report.session_time_start == datetime(2026, 1, 1, tzinfo=UTC)
    assert None not in attrs.astuple(report, recurse=False)
    assert len(report.session_meter_values) == ReportShape.small().meter_values
    assert len(structure(make_report(shape=ReportShape(40))).session_meter_values) == 40


def test_a_report_has_the_given_fields() -> None:
    values = [MeterValue("present_current", 12.5, START)]
    fields = structure(
        make_report(-1, vehicle_id="BUS-X", energy_soc_end=None, session_meter_values=values)
    )
    default = structure(make_report())
    assert fields == attrs.evolve(
        default,
        session_id=-1,
        vehicle_id="BUS-X",
        energy_soc_end=None,
        session_meter_values=values,
        # Random values that depend on the id.
        detail_status=fields.detail_status,
        device_status=fields.device_status,
    )


def test_every_field_of_a_report_can_be_given() -> None:
    names = [field.name for field in attrs.fields(SessionReport)]
    assert ["session_id", *ReportFields.__annotations__] == names


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, None),
        (None, START),
        (START, START + timedelta(hours=9)),
        (START, START + timedelta(seconds=90)),
    ],
)
def test_the_events_lie_within_the_given_times(
    start: datetime | None, end: datetime | None
) -> None:
    times: ReportFields = {}
    if start is not None:
        times["session_time_start"] = start
    if end is not None:
        times["session_time_end"] = end
    report = structure(make_report(**times))
    first, last = report.session_time_start, report.session_time_end
    assert first is not None
    assert last is not None
    assert (start or first, end or last) == (first, last)
    assert first < last
    times_of_events = [
        *(event.event_timestamp for event in report.ocpp_status),
        *(event.event_timestamp for event in report.session_meter_values),
        *(event.event_timestamp for event in report.charge_parameters),
    ]
    assert all(time and first <= time <= last for time in times_of_events)


def test_a_change_keeps_the_bytes_of_the_other_fields() -> None:
    report = b'{"sessionId": 7, "x": [1.0,  2], "vehicleId": "\\ud83d", "energySocEnd": 5}'
    changed = change_report(report, {"energy_soc_end": 6, "session_time_start": START})
    assert changed == (
        b'{"sessionId":7,"x":[1.0,  2],"vehicleId":"\\ufffd","energySocEnd":6,'
        b'"sessionTimeStart":"2026-03-01T08:00:00.000Z"}'
    )


def test_an_invalid_value_is_sent_unchanged() -> None:
    invalid = make_report(vehicle_id=7, session_time_end="x", device_status=[ErrorCode("E1", 1)])  # type: ignore[arg-type,list-item]
    document = msgspec.json.decode(invalid)
    assert (document["vehicleId"], document["sessionTimeEnd"]) == (7, "x")
    assert document["deviceStatus"] == [
        {"errorCode": "E1", "errorCounter": 1, "eventTimestamp": None}
    ]


def test_an_id_that_is_not_an_int_is_rejected() -> None:
    with pytest.raises(ValueError, match="session_id must be an int"):
        make_report("7")  # type: ignore[arg-type]


def test_an_unknown_field_is_rejected_with_the_name_that_is_close() -> None:
    with pytest.raises(ValueError, match="'energy_end' is not a field; expected energy_soc_end"):
        make_report(energy_end=1)  # type: ignore[call-arg]
