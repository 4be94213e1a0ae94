"""Session reports into DuckDB, and what is new at each run: `python dlt_pipeline.py 2026-01-01`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import dlt

from depotclient.dlt import session_reports


# region DOCS
def main(begin: str) -> None:
    """Load what is new since the last run; the first one loads all since the beginning."""
    pipeline = dlt.pipeline("depot_reports", destination="duckdb", dataset_name="depot")
    pipeline.run(
        session_reports(
            [("CP-001", 1), ("CP-001", 2)], datetime.fromisoformat(begin).replace(tzinfo=UTC)
        )
    )
    query = "select vehicle_id, count(*) from session_reports group by 1 order by 2 desc limit 5"
    with pipeline.sql_client() as client:
        for vehicle, sessions in client.execute_sql(query) or ():
            print(vehicle, sessions)


# endregion

if __name__ == "__main__":
    main(*sys.argv[1:])
