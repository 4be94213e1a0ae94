"""Five nights of a dlt pipeline leave the sessions of the depot in its table, once each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from depotclient import DepotClient
from depotclient.partitions import Connector
from depotclient.sandbox.store import TimeFilter
from tests.support.copies import follow
from tests.support.fleet import settings_of
from tests.support.nights import BEGIN, Contents, NightlyDepot, Row

pytest.importorskip("dlt", reason="dlt is not installed")

import dlt
import pyarrow as pa
import pyarrow.compute as pc

from depotclient.dlt import Rows, session_reports

pytestmark = pytest.mark.usefixtures("dlt_settings")

TIMES = ("session_time_start", "session_time_end")
COLUMNS = ("charger_id", "connector_id", "session_id", *TIMES, "energy_soc_end")


@attrs.define
class Table:
    """Table of a pipeline, as a target of copies.

    Attributes:
        nightly: Depot.
        destination: Destination of the pipeline.
        rows: Function that returns the rows of the table.
        options: Options of the runs.
        kind: Kind of the rows.
    """

    nightly: NightlyDepot
    destination: Any
    rows: Callable[[], Counter[Row]]
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    kind: Rows = "arrow"

    @property
    def pipeline(self) -> dlt.Pipeline:
        """Return the pipeline of a new process."""
        return dlt.pipeline("fleet", destination=self.destination, dataset_name="depot")

    async def copy(
        self, depot: DepotClient, connectors: Sequence[Connector]
    ) -> Sequence[Exception | None]:
        """Run the pipeline."""
        settings = settings_of(self.nightly.sandbox)
        reports = session_reports(connectors, BEGIN, depot.now(), settings=settings, rows=self.kind)
        await asyncio.to_thread(lambda: self.pipeline.run(reports, **self.options))
        return []

    def read(self) -> Contents:
        """Return the rows of the table. It does not mark vanished sessions."""
        return Contents(self.rows())

    def truth(self, depot: NightlyDepot) -> Contents:
        """Return the rows that the table must hold."""
        truth = depot.truth()
        return Contents(truth.present + truth.vanished)


def rows_of(table: pa.Table, meter_values: Iterable[Any]) -> Counter[Row]:
    assert table["deleted"].null_count == len(table)
    columns = [table[name].to_pylist() for name in COLUMNS]
    return Counter(map(Row, *columns, meter_values))


@pytest.mark.parametrize(
    "time_filter",
    ["start", *(pytest.param(name, marks=pytest.mark.slow) for name in ("end", "overlap"))],
)
async def test_a_duckdb_table_holds_the_truth_after_each_night(time_filter: TimeFilter) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")

    def rows() -> Counter[Row]:
        text = "select *, json_array_length(session_meter_values) as n from depot.session_reports"
        with duckdb.connect("fleet.duckdb") as connection:
            connection.sql("set timezone = 'UTC'")
            table: pa.Table = connection.sql(text).to_arrow_table()
        return rows_of(table, table["n"].to_pylist())

    depot = NightlyDepot(options={"time_filter": time_filter})
    await follow(depot, Table(depot, dlt.destinations.duckdb("fleet.duckdb"), rows))


@pytest.mark.skipif(
    tuple(map(int, dlt.__version__.split(".")[:2])) < (1, 31),
    reason="dlt removes no rows of Delta tables before 1.31",
)
async def test_a_delta_table_holds_the_truth_after_each_night(tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake", reason="deltalake is not installed")

    def rows() -> Counter[Row]:
        files = deltalake.DeltaTable(tmp_path / "lake/depot/session_reports")
        table: pa.Table = files.to_pyarrow_table()
        return rows_of(table, pc.list_value_length(table["session_meter_values"]).to_pylist())

    depot, lake = NightlyDepot(), dlt.destinations.filesystem((tmp_path / "lake").as_uri())
    await follow(depot, Table(depot, lake, rows, {"table_format": "delta"}))


@pytest.mark.slow
async def test_a_postgresql_table_holds_the_truth_after_each_night(postgres_address: str) -> None:
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    text = f"""
        select {", ".join(COLUMNS)}, (
            select count(*) from session_reports__session_meter_values as events
            where events._dlt_parent_id = reports._dlt_id
        )
        from session_reports as reports where deleted is null
    """  # noqa: S608

    def rows() -> Counter[Row]:
        with table.pipeline.sql_client() as client:
            return Counter(Row(*values) for values in client.execute_sql(text) or ())

    depot = NightlyDepot()
    # dlt wants a password, which the server ignores.
    destination = dlt.destinations.postgres(postgres_address.replace("@", ":unused@"))
    table = Table(depot, destination, rows, kind="objects")
    await follow(depot, table)
