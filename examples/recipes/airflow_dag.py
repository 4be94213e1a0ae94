"""An Airflow DAG that keeps a lake of Parquet files up to date, every night."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from airflow.sdk import dag, task

from depotclient import DepotClient
from depotclient.export import Export, export_session_reports

CONNECTORS = [("CP-001", 1), ("CP-001", 2)]
LAKE = "/data/lake"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


# region DOCS
async def export(to: datetime | None) -> Export:
    """Write a file for each connector and month; those that are there and settled are skipped."""
    async with DepotClient.from_env() as depot:
        return await export_session_reports(depot, CONNECTORS, LAKE, from_=BEGIN, to=to)


@dag(schedule="@daily", start_date=BEGIN, catchup=False, max_active_runs=1)
def depot_session_reports() -> None:
    """Copy what has come since the last run; nights that were missed are made up for."""

    @task(retries=3)
    def copy(data_interval_end: datetime | None = None) -> int:
        """Copy up to the end of the run's interval."""
        done = asyncio.run(export(data_interval_end))
        for connector in done.failed:
            raise RuntimeError(f"{connector.charger_id} is not complete") from connector.error
        return sum(connector.reports for connector in done.connectors)

    copy()


# endregion

dag_of_the_file = depot_session_reports()
