"""Reports without a start, and sessions that share an id: each is in one window of an export."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from depotclient.export.formats import FORMATS, Format
from tests.support.exports import START, Item, export_first, rows_in, serving

both_formats = pytest.mark.parametrize("format_", FORMATS)


@both_formats
async def test_each_session_that_shares_an_id_is_in_one_window(
    tmp_path: Path, format_: Format
) -> None:
    items: list[Item] = [
        {"sessionId": session_id, "sessionTimeStart": f"2026-{start}Z", "vehicleId": vehicle}
        for session_id in (-1, 0, 7)
        for start, vehicle in [
            *(("01-10T00:00:00", "A"), ("01-10T00:00:00.001", "B"), ("02-10T00:00:00", "C")),
        ]
    ]
    items += [{"sessionId": -1, "vehicleId": vehicle} for vehicle in ("D", "E")]
    async with serving([*items, *items[:3]]) as depot:
        for _ in range(2):  # The second run reads February again.
            await export_first(depot, tmp_path, to=None, format=format_)
            assert rows_in(tmp_path) == {
                "2026-01": [*((-1, name) for name in "ABDE"), *product([0, 7], "AB")],
                "2026-02": [(-1, "C"), (0, "C"), (7, "C")],
            }


@both_formats
@pytest.mark.parametrize(
    "change", [{"sessionTimeStart": "2026-02-01T10:00:00.000Z"}, {"vehicleId": "C"}]
)
async def test_a_report_that_gets_a_start_or_other_bytes_moves_to_the_open_window(
    tmp_path: Path, format_: Format, change: Item
) -> None:
    items: list[Item] = [{"sessionId": 2, "vehicleId": "A"}, {"sessionId": 3, "vehicleId": "B"}]
    async with serving(items) as depot:
        await export_first(depot, tmp_path, to=None, format=format_)
        assert rows_in(tmp_path) == {"2026-01": [(2, "A"), (3, "B")], "2026-02": []}
        items[0].update(change)
        for _ in range(2):
            export = await export_first(depot, tmp_path, to=None, format=format_)
            assert (export.written, export.skipped) == (1, 1)
            moved = (2, items[0]["vehicleId"])
            assert rows_in(tmp_path) == {"2026-01": [(3, "B")], "2026-02": [moved]}


@both_formats
async def test_windows_that_supersede_each_other_are_repeated_once_per_run(
    tmp_path: Path, format_: Format
) -> None:
    months: dict[str, list[Item]] = {
        month: [
            {"sessionId": -1, "vehicleId": "with", "sessionTimeStart": f"{month}-10T00:00:00Z"},
            {"sessionId": -1, "vehicleId": f"without {month}"},
        ]
        for month in ("2026-01", "2026-02")
    }
    async with serving(months) as depot:
        for skipped in (0, 1):  # January is closed, but read again.
            export = await export_first(depot, tmp_path, to=None, format=format_)
            assert (export.error, export.skipped, export.is_over) == (None, skipped, True)
            assert export.written <= 4
            assert rows_in(tmp_path) == {
                month: [(-1, "with"), (-1, f"without {month}")] for month in months
            }


async def test_a_distant_window_supersedes_nothing(tmp_path: Path) -> None:
    months: dict[str, list[Item]] = {"2026-01": [{"sessionId": -1, "vehicleId": "A"}]}
    async with serving(months, START.replace(month=4, day=20)) as depot:
        await export_first(depot, tmp_path, to=None)
        months["2026-01"] = []  # too old for the server
        months["2026-04"] = [
            {"sessionId": -1, "vehicleId": "B", "sessionTimeStart": "2026-04-10T00:00:00Z"}
        ]
        export = await export_first(depot, tmp_path, to=None)
    assert (export.error, export.skipped) == (None, 3)
    found = rows_in(tmp_path)
    assert (found["2026-01"], found["2026-04"]) == ([(-1, "A")], [(-1, "B")])
