"""Arrow tables of walks, and a class with some of the fields of a report."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
import pyarrow as pa

from depotclient import OcppStatus, SessionReports
from depotclient.arrow import record_batches, schema_of


@attrs.frozen
class Part:
    """Some of the fields, in another order."""

    ocpp_status: list[OcppStatus]
    session_time_start: datetime | None
    vehicle_id: str | None = attrs.field(default=None, init=False)


async def read(reports: SessionReports[Any]) -> pa.Table:
    """Return the reports of a walk as one table."""
    batches = [batch async for batch in record_batches(reports)]
    return pa.Table.from_batches(batches, schema_of(reports.into))
