"""The load into a database as a user writes it, for type checkers. Nothing runs this file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import assert_type

from depotclient import ApiError, DepotClient
from depotclient.database import ConnectorLoad, Load, load_session_reports, parse_target


async def load_reports(depot: DepotClient, progress: list[ConnectorLoad]) -> None:
    """Load with all options."""
    load = await load_session_reports(
        depot,
        [("CP-001", 1), ("CP-001", "2")],
        parse_target("postgresql://db.example/depot"),
        from_=datetime(2026, 1, 1, tzinfo=UTC),
        to=datetime(2026, 2, 1, tzinfo=UTC),
        lag=timedelta(days=3),
        events=False,
        schema="depot",
        accept_deletions=True,
        concurrency=2,
        on_progress=progress.append,
    )
    assert_type(load, Load)
    assert_type(load.failed, tuple[ConnectorLoad, ...])
    assert_type(load.connectors[0].error, ApiError | OSError | None)
    assert_type(load.connectors[0].new, int)
    assert_type(load.connectors[0].vanished, tuple[int | None, ...])
    await load_session_reports(depot, [], Path("depot.duckdb"), from_="2026")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
