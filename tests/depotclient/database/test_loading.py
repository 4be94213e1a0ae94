"""A load copies the reports of connectors into the tables of a database."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from depotclient import DepotClient
from depotclient.database import ConnectorLoad, load_session_reports
from depotclient.sandbox import DepotSandbox

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
ALL = [("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1")]


async def test_every_session_is_loaded_once(depot: DepotClient, target: str) -> None:
    first = await load_session_reports(depot, ALL, target, from_=JANUARY)
    second = await load_session_reports(depot, ALL, target, from_=JANUARY, to=FEBRUARY)

    assert [each.new for each in first.connectors] == [60, 60, 60]
    assert [each.new + each.changed for each in second.connectors] == [0, 0, 0]


async def test_a_connector_that_fails_does_not_stop_the_others(
    depot: DepotClient, target: str
) -> None:
    load = await load_session_reports(depot, [("UNKNOWN", "1"), *ALL], target, from_=JANUARY)

    assert [each.charger_id for each in load.failed] == ["UNKNOWN"]
    assert sum(each.new for each in load.connectors) == 180


async def test_events_are_loaded_even_if_the_stopped_run_before_left_them_out(
    depot: DepotClient, tmp_path: Path
) -> None:
    target = str(tmp_path / "depot.duckdb")

    def stop(load: ConnectorLoad) -> None:
        if load.new:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await load_session_reports(
            depot, ALL[:1], target, from_=JANUARY, events=False, on_progress=stop
        )
    await load_session_reports(depot, ALL[:1], target, from_=JANUARY)

    with duckdb.connect(target) as database:
        found = database.sql(
            "SELECT count(DISTINCT session_key) FROM meter_values"
            " UNION ALL SELECT count(*) FROM session_reports"
        ).fetchall()
    assert found == [(60,), (60,)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "s3://bucket"}, "target has the scheme"),
        ({"from_": datetime(2026, 1, 1)}, "from_ must be aware"),  # noqa: DTZ001
        ({"to": JANUARY}, "must be before to="),
        ({"from_": datetime(2999, 1, 1, tzinfo=UTC)}, "is in the future"),
        ({"from_": datetime(1, 1, 1, tzinfo=UTC)}, "year 2 or later"),
        ({"lag": 3}, "lag must be from 0 to 366 days"),
        ({"events": 1}, "events must be a bool"),
        ({"accept_deletions": "no"}, "accept_deletions must be a bool"),
        ({"concurrency": 0}, "concurrency must be an int >= 1"),
        ({"on_progress": None}, "on_progress must be a function"),
        ({"schema": ""}, "schema must be the name of a schema"),
        ({"target": "sqlite:///a.sqlite", "schema": "depot"}, "sqlite has no schemas"),
        ({"target": "postgresql://h/d", "schema": "ä" * 32}, "at most 63 bytes in PostgreSQL"),
        ({"connectors": "CP-001/1"}, "a connector must be a pair"),
    ],
)
async def test_a_wrong_argument_is_refused_before_any_request(
    sandbox: DepotSandbox, depot: DepotClient, options: dict[str, object], message: str
) -> None:
    given = {"connectors": ALL, "target": "depot.duckdb", "from_": JANUARY, **options}
    with pytest.raises(ValueError, match=message):
        await load_session_reports(depot, **given)  # type: ignore[arg-type]

    assert sandbox.requests == []


@pytest.mark.parametrize("driver", ["adbc_driver_postgresql", "duckdb", "pyarrow", "filelock"])
def test_a_missing_package_is_an_error_that_names_the_extra(driver: str) -> None:
    code = (
        f"import sys; sys.modules[{driver!r}] = None\n"
        "try:\n    import depotclient.database\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "pip install 'thor-depot-clients[database]'" in done.stdout
