"""Content of the files: each session as the last reading that covered it returned it."""

from __future__ import annotations

from pathlib import Path

import pytest

from depotclient.export.formats import FORMATS
from depotclient.sandbox import DepotSandbox
from tests.support.clients import client_of
from tests.support.exported_nights import Nights
from tests.support.nights import at

JANUARY, FEBRUARY = "2026-01", "2026-02"


# Moved sessions.


@pytest.mark.parametrize(
    ("start", "corrected", "expected"),
    [
        ("01-31 23:40", "02-01 00:10", {JANUARY: [1], FEBRUARY: [7]}),
        ("02-01 00:10", "01-31 23:40", {JANUARY: [1, 7], FEBRUARY: []}),
        ("01-31 10:00", "01-31 12:00", {JANUARY: [1, 7], FEBRUARY: []}),
    ],
)
@pytest.mark.parametrize("now", ["02-01 20:00", "02-02 02:00"])
async def test_a_corrected_start_moves_the_session(
    nights: Nights, start: str, corrected: str, expected: object, now: str
) -> None:
    nights.add(7, start)
    await nights.export("02-01 02:00")
    nights.correct(7, corrected)
    export = await nights.export(now)
    assert (export.moved, export.vanished, nights.ids()) == ((7,), (), expected)
    assert (await nights.export(now)).moved == ()
    assert nights.ids() == expected


async def test_two_sessions_with_one_id_are_two_sessions(nights: Nights) -> None:
    for start in ("01-30 10:00", "01-31 10:00"):
        nights.add(-1, start)
    await nights.export("01-31 12:00")
    nights.add(-1, "02-01 10:00")
    export = await nights.export("02-01 12:00")
    assert (export.moved, nights.ids()) == ((), {JANUARY: [-1, -1, 1], FEBRUARY: [-1]})


# Vanished sessions.


@pytest.mark.parametrize("new", [(), ("01-21 11:00", "01-21 12:00")])
@pytest.mark.parametrize("accepted_at", ["01-22 02:00", "03-20 02:00"])
async def test_a_vanished_session_is_kept_and_named_until_its_deletion_is_accepted(
    nights: Nights, new: tuple[str, ...], accepted_at: str
) -> None:
    nights.add(7, "01-20 10:00")
    await nights.export("01-21 02:00")
    nights.remove(7)
    for number, start in enumerate(new, start=8):
        nights.add(number, start)
    others = [*range(8, 8 + len(new))]

    for now in ("01-22 02:00", "01-22 03:00", "03-20 01:00"):
        export = await nights.export(now, to=at("02-01 00:00"))
        assert (export.vanished, nights.ids()) == ((7,), {JANUARY: [1, 7, *others]})
    for vanished in ((7,), ()):
        export = await nights.export("03-20 02:00", to=at("02-01 00:00"), accept_deletions=True)
        assert (export.vanished, nights.ids()) == (vanished, {JANUARY: [1, *others]})


async def test_a_vanished_session_that_comes_again_is_a_session_like_others(nights: Nights) -> None:
    nights.remove(1)
    nights.add(7, "01-05 10:00")
    await nights.export("01-06 02:00")
    nights.remove(7)
    assert (await nights.export("01-06 03:00")).vanished == (7,)
    nights.add(7, "01-05 10:00")
    assert (await nights.export("01-06 04:00")).vanished == ()
    assert nights.ids() == {JANUARY: [7]}


async def test_a_vanished_session_moves_when_its_id_comes_with_another_start(
    nights: Nights,
) -> None:
    nights.add(7, "01-20 10:00")
    await nights.export("03-20 02:00")
    nights.remove(7)
    assert (await nights.export("03-20 02:00", refresh=True)).vanished == (7,)
    nights.add(7, "03-20 10:00")
    export = await nights.export("03-21 02:00")
    assert (export.moved, export.vanished) == ((7,), ())
    assert nights.ids() == {JANUARY: [1], FEBRUARY: [], "2026-03": [7]}


async def test_a_session_moves_even_if_another_reading_of_the_same_run_brings_its_new_start(
    nights: Nights,
) -> None:
    nights.add(7, "01-20 10:00")
    await nights.export("02-20 02:00")
    nights.correct(7, "02-10 10:00")
    export = await nights.export("02-21 02:00", refresh=True)
    assert (export.moved, export.vanished) == ((7,), ())
    assert nights.ids() == {JANUARY: [1], FEBRUARY: [7]}


# Strays.


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1970-01-01 00:00:10", "02-10 10:00", {JANUARY: [1], FEBRUARY: [7]}),
        ("0001-01-01 00:00:00", "01-10 10:00", {JANUARY: [1, 7], FEBRUARY: []}),
        ("2000-01-01 00:00:00", "01-10 10:00", {JANUARY: [1, 7], FEBRUARY: []}),
        ("2036-02-07 06:28:16", "01-10 10:00", {JANUARY: [1, 7], FEBRUARY: []}),
        (None, "02-10 10:00", {JANUARY: [1], FEBRUARY: [7]}),
        # A vehicle was parked for longer than the margin.
        ("2025-12-05 10:00", "02-10 10:00", {JANUARY: [1], FEBRUARY: [7]}),
        ("01-05 12:00", "02-10 10:00", {JANUARY: [1, 7], FEBRUARY: []}),
        # An ordinary session of December.
        ("2025-12-31 20:00", "01-01 03:00", {JANUARY: [1], FEBRUARY: []}),
    ],
)
async def test_a_report_is_in_the_window_of_its_start_or_else_of_its_end(
    start: str | None, end: str, expected: object, tmp_path: Path
) -> None:
    for format_ in FORMATS:
        # The server returns what ended in the window.
        async with (
            DepotSandbox(chargers={}, time_filter="end") as sandbox,
            client_of(sandbox) as depot,
        ):
            nights = Nights(sandbox, depot, tmp_path / format_, format_)
            nights.add(1, "01-05 10:00")
            nights.add(7, start, end)
            for now in ("02-11 02:00", "02-11 03:00"):
                export = await nights.export(now)
                is_stray = start is None or not start.startswith(("01-", "2025-12-31"))
                assert (export.strays, nights.ids()) == ((7,) * is_stray, expected)
