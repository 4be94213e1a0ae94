"""Responses of a probe: reports, and the ids that they echo."""

from __future__ import annotations

import msgspec
import pytest

from depotclient import DecodeError, MisdirectedResponse, SchemaError
from depotclient.pages import MAX_REPORTS
from depotclient.probe.responses import ReportReader, find_echo, split_probed_page
from depotclient.profile import Echo
from depotclient.sandbox import make_report
from evtransport.measurements import Finding


def body(**fields: object) -> bytes:
    return msgspec.json.encode({"items": [], **fields})


@pytest.mark.parametrize(
    ("fields", "echo"),
    [
        ({}, "absent"),
        ({"ChargerID": "Cp-1", "ConnectorID": 1}, "same"),
        ({"ChargerID": "CP-1", "ConnectorID": "1"}, "upper"),
        ({"ChargerID": "cp-1", "ConnectorID": "1"}, "lower"),
        ({"ChargerID": "cP-1", "ConnectorID": "1"}, None),
        ({"ChargerID": "Cp-1"}, None),
    ],
)
def test_the_letters_of_the_echoed_ids_are_compared(
    fields: dict[str, object], echo: Echo | None
) -> None:
    assert split_probed_page("Cp-1", "1", body(**fields)).echo.value == echo


@pytest.mark.parametrize(
    ("echoes", "value", "reason"),
    [
        (["same", "same"], "same", ""),
        (["same", "upper"], None, "the ids differ from response to response"),
        ([], None, "no response"),
    ],
)
def test_an_echo_is_known_if_all_responses_have_the_same(
    echoes: list[Echo], value: Echo | None, reason: str
) -> None:
    finding = find_echo(map(Finding, echoes))
    assert (finding.value, finding.reason) == (value, reason)


@pytest.mark.parametrize(("text", "items"), [(b"{}", msgspec.UNSET), (b'{"items": null}', None)])
def test_a_list_that_is_missing_is_not_null(text: bytes, items: object) -> None:
    assert split_probed_page("CP-1", "1", text).items is items


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"<html>", DecodeError),
        (b'{"items": [\xff]}', DecodeError),
        (b"[]", SchemaError),
        (body(items=[0] * (MAX_REPORTS + 1)), SchemaError),
        (body(ChargerID="CP-2"), MisdirectedResponse),
        (body(ConnectorID="2"), MisdirectedResponse),
    ],
)
def test_a_response_that_may_be_a_failure_is_an_error(text: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        split_probed_page("CP-1", "1", text)


async def test_each_different_report_is_counted_once() -> None:
    reader = ReportReader()
    text = make_report(7)
    page = split_probed_page("CP-1", "1", b'{"items": [%b, %b, {}]}' % (text, text))
    assert isinstance(page.items, list)
    first, second, third = await reader.read(page.items)
    assert (first, first.size, third.start) == (second, len(text), None)
    assert (len(reader.reports), reader.counts.reports) == (2, 2)


async def test_a_lone_surrogate_in_one_report_does_not_lose_the_page() -> None:
    page = split_probed_page("CP-1", "1", b'{"items": [{"vehicleId": "\\ud83d"}, {}]}')
    assert isinstance(page.items, list)
    assert len(await ReportReader().read(page.items)) == 2
