"""Pages of session reports: responses split into reports, and reports structured on access."""

from __future__ import annotations

import json
from typing import Any

import pytest

from depotclient import (
    DecodeError,
    MisdirectedResponse,
    Page,
    SchemaError,
    SessionReport,
)
from depotclient.pages import split_page
from depotclient.query import Query
from tests.support.pages import PageTransport


def split(body: bytes, charger_id: str = "CP-A", connector_id: str = "1") -> int:
    """Split a response, and return the number of its reports."""
    return len(split_page(Query(charger_id, connector_id, None, None), body).items)


async def page_of(items: list[Any], **options: Any) -> Page[SessionReport]:
    """Return the only page of these reports."""
    reports = PageTransport(items).client().session_reports("A", 1, **options)
    (page,) = [page async for page in reports.pages()]
    return page


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html></html>", b"null", b"[]", b"{}", b'{"items": null}', b'{"items": {}}'),
        *(b'{"items": [1}', b'{"items": [1]} x', b'{"items": ["\xff"]}'),
    ],
)
def test_a_body_that_is_not_a_page_is_an_error(body: bytes) -> None:
    with pytest.raises((DecodeError, SchemaError)):
        split(body)


@pytest.mark.parametrize(
    "echo",
    [
        {},
        {"ChargerID": None, "ConnectorID": None},
        {"ChargerID": "cp-a", "ConnectorID": "1"},
        {"ConnectorID": 1},
        {"ConnectorID": "01"},
    ],
    ids=str,
)
def test_echoed_ids_may_differ_in_case_and_zeros_or_be_missing(echo: dict[str, object]) -> None:
    body = json.dumps({"items": [{}]} | echo).encode()

    assert split(body) == split(body, connector_id="01") == 1


@pytest.mark.parametrize(
    "echo", [{"ChargerID": "CP-B"}, {"ConnectorID": "2"}, {"ConnectorID": 2}], ids=str
)
def test_a_response_for_another_connector_is_an_error(echo: dict[str, object]) -> None:
    with pytest.raises(MisdirectedResponse):
        split(json.dumps({"items": []} | echo).encode())


def test_a_page_has_at_most_100000_reports() -> None:
    assert split(b'{"items": [%s]}' % b",".join([b"1"] * 100_000)) == 100_000
    with pytest.raises(SchemaError, match="100,001 reports, at most 100,000 are allowed"):
        split(b'{"items": [%s]}' % b",".join([b"1"] * 100_001))


async def test_a_page_has_the_new_reports_and_their_texts_keys_and_paths() -> None:
    items = [b'{ "sessionId": %d}' % number for number in range(45)]
    reports = PageTransport(items).client().session_reports("A", 1, limit=20)
    pages = [page async for page in reports.pages()]

    # Each page starts with rows of the page before it, which are not new.
    assert [(page.number, page.limit, len(page.reports)) for page in pages] == [
        (1, 20, 20),
        (2, 19, 18),
        (3, 18, 7),
    ]
    assert [text for page in pages for text in page.raw_reports] == items
    assert [n for page in pages for n in page.ids] == list(range(45))
    assert len({key for page in pages for key in page.keys}) == 45
    assert pages[2].path_at(0) == "$.items[2]"
    assert json.loads(pages[2].raw)["ChargerID"] == "A"
    assert pages[2].cursor.offset == 45
    assert repr(pages[2]) == "Page(number=3, limit=18, reports=<7 reports, structured on access>)"


async def test_reports_are_a_sequence() -> None:
    reports = (await page_of([{"sessionId": number} for number in range(5)])).reports

    assert [report.session_id for report in reports] == [0, 1, 2, 3, 4]
    assert reports[-1] == reports[4]
    assert reports[1:3] == [reports[1], reports[2]]


@pytest.mark.parametrize("index", [3, -5])
async def test_an_invalid_report_is_an_error_on_access_with_the_cursor_before_it(
    index: int,
) -> None:
    items: list[dict[str, object]] = [{"sessionId": number} for number in range(5)]
    items[index]["sessionMeterValues"] = [{"value": 1}, {"value": "x"}]
    page = await page_of(items)

    assert page.reports[4].session_id == 4
    with pytest.raises(SchemaError) as raised:
        page.reports[index]
    assert raised.value.problems == (
        f"$.items[{index % 5}].sessionMeterValues[1].value: expected float, got str",
    )
    assert raised.value.cursor == page.cursor_at(index % 5)
    assert page.cursor_at(index % 5).recent == page.cursor.recent[: index % 5]
    with pytest.raises(SchemaError):
        page.reports[:4]


@pytest.mark.parametrize(
    ("invalid", "problem"),
    [
        (b"5", "$.items[1]: expected object, got int"),
        (b"{}", "$.items[1].sessionId: required field missing"),
        (b'{"sessionId": 5.0}', "$.items[1].sessionId: expected int, got float"),
        (b'{"sessionId": 3, "vehicleId": "\\ud83d"}', "half of a surrogate pair in a string"),
        (b'{"vehicleId": "\\ude00", "sessionId": "x"}', "sessionId: expected int, got str"),
    ],
)
async def test_an_invalid_report_leaves_the_others_readable(invalid: bytes, problem: str) -> None:
    items = [b'{"sessionId": 1, "vehicleId": "\\ud83d\\ude00"}', invalid, b'{"sessionId": 2}']
    transport = PageTransport(items)
    async with transport.client().session_reports("A", 1).walk() as walk:
        assert (await anext(walk)).vehicle_id == "\U0001f600"
        with pytest.raises(SchemaError) as raised:
            await anext(walk)
    assert raised.value.problems[0].endswith(problem)
    assert raised.value.cursor == walk.cursor

    transport.items = [items[0], b'{"sessionId": 7}', items[2]]  # The server has corrected it.
    rest = transport.client().session_reports("A", 1, resume=walk.cursor)
    assert [report.session_id async for report in rest] == [7, 2]


async def test_a_lone_surrogate_in_an_unknown_field_is_ignored() -> None:
    text = b'{"sessionId": 3, "x": "\\ud83d", "\\ud83d": 1}'
    page = await page_of([text, {"sessionId": 4}])

    assert (page.ids, page.raw_reports[0]) == ((None, 4), text)
    assert [report.session_id for report in page.reports] == [3, 4]
