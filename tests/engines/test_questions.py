"""The questions of the documentation have the same answers in every target of a copy."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

pytest.importorskip("adbc_driver_manager")
pytest.importorskip("polars")

import adbc_driver_duckdb.dbapi
import adbc_driver_postgresql.dbapi
import polars as pl

from depotclient import DeviceStatus, ErrorCode, MeterValue
from depotclient.database import load_session_reports
from depotclient.export import export_session_reports
from depotclient.partitions import Connector
from depotclient.sandbox import DepotSandbox, ReportShape, make_report
from tests.support.clients import client_of
from tests.support.examples import EXAMPLES, ROOT
from tests.support.postgres import PostgresServer

Rows: TypeAlias = list[tuple[Any, ...]]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
QUESTIONS = sorted(path.stem for path in (EXAMPLES / "questions").glob("*.sql"))
PAGE = (ROOT / "docs/how-to/questions.md").read_text(encoding="utf-8")
MIDNIGHT_IN_BERLIN = datetime(2026, 1, 31, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Allow blocking calls: Arrow imports pandas when it is first used."""


@attrs.frozen
class Copies:
    """Copies of the same depot.

    Attributes:
        folder: Folder of an export.
        duckdb: Path of a DuckDB file.
        postgres: Address of a PostgreSQL database.
    """

    folder: Path
    duckdb: Path
    postgres: str


def odd_reports() -> Iterator[bytes]:
    """Yield reports that a question may count wrongly."""
    hour = timedelta(hours=1)
    day = datetime(2026, 1, 20, tzinfo=UTC)
    # The month begins at midnight of the depot, not of UTC.
    yield make_report(1, session_time_start=MIDNIGHT_IN_BERLIN, vehicle_id="NEW MONTH")
    before = MIDNIGHT_IN_BERLIN - timedelta(milliseconds=1)
    yield make_report(2, session_time_start=before, vehicle_id="OLD MONTH")
    yield make_report(3, session_time_start=day, vehicle_id=None)
    yield make_report(4, session_time_start=None, session_time_end=day)
    yield make_report(5, session_time_start=day + hour, energy_soc_end=None, vehicle_id="A")
    yield make_report(6, session_time_start=day + 2 * hour, energy_charge_end=None, vehicle_id="A")
    yield make_report(7, session_time_start=day, session_time_end=day - hour, vehicle_id="A")
    yield make_report(-1, session_time_start=day + 3 * hour, vehicle_id="A")
    yield make_report(-1, session_time_start=day + 4 * hour, vehicle_id="A")
    errors = [
        *(ErrorCode("E1", 2, day), ErrorCode("E1", None, day), ErrorCode(None, 3, day)),
        ErrorCode("E2", 1, None),
    ]
    states = [DeviceStatus("ON", "Fan", errors), DeviceStatus("ON", None, [ErrorCode("E3")])]
    yield make_report(8, session_time_start=day, device_status=[*states, DeviceStatus("OFF")])


def odd_samples() -> Iterator[MeterValue]:
    """Yield currents without a voltage before them, between voltages, and at the same moment."""
    moments = [BEGIN + timedelta(seconds=second) for second in range(9)]
    yield MeterValue("present_current", 10.0, moments[0])
    yield MeterValue("present_voltage", 600.0, moments[1])
    yield MeterValue("present_current", 20.0, moments[2])
    yield MeterValue("present_voltage", 700.0, moments[3])
    yield MeterValue("present_voltage", 710.0, moments[3])
    yield MeterValue("present_voltage", None, moments[3])
    yield MeterValue("present_current", 30.0, moments[3])
    yield MeterValue("present_current", None, moments[4])
    yield MeterValue("present_current", 40.0, None)
    yield MeterValue("present_voltage", 800.0, None)
    # The order of the list is not the order of time.
    yield MeterValue("present_current", 50.0, moments[8])
    yield MeterValue("present_voltage", 650.0, moments[6])


