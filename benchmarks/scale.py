"""Walks and copies of more and more small reports of one connector, for W11."""

from __future__ import annotations

from contextlib import aclosing

# Otherwise the first file would import this, and the import would count as growth.
import depotclient.export.parquet  # noqa: F401
from benchmarks.candidates.base import Access
from benchmarks.copies import Copier, measure_load, new_place
from benchmarks.metrics import Figures, Metrics, require_count
from benchmarks.workloads import SCALE, SCALE_START, SCALES, VERIFY_LIMIT, Row, scale_end
from depotclient import DepotClient, SessionReport
from depotclient.reports import SessionReports


async def measure_scale(row: Row, access: Access) -> Figures:
    """Return the figures of one walk or copy."""
    async with DepotClient(token=access.credential, base_url=access.base_url) as client:
        # The first reports open connections and generate code.
        await client.session_reports(SCALE, SCALES[0]).collect(max_items=SCALES[0])
        if row.target:
            figures = await measure_copy(client, row.target, row.reports)
        else:
            limit = VERIFY_LIMIT if row.verify else None
            description = client.session_reports(
                SCALE, row.reports, limit=limit, read_ahead=row.read_ahead, verify=row.verify
            )
            figures = await measure_walk(description, row.reports)
    return figures | {"per_report": figures["cpu"] / row.reports}


async def measure_copy(client: DepotClient, target: str, reports: int) -> Figures:
    """Return the figures of one copy."""
    client.now = lambda: scale_end(reports)
    with new_place(target) as place:
        copier = Copier(
            *(client, place, target == "parquet", [(SCALE, str(reports))]),
            concurrency=1,
            start=SCALE_START,
        )
        return await measure_load(copier, reports)


async def measure_walk(description: SessionReports[SessionReport], expected: int) -> Figures:
    """Return the figures of one walk. With `verify`, it saves a cursor after each page."""
    async with Metrics() as metrics:
        if description.verify:
            async with aclosing(description.pages()) as pages:
                async for page in pages:
                    for _ in page.reports:
                        metrics.count_item()
                    str(page.cursor)
        else:
            async for _ in description:
                metrics.count_item()
    require_count(metrics.items, expected)
    return metrics.figures
