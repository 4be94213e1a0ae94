"""Fields that the vendor adds are found at every level of a report, and nothing else is."""

from __future__ import annotations

import msgspec
import pytest

from depotclient.drift import (
    MAX_PATHS,
    add_counts,
    count_reports,
    encode_part,
    find_unknown,
    known_paths,
)
from depotclient.sandbox import make_report


@pytest.mark.parametrize(
    ("report", "kept", "paths"),
    [
        (make_report(), None, []),
        (b'{"sessionId":7,"tariff":1.10}', '{"tariff":1.10}', ["tariff"]),
        (b'{"tariff":{"key":[1,"x"]}}', '{"tariff":{"key":[1,"x"]}}', ["tariff"]),
        (b'{"tariff":null,"ocppStatus":null,"batteryAlignmentResults":null}', None, []),
        (
            b'{"sessionMeterValues":[{"key":"a"},{"value":1,"unit":"A"},{"unit":null}]}',
            '{"sessionMeterValues":[{},{"unit":"A"},{}]}',
            ["sessionMeterValues[].unit"],
        ),
        (
            b'{"deviceStatus":[{"errorCodes":[{"errorCode":"E","text":"hot"}]},{"rack":3}]}',
            '{"deviceStatus":[{"errorCodes":[{"text":"hot"}]},{"rack":3}]}',
            ["deviceStatus[].errorCodes[].text", "deviceStatus[].rack"],
        ),
        (
            b'{"batteryAlignmentResults":{"inRange":true,"limit":2}}',
            '{"batteryAlignmentResults":{"limit":2}}',
            ["batteryAlignmentResults.limit"],
        ),
        # A name that is known at another level.
        (b'{"value":1,"key":2}', '{"value":1,"key":2}', ["key", "value"]),
        # Values of wrong types, which may be why a report is refused.
        (
            b'{"sessionId":"7","ocppStatus":"x","deviceStatus":[1],"n":1}',
            '{"n":1}',
            ["n"],
        ),
        (b'{"vehicleId":"\\ud83d","n":"\\ud83d"}', '{"n":"\\ufffd"}', ["n"]),
        (b'["n"]', None, []),
    ],
)
def test_unknown_fields_are_found_with_their_values(
    report: bytes, kept: str | None, paths: list[str]
) -> None:
    part = find_unknown(report)
    assert encode_part(part) == kept
    assert sorted(count_reports([part])) == paths


def test_a_field_counts_once_in_each_report() -> None:
    events = [{"value": "Charging", "reason": "R"}] * 3
    report = msgspec.json.encode({"sessionId": 7, "ocppStatus": events})
    counts = count_reports(map(find_unknown, [report, make_report(), report]))
    assert counts == {"ocppStatus[].reason": 2}


def test_counts_are_bounded_when_ids_are_the_names_of_fields() -> None:
    assert add_counts({"a": 1}, {"b": 2, "a": 1}) == {"a": 2, "b": 2}
    many = {str(number): 1 for number in range(2 * MAX_PATHS)}
    assert len(add_counts({"a": 1}, many)) == MAX_PATHS
    assert list(add_counts(many, {"a": 1})) == list(many)[:MAX_PATHS]


def test_the_paths_of_all_known_fields_are_those_of_a_report() -> None:
    paths = {"vehicleId", "ocppStatus", "ocppStatus[].value", "dcBreakerOpenConditions.current"}
    assert paths | {"deviceStatus[].errorCodes[].errorCode"} < known_paths()
    assert not {path for path in known_paths() if "_" in path}
