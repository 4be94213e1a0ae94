"""Benchmarks: fair rounds, targets that exist, candidates that do the same work."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import picture
from benchmarks.candidates.pylist import wire_schema, with_attribute_names
from benchmarks.costs import Cost, scale
from benchmarks.instructions import format_counts, parse_count
from benchmarks.measure import load_candidate
from benchmarks.report import END, START, replace_figures
from benchmarks.runner import MeasurementFailed, Results, rotate
from benchmarks.targets import TARGETS, Target, measured_targets
from benchmarks.workloads import (
    BY_KEY,
    EXPORT,
    EXPORT_SPAN,
    FULL,
    LAG,
    LOAD,
    LOAD_SPAN,
    SCALE,
    SCALE_START,
    SCALES,
    SHORT,
    WALK,
    Row,
    Sizes,
    scale_end,
)
from depotclient.sandbox.simulation import ReportShape, render, simulate_sessions

FASTER = Target("speed", "W1", "seconds", "pydantic", ">=", 1.5, "ours")
SMALLER = Target("memory", "W2", "growth", "ours", "<=", 64.0)


def test_each_row_runs_once_per_round_and_each_round_starts_with_another() -> None:
    turns = [row.name for _, row in rotate([Row("a"), Row("b"), Row("c")], 4)]
    assert "".join(turns) == "abcbcacababc"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.title)
def test_a_target_names_rows_and_metrics_of_its_workload(target: Target) -> None:
    workload = BY_KEY[target.workload]
    assert {target.row, target.divisor} - {None} <= {row.name for row in workload.rows}
    assert target.metric in {metric.key for metric in workload.metrics}


@pytest.mark.parametrize(
    "name",
    sorted({row.candidate for w in BY_KEY.values() for row in w.rows if row.candidate}),
)
def test_every_candidate_exists(name: str) -> None:
    pytest.importorskip("pydantic")
    load_candidate(name)


@pytest.mark.parametrize(
    ("target", "met", "nearly_met", "missed"),
    [(FASTER, 1.5, 1.21, 1.19), (SMALLER, 64.0, 80.0, 80.1)],
)
def test_a_target_compares_a_ratio_of_medians_with_a_share_of_its_bound(
    target: Target, met: float, nearly_met: float, missed: float
) -> None:
    def reaches(figure: float, share: float) -> bool:
        medians = {(target.workload, target.row, target.metric): figure}
        if target.divisor:
            medians = {key: 2 * value for key, value in medians.items()}
            medians[target.workload, target.divisor, target.metric] = 2.0
        return target.is_met(medians, share)

    assert reaches(met, 1.0)
    assert not reaches(nearly_met, 1.0)
    assert reaches(nearly_met, 0.8)
    assert not reaches(missed, 0.8)


def test_results_report_the_median_of_all_rounds() -> None:
    results = Results(SHORT)
    results.rounds["W1", "ours"] += [{"seconds": 1.0}, {"seconds": 5.0}, {"seconds": 2.0}]
    assert results.medians() == {("W1", "ours", "seconds"): 2.0}


def test_the_instructions_of_a_process_are_in_the_output_of_valgrind() -> None:
    assert parse_count("==7== Events    : Ir\n==7== Collected : 1234567\n") == 1234567
    with pytest.raises(MeasurementFailed, match="Killed"):
        parse_count("Killed")
    last = format_counts({"ours": 500.0, "aiohttp-json": 400.0}).splitlines()[-1]
    assert last.split("|")[2:4] == [" 400                    ", " 0.800 x         "]


def test_a_report_replaces_only_the_text_between_the_marks(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n\n{START}\nold\n{END}\n\nafter\n")
    replace_figures(file, "new")
    assert file.read_text() == f"before\n\n{START}\n\nnew\n\n{END}\n\nafter\n"
    file.write_text(END + START)
    with pytest.raises(ValueError, match="has no marks"):
        replace_figures(file, "new")


def test_all_parquet_candidates_write_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    plans = simulate_sessions(0, *WALK, 43)
    reports = [render(plan, ReportShape(8, 3, 4, 10)) for plan in plans]
    pages = [b'{"items":[' + b",".join(part) + b"]}" for part in (reports[:40], reports[40:])]
    tables = []
    for row in BY_KEY["W7"].rows:
        file = tmp_path / "reports.parquet"
        load_candidate(row.candidate).write_parquet(pages, file)
        assert parquet.read_metadata(file).row_group(0).column(0).compression == "ZSTD"
        table = parquet.read_table(file)
        if row.name == "duckdb":  # which keeps the vendor's names, and microseconds
            table = with_attribute_names(table.cast(wire_schema(lambda kind: kind)))
        tables.append(table)
    first, *others = tables
    assert first.num_rows == len(reports)
    for other in others:
        assert other.schema == first.schema
        assert fill_missing_lists(other.to_pylist()) == first.to_pylist()


def fill_missing_lists(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace null lists by empty ones, as this library does."""
    for row in rows:
        for status in row["device_status"]:
            status["error_codes"] = status["error_codes"] or []
    return rows


