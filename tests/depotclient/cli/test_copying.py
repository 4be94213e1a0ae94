"""Progress of the commands that copy reports."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from depotclient.cli.copying import Bar, CopyCommand, CopyProgress
from depotclient.export import ConnectorExport, Export
from evtransport import ConnectionFailed


async def never() -> Export:
    raise AssertionError("called")


COMMAND = CopyCommand[ConnectorExport](
    never,
    kept="the files are complete",
    columns={},
    count=lambda exports: f"{sum(export.written for export in exports)} months",
    bar=lambda export: Bar(export.written, export.windows, f"{export.left} left"),
)


def export(name: str, written: int, error: ConnectionFailed | None = None) -> ConnectorExport:
    missing = 2 - written if error else 0
    return ConnectorExport(
        name, "1", 2, written, missing=missing, reports=1000, bytes_read=30_000_000, error=error
    )


@pytest.fixture
def times() -> Iterator[float]:
    """Times of the clock: a minute apart."""
    return iter(range(0, 6000, 60))


def test_the_summary_counts_what_is_done_in_all_connectors(times: Iterator[float]) -> None:
    progress = CopyProgress(COMMAND, 1200, clock=lambda: next(times))
    assert progress.summary() == (
        "after 0:01:00: 0 of 1,200 connectors complete, 0 months, 0 reports, 0.0 MB, 0.0 MB/s"
    )
    for result in (
        export("a", 1),
        export("a", 2),
        export("b", 1),
        export("c", 0, ConnectionFailed()),
    ):
        progress.show(result)
    assert progress.summary() == (
        "after 0:02:00: 1 of 1,200 connectors complete, 1 failed, 3 months, 3,000 reports, 90.0 MB,"
        " 0.8 MB/s"
    )


def test_a_terminal_shows_a_bar_for_all_connectors_and_for_each_in_progress(
    times: Iterator[float],
) -> None:
    columns = (TextColumn("{task.description}"), TextColumn("{task.fields[progress]}"))
    display = Progress(*columns, console=Console(file=io.StringIO()))
    progress = CopyProgress(COMMAND, 3, display, clock=lambda: next(times))
    shown = []
    for result in (export("a", 1), export("a", 2), export("b", 1)):
        progress.show(result)
        shown.append([(task.description, task.completed, task.total) for task in display.tasks])
    assert shown == [
        [("all", 0, 3), ("a/1", 1, 2)],
        [("all", 1, 3)],
        [("all", 1, 3), ("b/1", 1, 2)],
    ]
    text = display.tasks[-1].fields["progress"]
    assert text == "  1,000 reports   0.5 MB/s 1 left"