async def copy(sandbox: DepotSandbox, connectors: Sequence[Connector], copies: Copies) -> None:
    """Load and export the connectors of a sandbox."""
    async with sandbox, client_of(sandbox) as depot:
        for target in (str(copies.duckdb), copies.postgres):
            load = await load_session_reports(depot, connectors, target, from_=BEGIN)
            assert not load.failed
        export = await export_session_reports(depot, connectors, copies.folder, from_=BEGIN)
        assert not export.failed


@pytest.fixture(scope="module")
def copies(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Copy a depot with odd reports."""
    folder = tmp_path_factory.mktemp("copies")
    made = Copies(folder / "lake", folder / "depot.duckdb", postgres_server.new_database())
    connectors: list[Connector] = [("CP-001", "1"), ("CP-001", "2")]
    sandbox = DepotSandbox(sessions=40, shape=ReportShape(40, 9, 4, 2))
    for report in odd_reports():
        sandbox.add("CP-001", "2", report)
    sandbox.correct("CP-001", "1", 100000004, session_meter_values=list(odd_samples()))
    asyncio.run(copy(sandbox, connectors, made))
    return made


def ask_by_sql(question: str, connect: Callable[..., Any], address: str) -> Rows:
    """Return the answer of a database."""
    text = (EXAMPLES / "questions" / f"{question}.sql").read_text(encoding="utf-8")
    with connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(text.rstrip().removesuffix(";"))  # The driver of PostgreSQL adds to it.
        rows: Rows = cursor.fetchall()
        return rows


def ask_by_polars(question: str, folder: Path) -> Rows:
    """Return the answer of the folder of an export."""
    program = runpy.run_path(str(EXAMPLES / "questions.py"))
    frame: pl.LazyFrame = program[question](program["read"](str(folder)))
    return frame.collect().rows()


def comparable(rows: Rows) -> list[tuple[str, ...]]:
    """Return rows in one order, whatever the types and the order of nulls."""
    return sorted(tuple(map(_comparable, row)) for row in rows)


def _comparable(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return f"{value:.6f}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_the_same_answer_in_duckdb_postgresql_and_polars(
    question: str, copies: Copies
) -> None:
    duckdb = ask_by_sql(question, adbc_driver_duckdb.dbapi.connect, str(copies.duckdb))
    postgres = ask_by_sql(question, adbc_driver_postgresql.dbapi.connect, copies.postgres)
    polars = ask_by_polars(question, copies.folder)

    assert len(duckdb) > 2
    assert comparable(duckdb) == comparable(postgres) == comparable(polars)


def test_a_month_begins_at_midnight_of_the_depot(copies: Copies) -> None:
    rows = ask_by_sql("energy", adbc_driver_duckdb.dbapi.connect, str(copies.duckdb))
    months = {row[0]: row[1] for row in rows}
    assert months["OLD MONTH"] == date(2026, 1, 1)
    assert months["NEW MONTH"] == date(2026, 2, 1)


def test_a_current_is_multiplied_by_the_last_voltage_before_it(copies: Copies) -> None:
    rows = ask_by_sql("power", adbc_driver_duckdb.dbapi.connect, str(copies.duckdb))
    assert [power for _, power in rows] == [12.0, 21.3, None, 32.5]


# The page.


@pytest.fixture(scope="module")
def sandbox_copy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Load the sandbox as the page does."""
    target = str(tmp_path_factory.mktemp("page") / "depot.duckdb")

    async def load() -> None:
        async with DepotSandbox() as sandbox, client_of(sandbox) as depot:
            connectors = [(c, name) for c, names in sandbox.chargers.items() for name in names]
            assert not (await load_session_reports(depot, connectors, target, from_=BEGIN)).failed

    asyncio.run(load())
    return target


def table_of(rows: Rows) -> list[str]:
    """Return rows as the page shows them."""
    return [f"| {' | '.join(map(_shown, row))} |" for row in rows]


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_page_shows_the_first_rows_of_the_answer(question: str, sandbox_copy: str) -> None:
    [section] = [part for part in PAGE.split("\n## ") if f"{question}.sql\n:" in part]
    shown = [line for line in section.splitlines() if line.startswith("| ")][1:]

    rows = ask_by_sql(question, adbc_driver_duckdb.dbapi.connect, sandbox_copy)

    assert shown == table_of(rows[: max(3, len(shown))])
