"""An Airflow DAG that keeps a lake of Parquet files up to date, every night."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task

from depotclient import DepotClient
from depotclient.export import Export, export_session_reports

CONNECTORS = [("CP-001", 1), ("CP-001", 2)]
LAKE = "/data/lake"


# region DOCS
async def export_days(from_: datetime, to: datetime) -> Export:
    """Write a file for each connector and day; days that are there and settled are skipped."""
    async with DepotClient.from_env() as depot:
        return await export_session_reports(
            depot, CONNECTORS, LAKE, from_=from_, to=to, window="day"
        )


@dag(schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_runs=1)
def depot_session_reports() -> None:
    """Copy the reports of the days before each run."""

    @task(retries=3)
    def export(data_interval_end: datetime | None = None) -> int:
        """Copy three days: reports may come until a day after the end of theirs."""
        to = data_interval_end or datetime.now(UTC)
        export = asyncio.run(export_days(to - timedelta(days=3), to))
        for connector in export.failed:
            raise RuntimeError(f"{connector.charger_id} is not complete") from connector.error
        return sum(connector.reports for connector in export.connectors)

    export()


# endregion

dag_of_the_file = depot_session_reports()
