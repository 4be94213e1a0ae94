"""Runs of an export: with other options or spans, killed, or two at once."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest

from depotclient.export.runner import _ConnectorRun
from tests.support.clients import client_of
from tests.support.exported_nights import DAY, Nights
from tests.support.nights import at

JANUARY, FEBRUARY, MARCH = "2026-01", "2026-02", "2026-03"


# Other options.


@pytest.mark.parametrize("options", [{"verify": True}, {"margin": 2 * DAY}, {"refresh": True}])
async def test_closed_windows_are_read_again_with_other_options(
    nights: Nights, options: dict[str, Any]
) -> None:
    await nights.export("03-20 02:00")
    nights.add(7, "01-20 10:00")
    nights.correct(1, "01-05 10:30")
    assert (await nights.export("03-20 02:00")).skipped == 2
    assert nights.ids()[JANUARY] == [1]

    export = await nights.export("03-20 02:00", **options)
    assert (export.written, export.moved) == (3, (1,))
    assert nights.ids()[JANUARY] == [1, 7]


async def test_lag_is_the_time_in_which_a_change_is_found(nights: Nights) -> None:
    nights.add(7, "01-20 10:00")
    await nights.export("01-21 02:00")
    await nights.export("01-24 02:00")
    nights.correct(7, "01-20 11:00")
    assert (await nights.export("01-25 02:00", lag=2 * DAY)).moved == ()
    assert (await nights.export("01-25 02:00", lag=4 * DAY)).moved == (7,)
    # The window closes after the margin and the lag.
    nights.correct(7, "01-20 12:00")
    for now, moved in (("02-03 23:00", ()), ("02-04 01:00", (7,))):
        export = await nights.export(now, lag=2 * DAY)
        assert (export.moved, nights.ids()[JANUARY]) == (moved, [1, 7])


# Other spans.


async def test_a_stray_moves_when_the_span_takes_its_start_in(nights: Nights) -> None:
    nights.sandbox.time_filter = "end"
    nights.add(7, "01-05 12:00", "02-10 10:00")
    nights.add(8, "03-05 12:00", "02-10 10:00")
    february: dict[str, Any] = {"from_": at("02-01 00:00"), "to": at("03-01 00:00")}
    export = await nights.export("03-20 02:00", **february)
    assert (export.strays, nights.ids()) == ((7, 8), {FEBRUARY: [7, 8]})

    export = await nights.export("03-20 02:00", to=at("02-01 00:00"))
    assert (export.strays, nights.ids()) == ((8,), {JANUARY: [1, 7], FEBRUARY: [8]})

    export = await nights.export("03-20 02:00")
    assert (export.strays, export.skipped) == ((), 2)
    assert nights.ids() == {JANUARY: [1, 7], FEBRUARY: [], MARCH: [8]}


# Killed runs.


@pytest.mark.parametrize("session_id", [7, -1])
async def test_a_run_that_is_killed_between_two_files_loses_and_doubles_nothing(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, session_id: int
) -> None:
    nights.add(session_id, "01-31 23:40")
    # A second session with the id -1 hides that the first has moved.
    nights.add(-1, "02-01 00:30")
    await nights.export("02-01 02:00")
    before = nights.ids()
    nights.correct(session_id, "02-01 00:10")
    await nights.stop_after(1, monkeypatch, "02-01 20:00")
    between = nights.ids()
    assert between[JANUARY] == before[JANUARY]
    assert len(between[FEBRUARY]) == 2

    await nights.export("02-10 02:00", to=at("02-01 00:00"))
    assert nights.ids()[JANUARY] == [1]
    await nights.export("02-10 02:00")
    assert nights.ids() == {JANUARY: [1], FEBRUARY: between[FEBRUARY]}


async def stop_while_a_session_moves(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop an export between the two files of a session that moves from January to February."""
    nights.add(7, "01-31 23:40")
    await nights.export("03-20 02:00")
    nights.correct(7, "02-01 00:10")
    await nights.stop_after(1, monkeypatch, "03-20 02:00", refresh=True)


async def test_a_session_in_two_files_leaves_one_even_if_nothing_is_read(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stop_while_a_session_moves(nights, monkeypatch)
    assert nights.ids() == {JANUARY: [1, 7], FEBRUARY: [7], MARCH: []}
    for _ in range(2):
        export = await nights.export("03-20 02:00", to=at("03-01 00:00"))
        assert export.written == 0
        assert nights.ids() == {JANUARY: [1], FEBRUARY: [7], MARCH: []}


async def test_a_broken_file_is_named_even_if_nothing_is_read(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stop_while_a_session_moves(nights, monkeypatch)

    def refuse(*_: object) -> None:
        raise ValueError("broken")

    name = {"parquet": "parquet.ParquetFormat", "ndjson": "ndjson.NdjsonFormat"}[nights.format]
    monkeypatch.setattr(f"depotclient.export.{name}.read_sessions", refuse)
    export = await nights.try_to_export("03-20 02:00", to=at("03-01 00:00"))
    assert "does not match its manifest: move it away" in str(export.error)
    assert (export.skipped, export.missing) == (2, 0)


async def test_a_file_that_is_deleted_during_a_reading_is_read_whole_by_the_next_run(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.add(2, "01-20 10:00")
    await nights.export("01-20 20:00")
    walk = _ConnectorRun._walk

    async def delete(run: _ConnectorRun, *args: Any) -> int:
        size = await walk(run, *args)
        await asyncio.to_thread(shutil.rmtree, nights.folder)
        await asyncio.to_thread(nights.folder.mkdir)
        return size

    with monkeypatch.context() as patched:
        patched.setattr(_ConnectorRun, "_walk", delete)
        await nights.export("01-21 02:00")
    assert nights.ids() == {JANUARY: [2]}
    await nights.export("01-21 02:00")
    assert nights.ids() == {JANUARY: [1, 2]}


# Two runs at once.


@pytest.mark.parametrize(
    ("slow", "fast", "start"),
    [
        # The slow run began first, at the same time, or later.
        ("02-01 02:00", "02-01 03:00", "01-05 11:00"),
        ("02-01 02:00", "02-01 02:00", "01-05 11:00"),
        ("02-01 03:00", "02-01 02:00", "01-05 10:00"),
    ],
)
@pytest.mark.parametrize("has_files", [False, True])
async def test_two_runs_at_once_end_with_every_report(
    nights: Nights,
    monkeypatch: pytest.MonkeyPatch,
    slow: str,
    fast: str,
    start: str,
    has_files: bool,
) -> None:
    nights.add(2, "01-31 10:00")
    if has_files:
        await nights.export("01-31 20:00")
    nights.add(3, "01-31 21:00")
    read, may_commit = asyncio.Event(), asyncio.Event()
    walk = _ConnectorRun._walk

    async def wait(run: _ConnectorRun, *args: Any) -> int:
        size = await walk(run, *args)
        if run.job.depot is not nights.depot:
            read.set()
            await may_commit.wait()
        return size

    monkeypatch.setattr(_ConnectorRun, "_walk", wait)
    async with client_of(nights.sandbox) as other:
        first = Nights(nights.sandbox, other, nights.folder, nights.format)
        task = asyncio.create_task(first.export(slow))
        await read.wait()
        for number, time in ((4, "01-31 22:00"), (5, "01-31 23:00")):
            nights.add(number, time)
        await nights.export(fast)
        may_commit.set()
        await task
    assert nights.ids() == {JANUARY: [1, 2, 3, 4, 5], FEBRUARY: []}
    await nights.export("02-02 02:00")
    assert nights.ids() == {JANUARY: [1, 2, 3, 4, 5], FEBRUARY: []}
