"""Walks yield one Arrow batch for each page, with the declared schema."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import attrs
import pytest

from tests.support.clients import client_of
from tests.support.pages import PageTransport

pytest.importorskip("pyarrow")
# Arrow imports pandas when it is first used, which blocks an event loop.
pytest.importorskip("pandas")


from depotclient import DepotClient
from depotclient.arrow import record_batches, schema_of, session_reports_from
from depotclient.sandbox import DepotSandbox
from tests.support.arrow_tables import Part, read

CHARGER, CONNECTOR = "CP-001", "1"


async def test_a_class_without_fields_is_rejected_before_any_request(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    empty = attrs.make_class("Nothing", [])
    with pytest.raises(ValueError, match=r"Nothing'> has no fields"):
        await anext(record_batches(depot.session_reports(CHARGER, CONNECTOR, into=empty)))
    assert list(sandbox.requests) == []


async def test_each_page_is_one_batch(sandbox: DepotSandbox, depot: DepotClient) -> None:
    reports = depot.session_reports(CHARGER, CONNECTOR, limit=20, into=Part)

    batches = [batch async for batch in record_batches(reports)]

    assert [batch.num_rows for batch in batches] == [len(p.ids) async for p in reports.pages()]
    assert {batch.schema for batch in batches} == {schema_of(Part)}


async def test_an_empty_window_has_no_batches() -> None:
    async with DepotSandbox(sessions=0) as sandbox, client_of(sandbox) as depot:
        table = await read(depot.session_reports(CHARGER, CONNECTOR))
    assert table.num_rows == 0
    assert session_reports_from(table) == []


async def test_closing_early_cancels_the_requests_in_flight() -> None:
    transport = PageTransport([{"sessionId": number} for number in range(30)])
    transport.stalls = True
    reports = transport.client().session_reports("A", 1, limit=5, read_ahead=5)

    async with aclosing(record_batches(reports)) as batches:
        assert (await anext(batches)).num_rows == 5

    assert len(transport.queries) == 6
    assert asyncio.all_tasks() == {asyncio.current_task()}
