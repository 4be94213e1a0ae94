"""Load new session reports into a Delta table with dlt: `python dlt_delta.py 2026-01-01 lake`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import dlt
from deltalake import DeltaTable

from depotclient.dlt import session_reports


def main(start: str, folder: str) -> None:
    """Load the reports since the last run. The first run loads all reports since `start`."""
    lake = Path(folder).resolve().as_uri()  # or "s3://bucket/lake"
    pipeline = dlt.pipeline(
        "depot_delta", destination=dlt.destinations.filesystem(lake), dataset_name="depot"
    )
    reports = session_reports(
        [("CP-001", 1), ("CP-001", 2)], datetime.fromisoformat(start).replace(tzinfo=UTC)
    )
    pipeline.run(reports, table_format="delta")
    table = DeltaTable(f"{lake}/depot/session_reports")
    rows = table.to_pyarrow_table(columns=["session_id"])
    print(rows.num_rows, "sessions, version", table.version())


if __name__ == "__main__":
    main(*sys.argv[1:])
