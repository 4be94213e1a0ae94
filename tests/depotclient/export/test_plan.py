"""Plans of an export: which windows are read whole, from the last reading on, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from depotclient.export.manifest import Manifest
from depotclient.export.plan import CalendarWindow, Options, plan_readings, span_of
from depotclient.sandbox import DepotSandbox
from depotclient.sessions import Session
from tests.support.clients import client_of
from tests.support.exported_nights import DAY, Nights
from tests.support.nights import at

DECEMBER, JANUARY, FEBRUARY, MARCH = (
    CalendarWindow.of(name, "month") for name in ("2025-12", "2026-01", "2026-02", "2026-03")
)
HOUR = DAY / 24
NIGHT = datetime(2026, 2, 10, 2, tzinfo=UTC)
"""January is closed, and February is open."""
GONE = Session(7, JANUARY.start, None, key=1)


def manifest_of(window: CalendarWindow, read_at: datetime, **fields: Any) -> Manifest:
    manifest = Manifest(
        library="thor-depot-clients 1.0.0",
        charger_id="CP-001",
        connector_id="1",
        window=window.name,
        from_=f"{window.start - DAY:%Y-%m-%dT00:00:00.000Z}",
        to=f"{window.end + DAY:%Y-%m-%dT00:00:00.000Z}",
        verify=False,
        read_at=read_at,
        reports=0,
        bytes_read=0,
        missing_start={},
    )
    return msgspec.structs.replace(manifest, **fields)


def plan(
    read_at: dict[CalendarWindow, datetime], now: datetime = NIGHT, **options: Any
) -> list[tuple[str, datetime, datetime]]:
    """Return the windows and the query of each reading of January and February."""
    manifests = {window.name: manifest_of(window, time) for window, time in read_at.items()}
    given = Options(**{"margin": DAY, **options})
    readings = plan_readings([JANUARY, FEBRUARY], manifests, now, given)
    return [(reading.name, reading.from_, reading.to) for reading in readings]


WHOLE_JANUARY = ("window 2026-01", JANUARY.start - DAY, JANUARY.end + DAY)
WHOLE_FEBRUARY = ("window 2026-02", FEBRUARY.start - DAY, NIGHT)


@pytest.mark.parametrize(
    ("read_at", "now", "expected"),
    [
        pytest.param({}, NIGHT, [WHOLE_JANUARY, WHOLE_FEBRUARY], id="no files"),
        pytest.param({JANUARY: NIGHT}, NIGHT, [WHOLE_FEBRUARY], id="one file"),
        pytest.param(
            {JANUARY: NIGHT, FEBRUARY: NIGHT - DAY},
            NIGHT,
            [("window 2026-02", NIGHT - 2 * DAY, NIGHT)],
            id="last night",
        ),
        pytest.param(
            {JANUARY: JANUARY.end + DAY - HOUR, FEBRUARY: NIGHT - DAY},
            NIGHT,
            [WHOLE_JANUARY, ("window 2026-02", NIGHT - 2 * DAY, NIGHT)],
            id="January closed later",
        ),
        pytest.param(
            {JANUARY: JANUARY.end - 22 * HOUR},
            JANUARY.end + 2 * HOUR,
            [("windows 2026-01 to 2026-02", JANUARY.end - 46 * HOUR, JANUARY.end + 2 * HOUR)],
            id="first night of February",
        ),
        pytest.param(
            {JANUARY: JANUARY.end + 2 * HOUR, FEBRUARY: JANUARY.end + 2 * HOUR},
            JANUARY.end + 26 * HOUR,
            [("windows 2026-01 to 2026-02", JANUARY.start - DAY, JANUARY.end + 26 * HOUR)],
            id="January closes",
        ),
        pytest.param(
            {JANUARY: NIGHT + HOUR, FEBRUARY: NIGHT},
            NIGHT,
            [WHOLE_JANUARY, ("window 2026-02", NIGHT - DAY, NIGHT)],
            id="read in the future",
        ),
        pytest.param(
            {},
            JANUARY.start - 9 * DAY,
            [
                (f"window {window.name}", first, first + timedelta(milliseconds=1))
                for window in (JANUARY, FEBRUARY)
                for first in [window.start - DAY]
            ],
            id="clock set back",
        ),
    ],
)
def test_a_plan_reads_only_what_can_have_changed(
    read_at: dict[CalendarWindow, datetime], now: datetime, expected: object
) -> None:
    assert plan(read_at, now) == expected


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, []),
        ({"margin": timedelta()}, []),
        ({"margin": 2 * DAY}, ["window 2026-01"]),
        ({"verify": True}, ["window 2026-01"]),
        ({"refresh": True}, ["window 2026-01"]),
        ({"lag": 8 * DAY}, []),
        # The window is open again, so its tail is read.
        ({"lag": 9 * DAY}, ["window 2026-01"]),
    ],
)
def test_a_closed_window_is_read_again_with_other_options(
    options: dict[str, Any], names: list[str]
) -> None:
    read_at = {JANUARY: NIGHT, FEBRUARY: FEBRUARY.end + 30 * DAY}
    manifests = {window.name: manifest_of(window, time) for window, time in read_at.items()}
    given = Options(**{"margin": DAY, **options})
    readings = plan_readings([JANUARY], manifests, NIGHT, given)
    assert [reading.name for reading in readings] == names


def test_a_verified_run_reads_an_open_window_whole() -> None:
    manifests = {FEBRUARY.name: manifest_of(FEBRUARY, NIGHT - DAY, verify=True)}
    (reading,) = plan_readings([FEBRUARY], manifests, NIGHT, Options(DAY, verify=True))

    assert reading.from_ == FEBRUARY.start - DAY


@pytest.mark.parametrize(("vanished", "count"), [((), 0), ((GONE,), 1)])
def test_accepted_deletions_are_confirmed_by_a_reading(
    vanished: tuple[Session, ...], count: int
) -> None:
    manifests = {JANUARY.name: manifest_of(JANUARY, NIGHT, vanished=vanished)}
    options = Options(DAY, accept_deletions=True)
    assert len(plan_readings([JANUARY], manifests, NIGHT, options)) == count


@pytest.mark.parametrize(
    ("held", "start", "end"),
    [
        ([], FEBRUARY.start, FEBRUARY.end),
        ([MARCH, JANUARY, DECEMBER], DECEMBER.start, MARCH.end),
        ([DECEMBER], FEBRUARY.start, FEBRUARY.end),
    ],
)
def test_a_span_contains_the_adjacent_windows_with_files(
    held: list[CalendarWindow], start: datetime, end: datetime
) -> None:
    span = span_of([FEBRUARY], held, DAY)
    assert (span.start, span.end) == (start, end)


async def test_61_nights_read_three_times_the_data(tmp_path: Path) -> None:
    size = 0
    async with DepotSandbox(chargers={}) as sandbox, client_of(sandbox) as depot:
        nights = Nights(sandbox, depot, tmp_path, "ndjson")
        for number in range(61):
            day = at("01-01 00:00") + number * DAY
            for session in range(4):
                start = day + session * DAY / 4
                nights.add(4 * number + session, f"{start:%Y-%m-%d %H:%M}")
            export = await nights.export(f"{day + DAY + 2 * HOUR:%Y-%m-%d %H:%M}")
            size += export.bytes_read
        assert sum(map(len, nights.ids().values())) == 61 * 4
        data = sum(map(len, sandbox.reports("CP-001", "1")))
        assert size <= 3 * data