@pytest.mark.parametrize("sizes", [FULL, SHORT], ids=["full", "short"])
def test_all_copied_sessions_start_within_the_span(sizes: Sizes) -> None:
    plans = simulate_sessions(0, *WALK, sizes.distinct)
    for total, (_, connectors), span in (
        (sizes.exported, EXPORT, EXPORT_SPAN),
        (sizes.loaded, LOAD, LOAD_SPAN),
    ):
        count, rest = divmod(total, connectors)
        assert rest == 0
        start, end = (moment.timestamp() * 1000 for moment in span)
        assert len(plans) >= count
        assert all(start <= plan.start < end for plan in plans[:count])


def test_all_sessions_of_the_scale_end_within_its_span() -> None:
    for count in SCALES[:2]:
        plans = simulate_sessions(0, SCALE, "1", count, start=SCALE_START)
        assert plans[-1].end < scale_end(count).timestamp() * 1000


def test_a_short_run_leaves_out_larger_rows_and_their_targets() -> None:
    workload = BY_KEY["W11"]
    names = [row.name for row in workload.rows_of(SHORT)]
    assert {row.reports for row in workload.rows_of(SHORT)} == {*SCALES[:2]}
    assert workload.rows_of(FULL) == [*workload.rows]
    medians = {("W11", name, key): 1.0 for name in names for key in ("per_report", "growth")}
    targets = measured_targets(medians)
    assert {target.row for target in targets} == {name for name in names if "10,000" in name}


def test_the_picture_of_the_scale_shows_the_measured_figures() -> None:
    figures = json.loads((picture.FOLDER / picture.FIGURES).read_text(encoding="utf-8"))
    text = (picture.FOLDER / picture.PICTURE).read_text(encoding="utf-8")
    assert picture.picture(figures) == text


def test_a_run_writes_figures_from_which_the_same_picture_is_drawn(tmp_path: Path) -> None:
    medians = {
        ("W11", row.name, metric.key): 1.23456 * row.reports
        for row in BY_KEY["W11"].rows
        for metric in BY_KEY["W11"].metrics
    }
    picture.write(tmp_path, picture.measured(medians))
    figures = json.loads((tmp_path / picture.FIGURES).read_text(encoding="utf-8"))
    assert figures["walk"] == {key: [1235.0, 12350.0, 123500.0] for key in ("per_report", "growth")}
    assert (tmp_path / picture.PICTURE).read_text(encoding="utf-8") == picture.picture(figures)


def test_a_second_night_reads_the_span_again() -> None:
    assert LOAD_SPAN[1] + timedelta(days=1) - LAG <= LOAD_SPAN[0]


def test_the_cost_of_more_connectors_grows_with_them_except_the_files_of_a_database() -> None:
    cost = Cost(requests=34, read=1000, seconds=2.5, files=10, stored=50)
    assert scale("folder", cost, 100) == Cost(3400, 100_000, 250.0, 1000, 5000)
    assert scale("load, DuckDB", cost, 100).files == 10
