"""Rows of a page lack its invalid reports, and come with the fields that no column holds."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from depotclient import SchemaError
from depotclient.arrow import batches
from depotclient.arrow.batches import PageRows, row_of, rows_of
from depotclient.drift import count_reports, find_unknown
from depotclient.pages import Page
from tests.support.pages import PageTransport

GOOD = b'{"sessionId": 1, "ocppStatus": [{"value": "Charging"}]}'
DRIFTED = b'{"sessionId": 2, "tariff": 1, "ocppStatus": [{"reason": "R"}, {"reason": null}]}'
LARGE = b'{"sessionId": %d}' % 2**64
WRONG = b'{"sessionId": 3, "vehicleId": 7, "tariff": 2}'
WITHOUT_ID = b'{"vehicleId": "BUS-1"}'
MIXED = [b'{"sessionId": 4, "tariff": [1, "x"]}', b'{"sessionId": 5, "tariff": {}}']


def test_one_report_is_one_row_or_an_error() -> None:
    assert row_of(GOOD).num_rows == 1
    for invalid in (WRONG, LARGE):
        with pytest.raises(SchemaError, match=r"^\$"):
            row_of(invalid)


def page_with(items: list[bytes]) -> Page[Any]:
    async def read() -> Page[Any]:
        client = PageTransport(items).client()
        reports = client.session_reports("CP-001", "1", limit=100, read_ahead=0)
        async with aclosing(reports.pages()) as pages:
            return await anext(pages)

    return asyncio.run(read())


def ids_of(rows: PageRows) -> list[int | None]:
    rows.batch.validate(full=True)
    return rows.batch["session_id"].to_pylist()


@pytest.mark.parametrize(
    "items", [[GOOD, DRIFTED], [GOOD, *MIXED], [DRIFTED, DRIFTED[:-1] + b',"n":1}']]
)
def test_unknown_fields_are_named_without_objects(
    items: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(batches, "_decode_by_objects")
    rows = rows_of(page_with(items))
    expected = [find_unknown(item) for item in items]
    assert count_reports(rows.unknown) == count_reports(expected) != {}
    assert (rows.indexes, rows.refused) == (range(len(items)), ())


@pytest.mark.parametrize(
    "items",
    [
        [GOOD, WRONG, DRIFTED, WITHOUT_ID],
        [WRONG, GOOD, LARGE, DRIFTED],
        [LARGE, WITHOUT_ID],
        [WITHOUT_ID, LARGE, *MIXED, GOOD, DRIFTED],
    ],
)
def test_each_invalid_report_is_refused_with_its_own_error(items: list[bytes]) -> None:
    page = page_with(items)
    rows = rows_of(page)
    valid = [index for index, item in enumerate(items) if item not in (WRONG, WITHOUT_ID, LARGE)]
    assert list(rows.indexes) == valid
    assert ids_of(rows) == [page.ids[index] for index in valid]
    assert count_reports(rows.unknown) == count_reports(find_unknown(items[n]) for n in valid)
    assert [each.index for each in rows.refused] == [n for n in range(len(items)) if n not in valid]
    for each in rows.refused:
        assert page.path_at(each.index) in str(each.error)
        assert each.error.cursor == page.cursor_at(each.index)
