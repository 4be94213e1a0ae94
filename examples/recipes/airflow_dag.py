"""Update a lake of Parquet files every night, with Airflow."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from airflow.sdk import dag, task

from depotclient import DepotClient
from depotclient.export import Export, export_session_reports

CONNECTORS = [("CP-001", 1), ("CP-001", 2)]
LAKE = "/data/lake"
START = datetime(2026, 1, 1, tzinfo=UTC)


async def export(to: datetime | None) -> Export:
    """Write a file for each connector and month. Skip files of closed windows."""
    async with DepotClient.from_env() as depot:
        return await export_session_reports(depot, CONNECTORS, LAKE, from_=START, to=to)


@dag(schedule="@daily", start_date=START, catchup=False, max_active_runs=1)
def depot_session_reports() -> None:
    """Export the reports since the last run. A run also covers the nights that were missed."""

    @task(retries=3)
    def copy(data_interval_end: datetime | None = None) -> int:
        """Export up to the end of the interval of the run."""
        done = asyncio.run(export(data_interval_end))
        for connector in done.failed:
            raise RuntimeError(f"{connector.charger_id} is not complete") from connector.error
        return sum(connector.reports for connector in done.connectors)

    copy()


dag_of_the_file = depot_session_reports()
