"""A Dagster asset with a partition for each day: one Parquet file of all connectors."""

from pathlib import Path

import dagster
import pyarrow.parquet

from depotclient.partitions import plan, read_table

CONNECTORS = [("CP-001", 1), ("CP-001", 2)]
LAKE = "/data/lake"


# region DOCS
@dagster.asset(
    # A day can be made a day after its end, when all its reports should have come.
    partitions_def=dagster.DailyPartitionsDefinition(start_date="2026-01-01", end_offset=-1),
    retry_policy=dagster.RetryPolicy(max_retries=3, delay=60),
)
def session_reports(context: dagster.AssetExecutionContext) -> dagster.MaterializeResult[None]:
    """The reports of one day; the whole file is replaced when its partition is run again."""
    window = context.partition_time_window
    table = read_table(plan(CONNECTORS, window.start, window.end, "day", whole=False))
    file = Path(LAKE, f"day={context.partition_key}", "reports.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(f".{context.run_id}.part")
    pyarrow.parquet.write_table(table, aside)
    aside.replace(file)
    return dagster.MaterializeResult(metadata={"reports": table.num_rows})


# endregion
