"""The benchmarks compare fairly, hold the library to its targets, and write only where they may."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from benchmarks import conduct
from benchmarks.backfill import Cost, duration, history, pages_of
from benchmarks.conduct import rotations
from benchmarks.contestants.register import PLACES, contestant_named
from benchmarks.tables import put, require_marks
from benchmarks.targets import TARGETS, Outcome, Target, misses, summary
from benchmarks.workloads import (
    DECODED,
    EXPORT,
    EXPORT_SPAN,
    FULL,
    SECONDS,
    SHORT,
    WALK,
    WORKLOADS,
    Entry,
    Sizes,
    Workload,
)
from depotclient.sandbox import DepotSandbox
from depotclient.sandbox.simulation import ReportShape, render, simulate_sessions
from tests.support.clients import client_of

ENTRIES = (Entry("a"), Entry("b"), Entry("c"))
FASTER = Target("speed", "W1", "seconds", "pydantic", "least", 1.5, "ours")
SMALLER = Target("memory", "W2", "growth", "ours", "most", 64.0)


def test_everybody_has_a_turn_in_each_round_and_each_begins_with_another() -> None:
    turns = [entry.name for _, entry in rotations(ENTRIES, 4)]
    assert "".join(turns) == "abcbcacababc"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_speaks_of_what_is_measured(target: Target) -> None:
    workload = workload_of(target.workload)
    named = {target.over, target.under, *(target.beside or ())} - {None}
    assert named <= {entry.name for entry in workload.entries}
    assert target.gauge in {gauge.key for gauge in workload.gauges}


def test_every_contestant_can_be_found() -> None:
    measured = {
        entry.contestant
        for workload in WORKLOADS
        for entry in workload.entries
        if entry.statement is None and workload.key != "W6 construction"
    }
    assert measured == set(PLACES)


@pytest.mark.parametrize(
    ("target", "reached", "nearly", "missed"),
    [(FASTER, 1.5, 1.21, 1.19), (SMALLER, 64.0, 80.0, 80.1)],
)
def test_a_figure_is_held_against_the_share_of_its_bound(
    target: Target, reached: float, nearly: float, missed: float
) -> None:
    assert target.is_met(reached)
    assert not target.is_met(nearly)
    assert target.is_met(nearly, 0.8)
    assert not target.is_met(missed, 0.8)


def test_a_ratio_is_that_of_two_medians() -> None:
    medians = {("W1", "pydantic", "seconds"): 3.0, ("W1", "ours", "seconds"): 2.0}
    assert FASTER.figure(medians) == 1.5


def test_a_miss_is_told_with_what_was_asked() -> None:
    found = [Outcome(FASTER, 1.3, None), Outcome(SMALLER, 60.0, None)]
    (line,) = misses(found, 1.0)
    assert "W1 speed: 1.30 x, which should be ≥ 1.5 x" in line
    assert misses(found, 0.8) == []
    assert summary(found, 1.0) == "1 of 2 targets met"
    assert summary(found, 0.8) == "1 of 2 targets met, 2 to 80% at least"


def timed(key: str) -> Workload:
    """A workload of one entry."""
    return Workload(key=key, title=key, entries=(Entry("ours"),), gauges=(SECONDS,))


def told_to_nobody(_: str) -> None:
    """Progress that is not looked at."""


def test_what_falls_short_is_measured_again_and_all_rounds_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter([1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0])
    slow, steady = timed("W1"), timed("W2")
    told: list[str] = []
    monkeypatch.setattr(conduct, "running_servers", lambda _: nullcontext())
    monkeypatch.setattr(
        conduct,
        "measured",
        lambda task: {"seconds": next(seconds) if task.workload == "W1" else 5.0},
    )
    results = conduct.run(
        [slow, steady],
        SHORT,
        2,
        told.append,
        again=3,
        doubt=lambda results: {"W1"} if results.medians()["W1", "ours", "seconds"] < 3 else set(),
    )
    assert [each["seconds"] for each in results.rounds["W1", "ours"]] == [1, 1, 3, 3, 3, 3]
    assert len(results.rounds["W2", "ours"]) == 2
    assert told.count("W1, again") == 2


def test_what_never_gets_good_is_measured_so_many_times_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conduct, "running_servers", lambda _: nullcontext())
    monkeypatch.setattr(conduct, "measured", lambda _: {"seconds": 1.0})
    results = conduct.run([timed("W1")], SHORT, 2, told_to_nobody, again=3, doubt=lambda _: {"W1"})
    assert len(results.rounds["W1", "ours"]) == 8


def test_tables_replace_only_what_stands_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- figures -->\nold\n<!-- end of figures -->\n\nafter\n")
    put(page, "new")
    text = "before\n\n<!-- figures -->\n\nnew\n\n<!-- end of figures -->\n\nafter\n"
    assert page.read_text() == text


@pytest.mark.parametrize(
    "text", ["", "<!-- figures -->", "<!-- end of figures --><!-- figures -->"]
)
def test_a_page_without_marks_is_refused_before_anything_is_measured(
    tmp_path: Path, text: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="<!-- figures -->"):
        require_marks(page)


def test_who_writes_parquet_writes_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    plans = simulate_sessions(0, *WALK, DECODED + 3)
    reports = [render(plan, ReportShape(8, 3, 4, 10)) for plan in plans]
    pages = [
        b'{"items":[' + b",".join(part) + b"]}" for part in (reports[:DECODED], reports[DECODED:])
    ]
    tables = []
    for entry in workload_of("W7").entries:
        file = tmp_path / f"{entry.contestant}.parquet"
        contestant_named(entry.contestant).write_parquet(pages, file)
        compressed = parquet.read_metadata(file).row_group(0).column(0).compression
        assert compressed == "ZSTD"
        tables.append(parquet.read_table(file))
    first, *others = tables
    assert first.num_rows == len(reports)
    for other in others:
        assert other.schema == first.schema
        assert without_absent_lists(other.to_pylist()) == first.to_pylist()


def without_absent_lists(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """To this library a list that is not there is empty; elsewhere it may be null."""
    for row in rows:
        for state in row["device_status"]:
            state["error_codes"] = state["error_codes"] or []
    return rows


@pytest.mark.parametrize("sizes", [FULL, SHORT], ids=["full", "short"])
def test_everything_that_is_exported_falls_into_the_span(sizes: Sizes) -> None:
    begin, end = (moment.timestamp() * 1000 for moment in EXPORT_SPAN)
    assert sizes.exported % EXPORT[1] == 0
    plans = simulate_sessions(0, *WALK, sizes.distinct)[: sizes.exported // EXPORT[1]]
    assert len(plans) * EXPORT[1] == sizes.exported
    assert all(begin <= plan.start < end for plan in plans)


@pytest.mark.parametrize(
    ("key", "asked", "taken"), [("W1", 5, 5), ("W6", 5, 21), ("W8", 5, 1), ("W8", 1, 1)]
)
def test_some_workloads_have_more_rounds_and_some_fewer(key: str, asked: int, taken: int) -> None:
    assert workload_of(key).rounds(asked) == taken


def workload_of(key: str) -> Workload:
    return next(workload for workload in WORKLOADS if workload.key == key)


# The simulation of a backfill.


def test_the_pages_of_a_simulated_window_are_those_of_the_walk() -> None:
    assert pages_of(0, 1000) == (0,)
    # A full page is followed by one with a larger limit, which holds its rows again.
    assert pages_of(10, 1000) == (10, 10, 0)
    assert pages_of(100, 1000) == (10, 80, 100, 0)
    # Pages of 8 MiB overlap by a row or more.
    assert pages_of(100, 208_000) == (10, 40, 39, 24, 0)
    assert max(pages_of(1000, 208_000)) == 40


async def test_a_window_takes_as_many_requests_as_its_simulation_says() -> None:
    async with (
        DepotSandbox(sessions=150, shape=ReportShape.small()) as sandbox,
        client_of(sandbox) as depot,
    ):
        reports = depot.session_reports("CP-001", "1", read_ahead=0)
        found = [len(page.reports) async for page in reports.pages()]
    assert sum(found) == 150
    assert len(sandbox.requests) == len(await asyncio.to_thread(pages_of, 150, 2000))


def test_one_slot_reads_page_after_page() -> None:
    cost = Cost(token=1.0, request=0.5, report=0.01)
    assert duration([[10, 0], [0]], 1, cost) == pytest.approx(1 + 0.5 + 0.1 + 0.5 + 1 + 0.5)
    assert duration([], 3, cost) == 0.0


def test_more_slots_share_the_partitions_until_each_has_one() -> None:
    cost = Cost(token=0.0, request=1.0, report=0.0)
    seconds = [duration([[10, 0]] * 4, slots, cost) for slots in (1, 2, 4, 8)]
    assert seconds == [8.0, 4.0, 2.0, 2.0]


def test_a_limit_of_the_rate_holds_for_all_slots_together() -> None:
    cost = Cost(token=0.0, request=0.1, report=0.0)
    assert duration([[0]] * 100, 50, cost, rate=10.0) == pytest.approx(9.9 + 0.1)


def test_a_history_is_the_same_each_time_and_has_the_asked_mean() -> None:
    counts = list(history(100, 36, 4.0, 1.0))
    assert counts == list(history(100, 36, 4.0, 1.0))
    assert sum(counts) / len(counts) == pytest.approx(4 * (365.25 / 12 + 2), rel=0.01)
