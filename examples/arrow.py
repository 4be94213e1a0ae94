"""Read session reports into an Arrow table, and pass it to pandas, polars and DuckDB."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa

from depotclient import DepotClient
from depotclient.arrow import SESSION_REPORTS, record_batches


async def read(charger_id: str, connector_id: str) -> pa.Table:
    """Return the sessions since 2026 as one table."""
    async with DepotClient.from_env() as depot:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        reports = depot.session_reports(charger_id, connector_id, from_=start)
        batches = [batch async for batch in record_batches(reports)]
        return pa.Table.from_batches(batches, SESSION_REPORTS)


def main(charger_id: str, connector_id: str) -> None:
    """Pass the table on, with one line for each library."""
    sessions = asyncio.run(read(charger_id, connector_id))
    print("pandas", sessions.to_pandas(types_mapper=pd.ArrowDtype)["energy_soc_end"].mean())
    print("polars", pl.DataFrame(sessions)["energy_soc_end"].mean())
    print("DuckDB", duckdb.from_arrow(sessions).mean("energy_soc_end").fetchall())


if __name__ == "__main__":
    main(*sys.argv[1:])
