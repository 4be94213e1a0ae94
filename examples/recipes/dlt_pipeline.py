"""Load new session reports into DuckDB with dlt: `python dlt_pipeline.py 2026-01-01`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import dlt

from depotclient.dlt import session_reports


def main(start: str) -> None:
    """Load the reports since the last run. The first run loads all reports since `start`."""
    pipeline = dlt.pipeline("depot_reports", destination="duckdb", dataset_name="depot")
    pipeline.run(
        session_reports(
            [("CP-001", 1), ("CP-001", 2)], datetime.fromisoformat(start).replace(tzinfo=UTC)
        )
    )
    query = "select vehicle_id, count(*) from session_reports group by 1 order by 2 desc limit 5"
    with pipeline.sql_client() as client:
        for vehicle, sessions in client.execute_sql(query) or ():
            print(vehicle, sessions)


if __name__ == "__main__":
    main(*sys.argv[1:])
