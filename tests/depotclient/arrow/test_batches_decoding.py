"""Arrow batches have the same rows as the objects, and end at the same invalid report."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
# Arrow imports pandas when it is first used, which blocks an event loop.
pytest.importorskip("pandas")

from depotclient import MeterValue, OcppStatus, ResponseError, SchemaError, SessionReport
from depotclient.arrow import batches, record_batches, schema_of, session_reports_from
from depotclient.reports import SessionReports
from depotclient.sandbox import ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions
from tests.support.pages import PageTransport

INT64 = range(-(2**63), 2**63)


@attrs.frozen
class Part:
    """Some of the fields, of every kind."""

    session_time_start: datetime | None
    energy_charge_end: float | None
    ocpp_status: list[OcppStatus]
    session_meter_values: list[MeterValue]


Decoded = tuple[list[dict[str, Any]], ResponseError | None]


async def decode_by_objects(reports: SessionReports[Any]) -> Decoded:
    """Return reports as plain values with times in milliseconds, and the error after them."""
    rows: list[dict[str, Any]] = []
    try:
        async for page in reports.pages():
            for n, report in enumerate(page.reports):
                row = attrs.asdict(report)
                if any(number not in INT64 for number in integers_in(row)):
                    problem = "too large for its column: an integer of more than 64 bits"
                    error = SchemaError((f"{page.path_at(n)}: {problem}",))
                    error.cursor = page.cursor_at(n)
                    page.describe(error)
                    return rows, error
                rows.append(in_milliseconds(row))
    except ResponseError as error:
        return rows, error
    return rows, None


async def decode_by_arrow(reports: SessionReports[Any]) -> Decoded:
    rows: list[dict[str, Any]] = []
    try:
        async for batch in record_batches(reports):
            batch.validate(full=True)
            assert batch.num_rows > 0
            assert batch.schema == schema_of(reports.into)
            rows += batch.to_pylist()
            if reports.into is SessionReport:
                assert [*map(attrs.asdict, session_reports_from(batch))] == batch.to_pylist()
    except ResponseError as error:
        return rows, error
    return rows, None


def in_milliseconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: in_milliseconds(member) for name, member in value.items()}
    if isinstance(value, list):
        return [in_milliseconds(item) for item in value]
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value


def integers_in(value: Any) -> Iterator[int]:
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from integers_in(member)
    elif isinstance(value, int):
        yield value


def check(items: list[bytes], into: type[Any] = SessionReport) -> str:
    """Check that both decoding paths agree, and return "accepted" or the kind of error."""
    client = PageTransport(items).client()
    client.now = lambda: datetime(2026, 2, 1, tzinfo=UTC)  # Both walks have the same cursors.
    reports = client.session_reports("CP-001", "1", limit=100, read_ahead=0, into=into)
    expected, expected_error = asyncio.run(decode_by_objects(reports))
    rows, error = asyncio.run(decode_by_arrow(reports))

    assert rows == expected
    assert (repr(error), str(error)) == (repr(expected_error), str(expected_error))
    assert getattr(error, "cursor", None) == getattr(expected_error, "cursor", None)
    if error is None:
        return "accepted"
    return "too large" if "too large" in str(error) else type(error).__name__


ACCEPTED_TIMES = [
    "",  # null
    "2026-01-01T10:00:00Z",
    "2026-01-01 10:00:00Z",
    "2026-01-01t10:00:00z",
    "2026-01-01T10:00:00.1239Z",
    "2026-01-01T10:00:00.1239994Z",
    "2026-01-01T10:00:00.1239995Z",
    "2026-12-31T23:59:59.9999999Z",
    "1969-12-31T23:59:59.999999Z",
    "1969-12-31T23:59:59.9999995Z",
    "2026-01-01T10:00:00+0100",
    "2026-01-01T10:00:00.123456+05:45",
    "2026-01-01T10:00:00-00:00",
    "2024-02-29T00:00:00Z",
    "0001-01-01T00:00:00.000Z",
    "0001-01-01T00:00:00.9999999Z",
    "0001-01-01T00:00:00-00:01",
    "0001-12-31T23:59:59.999Z",
    "0002-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59.9999994Z",
    "9999-12-31T23:59:59.999+00:01",
    "2026-01-01T10:00:00.%sZ" % ("9" * 100),
]
REFUSED_TIMES = [
    "2026-01-01",
    "2026-01-01T10:00Z",
    "2026-01-01T10:00:00",
    "2026-01-01T10:00:00.Z",
    "2026-01-01T10:00:00,123Z",
    "2026-01-01T10:00:00+01",
    "2026-01-01T10:00:00+24:00",
    "2026-01-01T10:00:00+00:60",
    "2026-01-01T10:00:00 Z",
    "2026-01-01T10:00:00Z\n",
    "2026-01-01T10:00:00Z\x00",
    "2026-01-01T24:00:00Z",
    "2026-12-31T23:59:60Z",
    "2026-01-01T10:60:00.000Z",
    "2026-02-29T00:00:00.000Z",
    "2026-00-10T00:00:00Z",
    "0000-01-01T00:00:00.000Z",
    "0000-12-31T23:30:00-01:00",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:59:59.9999995Z",
    "10000-01-01T00:00:00Z",
    "+2026-01-01T00:00:00.00Z",
    "٢026-01-01T00:00:00Z",
]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [(text, "accepted") for text in ACCEPTED_TIMES]
    + [(text, "SchemaError") for text in REFUSED_TIMES],
)
def test_both_paths_agree_on_a_time(text: str, outcome: str) -> None:
    value = json.dumps(text).encode()

    assert check([b'{"sessionId": 1, "sessionTimeStart": %s}' % value]) == outcome
    nested = b'{"sessionId": 1, "sessionMeterValues": [{}, {"eventTimestamp": %s}]}'
    assert check([nested % value]) == outcome


FLOATS = {
    "accepted": [
        *("0", "-0.0", "1e3", "1E+3", "9007199254740993", str(2**64), str(-(2**63) - 1)),
        *("5e-324", "1e-400", f"0.{'0' * 400}1", str(10**308), "1.7976931348623157e308"),
    ],
    "SchemaError": ["1e400", "-1e400", "2e308", str(10**309), f"{10**309}.5", '"1"', "true"],
    "DecodeError": ["NaN", "Infinity", "-Infinity", "01", ".5"],
}
INTEGERS = {
    "accepted": ["0", "-0", str(2**63 - 1), str(-(2**63))],
    "SchemaError": ["1.0", "1e3", "1e300", "1e400", "true", '"1"'],
    "too large": [str(2**63), str(-(2**63) - 1), str(10**400)],
}
CASES_OF = [
    (b'"energySocStart": %s', FLOATS),
    (b'"sessionMeterValues": [{}, {"value": %s}]', FLOATS),
    (b'"deviceStatus": [{"errorCodes": [{"errorCounter": %s}]}]', INTEGERS),
]


@pytest.mark.parametrize(
    ("field", "text", "outcome"),
    [
        pytest.param(field, text.encode(), outcome, id=f"{n}-{text[:20]}-{outcome}")
        for n, (field, cases) in enumerate(CASES_OF)
        for outcome, texts in cases.items()
        for text in texts
    ],
)
def test_both_paths_agree_on_a_number(field: bytes, text: bytes, outcome: str) -> None:
    assert check([b'{"sessionId": 1, %s}' % (field % text)]) == outcome


ACCEPTED = [
    '"sessionId": 1',
    r'"session\u0049d": 1',
    '"sessionId": 1, "sessionId": 2',
    '"sessionId": 1, "vehicleId": "a", "vehicleId": "b"',
    '"sessionId": 1, "vehicleId": "a", "vehicleId": null',
    '"sessionId": 1, "ocppStatus": [{"value": "a"}], "ocppStatus": []',
    '"sessionId": 1, "x": 1, "x": "a", "": 5, "y": [1e999]',
    f'"sessionId": 1, "x": {"[" * 300}{"]" * 300}',
    r'"sessionId": 1, "vehicle_id": 5, "VehicleID": 5, "vehicleId\u0000": 5',
    '"sessionId": 1, "vehicleId": ""',
    r'"sessionId": 1, "vehicleId": "a\u0000b\ud83d\ude00\/"',
    r'"sessionId": 1, "x": "\udc00"',
    '\n\n"sessionId"\r\n:\n1\n,"vehicleId":\n"a"\n',
    '"sessionId": 1, "ocppStatus": null, "sessionMeterValues": null',
    '"sessionId": 1, "deviceStatus": [{"errorCodes": null}, {}]',
    '"sessionId": 1, "ocppStatus": [{"value": null, "eventTimestamp": null}, {}]',
    '"sessionId": 1, "batteryAlignmentResults": {}',
]
REFUSED = [
    "",
    '"sessionId": null',
    '"sessionId": 1.0',
    '"sessionId": 1, "sessionId": null',
    '"sessionId": 1, "vehicleId": 1, "vehicleId": "b"',
    r'"sessionId": 1, "vehicleId": "\ud800"',
    '"sessionId": 1, "ocppStatus": [{"value": "a"}, null]',
    '"sessionId": 1, "ocppStatus": [null]',
    '"sessionId": 1, "deviceStatus": [{"errorCodes": [null]}]',
    '"sessionId": 1, "ocppStatus": [[]]',
    '"sessionId": 1, "ocppStatus": {}',
    '"sessionId": 1, "batteryAlignmentResults": []',
    '"sessionId": 1, "batteryAlignmentResults": {"inRange": 1}',
    '"sessionId": 1, "batteryAlignmentResults": {"inRange": "true"}',
]


@pytest.mark.parametrize(
    ("members", "outcome"),
    [(text, "accepted") for text in ACCEPTED]
    + [(text, "SchemaError") for text in REFUSED]
    + [(f'"sessionId": {2**63}', "too large"), ('"sessionId": 1, "x": "a\nb"', "DecodeError")],
)
def test_both_paths_agree_on_a_report(members: str, outcome: str) -> None:
    assert check([f"{{{members}}}".encode()]) == outcome


GOOD, INVALID = b'{"sessionId": 1}', b'{"sessionId": 2, "vehicleId": 2}'
TOO_LARGE = b'{"sessionId": %d}' % 2**64


@pytest.mark.parametrize(
    ("items", "outcome"),
    [
        ([GOOD, INVALID, TOO_LARGE], "SchemaError"),
        ([GOOD, TOO_LARGE, INVALID], "too large"),
        ([TOO_LARGE, GOOD], "too large"),
        ([GOOD, GOOD.replace(b"1", b"3"), GOOD], "accepted"),
    ],
)
def test_both_paths_agree_on_the_first_invalid_report(items: list[bytes], outcome: str) -> None:
    assert check(items) == outcome


def test_a_class_ignores_invalid_values_of_other_fields() -> None:
    items = [b'{"sessionId": 1, "energyChargeEnd": 5, "vehicleId": 7, "energySocEnd": "x"}']

    assert check(items, Part) == "accepted"
    assert check(items) == "SchemaError"


@cache
def render_report(session_id: int) -> bytes:
    (session,) = simulate_sessions(1, "CP-001", "1", 1, first_session_id=session_id)
    return render(session, ReportShape.small())


# A string that starts with # becomes a number of that text, which Python's json can't write.
NUMBER_TEXT = r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?(e[+-]?[0-9]{1,3})?"
NUMBERS = st.from_regex(NUMBER_TEXT, fullmatch=True).map("#{}".format)
DATE = r"(0001|1969|2026|9999)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
CLOCK = r"([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.([0-9]{1,9}|[0-9]{3}999[0-9]{1,3}))?"
MOMENTS = st.from_regex(f"{DATE}[T t]{CLOCK}(Z|z|[+-][01][0-9]:?[0-5][0-9])", fullmatch=True)
TIMES = st.sampled_from(ACCEPTED_TIMES + REFUSED_TIMES) | MOMENTS
ALIKE: dict[type, st.SearchStrategy[Any]] = {
    str: TIMES | st.text(max_size=5),
    int: st.integers(),
    float: NUMBERS,
    bool: st.booleans(),
}
NAMES = st.sampled_from(["value", "key", "eventTimestamp", "x"])
ANYTHING = st.recursive(
    st.none() | st.one_of(*ALIKE.values()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list or object in a value with each of its indexes or keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places_in(value[key])


@st.composite
def mutated_reports(draw: st.DrawFn, session_id: int) -> bytes:
    report = json.loads(render_report(session_id))
    for _ in range(draw(st.integers(0, 3))):
        parent, key = draw(st.sampled_from(list(places_in(report))))
        parent[key] = draw(ALIKE.get(type(parent[key]), st.nothing()) | ANYTHING)
    text = json.dumps(
        report, indent=draw(st.sampled_from([None, 1])), ensure_ascii=draw(st.booleans())
    )
    return re.sub(f'"#({NUMBER_TEXT})"', r"\1", text).encode(errors="surrogatepass")


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example]
)
@given(st.tuples(mutated_reports(1), mutated_reports(2)), st.sampled_from([SessionReport, Part]))
@example((render_report(1), render_report(2)), SessionReport)
@example((render_report(1), render_report(2)), Part)
def test_both_paths_agree_on_a_mutated_page(items: tuple[bytes, ...], into: type[Any]) -> None:
    event(check(list(items), into))


@pytest.mark.parametrize(
    "end", ["Z", "z", ".1Z", ".123456Z", ".1234567Z", ".9999999Z", ".123+01:00", "-00:00", "+0100"]
)
def test_arrow_decodes_any_format_of_time_without_objects(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(batches, "_decode_by_objects")
    report = '{"sessionId": %d, "sessionTimeStart": "2026-01-01T00:00:00%s"}'
    items = [report % (1, ".000Z"), report % (2, end)]

    assert check([item.encode() for item in items]) == "accepted"


@pytest.mark.parametrize("size", [2**19, 2**20, 2**21])
def test_arrow_decodes_indented_and_large_reports_without_objects(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(batches, "_decode_by_objects")
    report = b'{\n"sessionId":\r\n%d,\n"vehicleId":\n"%s"\n}'
    assert check([report % (n, b"x" * size) for n in range(3)]) == "accepted"
