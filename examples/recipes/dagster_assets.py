"""Write one Parquet file per day with all connectors, as a Dagster asset."""

from pathlib import Path

import dagster
import pyarrow.parquet

from depotclient.partitions import plan, read_table

CONNECTORS = [("CP-001", 1), ("CP-001", 2)]
LAKE = "/data/lake"


@dagster.asset(
    # The partition of a day exists a day after its end, when its reports have arrived.
    partitions_def=dagster.DailyPartitionsDefinition(start_date="2026-01-01", end_offset=-1),
    retry_policy=dagster.RetryPolicy(max_retries=3, delay=60),
)
def session_reports(context: dagster.AssetExecutionContext) -> dagster.MaterializeResult[None]:
    """Write the reports of one day. A second run of the partition replaces the file."""
    window = context.partition_time_window
    table = read_table(plan(CONNECTORS, window.start, window.end, "day", whole=False))
    file = Path(LAKE, f"day={context.partition_key}", "reports.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    staging = file.with_suffix(f".{context.run_id}.part")
    pyarrow.parquet.write_table(table, staging)
    staging.replace(file)
    return dagster.MaterializeResult(metadata={"reports": table.num_rows})
