"""Values of a profile from the responses to a probe, and reasons for unknown ones."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from evtransport.measurements import Finding
from evtransport.telemetry import Attempt
from thorclient.probe.fields import FieldCounts, JsonObject
from thorclient.probe.findings import Evidence, Measurement, Refusal, find_error_shape, summarize

NOT_FOUND = Refusal(404, b'{"message": "ChargeboxNotFound"}')
LOST = Finding[Any].unknown("the server failed: ConnectionFailed")
BOXES: list[JsonObject] = [{"id": "TB-1", "active": True}, {"id": "TB-2", "active": False}]

REVOKED, DOWN = (Finding(Refusal(status, b"<html>")) for status in (401, 503))


def attempt(**values: Any) -> Attempt:
    return Attempt(method="GET", template="", url="http://a", address="a", port=80, **values)


def summarized(**values: Any) -> Measurement:
    """Return the measurement of a complete probe with some evidence changed."""
    counts = FieldCounts()
    counts.add("chargebox", BOXES[0])
    counts.add("analytics", {"active_since": None})
    evidence = Evidence(
        requested_id="TB-1",
        box=BOXES[0],
        everything=Finding(BOXES),
        active=Finding(BOXES[:1]),
        unknown_box=Finding(NOT_FOUND),
        unknown_analytics=Finding(NOT_FOUND),
        other_case=Finding(NOT_FOUND),
        counts=counts,
        attempts=[attempt(status=200, elapsed=0.5), attempt(error="ConnectionFailed")],
    )
    return summarize(attrs.evolve(evidence, **values))


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (b'{"message": "APIKeyNotFound"}', "message"),
        (b'{"Message": "no: ChargeboxNotFound"}', "Message"),
        (b'{"message": "no", "error": {"code": "ChargeboxNotFound"}}', "error.code"),
        (b'"ChargeboxNotFound"', "string"),
        (b"ChargeboxNotFound", "text"),
        (b"<p>ChargeboxNotFound \xff", "text"),
        (b'{"message": "gone"}', "none"),
        (b"", "none"),
        (b'{"errors": ["ChargeboxNotFound"]}', None),
    ],
)
def test_the_place_of_an_errors_name_is_found(body: bytes, shape: str | None) -> None:
    assert find_error_shape(body).value == shape


def in_box(**fields: Any) -> dict[str, Any]:
    return {"everything": Finding([{"id": "TB-1", **fields}])}


@pytest.mark.parametrize(
    ("values", "name", "value"),
    [
        ({"unknown_box": Finding(Refusal(400, b""))}, "chargebox_not_found", 400),
        ({"other_case": Finding(True)}, "case_sensitive", False),
        ({"box": {"id": "tb-1"}}, "echo", "lower"),
        ({"box": {"id": "TB-1"}, "requested_id": "tb-1"}, "echo", "upper"),
        ({"box": {"active": True}}, "echo", "absent"),
        ({"active": Finding(BOXES)}, "filters_active", False),
        (in_box(occupied_connectors=[1], reserved_connectors=None), "occupied_type", "integer"),
        (in_box(reserved_connectors=[{"id": 1}]), "occupied_type", "object"),
        (in_box(reserved_connectors=[True]), "occupied_type", "boolean"),
        ({"attempts": [attempt(status=200, encoding="gzip")]}, "compression", "gzip"),
        ({}, "latency", 0.5),
    ],
)
def test_evidence_is_turned_into_a_value(values: dict[str, Any], name: str, value: object) -> None:
    measurement = summarized(**values)
    assert getattr(measurement.profile, name) == value
    assert name not in measurement.reasons


def named_after_a_box() -> FieldCounts:
    counts = FieldCounts()
    counts.add("chargebox", {"id": "Depot", "depot": 1})
    counts.add("analytics", {"active_since": None})
    return counts


@pytest.mark.parametrize(
    ("values", "name", "reason"),
    [
        ({"unknown_box": LOST}, "chargebox_not_found", "the server failed: ConnectionFailed"),
        ({"unknown_box": LOST}, "error_shape", "the server failed: ConnectionFailed"),
        ({"unknown_box": LOST}, "case_sensitive", "the server failed: ConnectionFailed"),
        (
            {"unknown_analytics": Finding(Refusal(503, b""))},
            "analytics_not_found",
            "the server failed: status 503",
        ),
        (
            {"unknown_analytics": Finding(Refusal(302, b""))},
            "analytics_not_found",
            "the response has status 302",
        ),
        (
            {"unknown_analytics": Finding(Refusal(404, b"ChargeboxNotFound"))},
            "error_shape",
            "the errors of the two calls differ",
        ),
        ({"other_case": Finding(Refusal(503, b""))}, "case_sensitive", "has status 503"),
        ({"other_case": LOST}, "case_sensitive", "the server failed: ConnectionFailed"),
        ({"unknown_box": REVOKED}, "chargebox_not_found", "the response has status 401"),
        # The page of a gateway is no error of the API.
        ({"unknown_box": DOWN, "unknown_analytics": DOWN}, "error_shape", "failed: status 503"),
        ({"unknown_box": DOWN, "other_case": DOWN}, "case_sensitive", "failed: status 503"),
        # A server that knows every id does not show whether their letters matter.
        ({"unknown_box": LOST, "other_case": Finding(True)}, "case_sensitive", "the server failed"),
        ({}, "echo", "the ids have no lower-case letters"),
        ({"counts": named_after_a_box()}, "unknown_fields", "a field is named after an id"),
        ({}, "compression", "no large response"),
        ({"box": {"error": "internal"}}, "echo", "the response is no chargebox"),
        ({"box": {"id": "TB-2"}}, "echo", "the response has another id"),
        ({"everything": LOST}, "filters_active", "the server failed: ConnectionFailed"),
        ({"everything": Finding(BOXES[:1])}, "filters_active", "no chargebox is inactive, or "),
        ({}, "occupied_type", "no connector is occupied or reserved"),
        (
            in_box(occupied_connectors=[1], reserved_connectors=["1"]),
            "occupied_type",
            "several types: integer, string",
        ),
        ({"counts": FieldCounts()}, "missing_fields", "no analytics could be read"),
        (
            {"attempts": [attempt(status=200, encoding="br")]},
            "compression",
            "the responses have another encoding",
        ),
    ],
)
def test_what_the_evidence_does_not_show_is_unknown_with_a_reason(
    values: dict[str, Any], name: str, reason: str
) -> None:
    measurement = summarized(**values)
    assert getattr(measurement.profile, name) is None
    assert reason in measurement.reasons[name]


def test_an_error_that_names_the_cause_is_no_failure_of_the_server() -> None:
    named = Finding(Refusal(500, b'{"message": "ChargeboxNotFound"}'))
    assert summarized(unknown_box=named).profile.chargebox_not_found == 500
