"""Reports in which given shares of the fields are missing, null or unknown."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depotclient.drift import count_reports, find_unknown
from depotclient.models import SessionReport, structurer_of
from depotclient.profile import KNOWN_VALUES
from depotclient.sandbox import make_report
from depotclient.sandbox.shape import ReportShape
from depotclient.sandbox.shares import ReportShares

REPORT = make_report(shape=ReportShape(meter_values=4, device_states=8))


def applied(count: int, first: int = 100_000_001, **shares: Any) -> list[Any]:
    none: dict[str, Any] = attrs.asdict(ReportShares(None, {}, {}, {}))
    field_shares = ReportShares(**none | shares)
    ids = range(first, first + count)
    return [msgspec.json.decode(field_shares.apply(n, REPORT)) for n in ids]


@given(st.integers(1, 60), st.data())
def test_consecutive_reports_have_each_share_exactly(count: int, data: st.DataObject) -> None:
    missing = data.draw(st.integers(0, count))
    null = data.draw(st.integers(0, count - missing))
    reports = applied(
        count,
        data.draw(st.integers(0, 10**9)),
        missing_fields={"vehicleId": missing / count},
        null_fields={"vehicleId": null / count},
    )
    assert sum("vehicleId" not in report for report in reports) == missing
    assert sum(report.get("vehicleId", "") is None for report in reports) == null


def test_the_share_of_a_field_of_events_counts_the_events() -> None:
    reports = applied(10, missing_fields={"sessionMeterValues[].key": 0.25})
    lacking = Counter(
        "key" not in event for each in reports for event in each["sessionMeterValues"]
    )
    assert lacking == {False: 30, True: 10}


def test_two_fields_are_not_missing_from_the_same_reports() -> None:
    names = ("vehicleId", "energySocEnd", "sessionTimeEnd")
    reports = applied(100, missing_fields=dict.fromkeys(names, 0.1))
    assert len({tuple(name in report for name in names) for report in reports}) > 3


@pytest.mark.parametrize(("shares", "lacking"), [(None, 7), ({}, 0), ({"vehicleId": 0.5}, 0)])
def test_error_codes_are_only_missing_without_shares_of_missing_fields(
    shares: Any, lacking: int
) -> None:
    [report] = applied(1, missing_fields=shares, null_fields={"energySocEnd": 0})
    assert sum("errorCodes" not in event for event in report["deviceStatus"]) == lacking


def test_a_field_of_a_missing_object_is_missing_too() -> None:
    paths = ("dcBreakerOpenConditions", "dcBreakerOpenConditions.current", "ocppStatus[].value")
    reports = applied(2, missing_fields=dict.fromkeys(paths, 0.5), null_fields={"ocppStatus": 1})
    assert sum("dcBreakerOpenConditions" in report for report in reports) == 1
    assert [report["ocppStatus"] for report in reports] == [None, None]


def test_unknown_fields_and_values_are_those_that_a_client_does_not_know() -> None:
    values = dict.fromkeys(KNOWN_VALUES, 0.5)
    fields = {"tariff": 0.5, "ocppStatus[].reason": 0.2}
    reports = applied(10, unknown_fields=fields, unknown_values=values)
    texts = list(map(msgspec.json.encode, reports))
    assert count_reports(map(find_unknown, texts)) == {"tariff": 5, "ocppStatus[].reason": 2}
    structured = list(map(structurer_of(SessionReport), texts))
    known = KNOWN_VALUES["ocppStatus[].value"]
    states = Counter(state.value in known for each in structured for state in each.ocpp_status)
    assert states == {True: 25, False: 25}


def test_without_shares_a_report_stays_the_same_bytes() -> None:
    assert ReportShares(None, {}, {}, {}).apply(1, REPORT) is REPORT
