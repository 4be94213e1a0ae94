"""The command `thorclient analytics`, as its user sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from tests.support.commands import Command, Terminal, render
from thorclient import Analytics, RollingCounts
from thorclient.cli.analytics import render_analytics
from thorclient.cli.app import app
from thorclient.models import structure_analytics
from thorclient.sandbox import Fault, ThorSandbox

OpenThor = Callable[..., ThorSandbox]
Capture = pytest.CaptureFixture[str]

run = Command(app, "thorclient").run


@pytest.mark.parametrize("sandbox", [(), ("--sandbox",)])
def test_a_pipe_receives_one_json_object_for_each_chargebox(
    thor: ThorSandbox, sandbox: tuple[str, ...], capsys: Capture
) -> None:
    ids = thor.chargebox_ids[:2]
    assert run("analytics", *ids, ids[0], *sandbox) == 0
    out, err = capsys.readouterr()
    lines = {msgspec.json.decode(line)["id"]: line.encode() for line in out.splitlines()}
    assert {name: structure_analytics(line) for name, line in lines.items()} == {
        name: structure_analytics(thor.analytics(name)) for name in ids
    }
    assert (out.count("\n"), err) == (2, "")
    assert len(thor.requests) == (0 if sandbox else 2)


def test_a_failed_chargebox_does_not_stop_the_others(thor: ThorSandbox, capsys: Capture) -> None:
    assert run("analytics", "TB-0001", "nowhere", "TB-0002", "no\u202ewhere") == 1
    out, err = capsys.readouterr()
    results = {found["id"]: found for found in map(msgspec.json.decode, out.splitlines())}
    assert results.keys() == {"TB-0001", "nowhere", "TB-0002", "no\u202ewhere"}
    assert results["nowhere"].keys() == {"id", "error"}
    assert results["nowhere"]["error"].startswith("GET analytics/nowhere: 404 ChargeboxNotFound (")
    assert [line.rpartition(" (1 attempt, ")[0] for line in sorted(err.splitlines())] == [
        "error: GET analytics/no%E2%80%AEwhere: 404 ChargeboxNotFound",
        "error: GET analytics/nowhere: 404 ChargeboxNotFound",
    ]


def test_a_terminal_receives_a_table_in_the_order_of_the_ids(
    open_thor: OpenThor, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    ids = [f"TB-{n}" for n in range(9, 0, -1)]
    open_thor(chargeboxes=ids, faults=[Fault.status(503)])  # The first one arrives last.
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("analytics", *ids, "nowhere") == 1
    rows = screen.text.splitlines()
    assert [row.split()[0] for row in rows if row.startswith("TB-")] == ids
    assert max(map(len, rows)) <= 80
    assert capsys.readouterr().err.startswith("error: GET analytics/nowhere: ")


@pytest.mark.usefixtures("thor")
def test_the_table_has_the_results_before_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("analytics", "TB-0001", "..") == 2
    assert "TB-0001" in screen.text


def test_energy_is_shown_in_kwh() -> None:
    def counts(n: int) -> RollingCounts:
        return RollingCounts(last_7=n, last_30=n * 10, last_60=n * 1000)

    since = datetime(2020, 9, 3, 13, 41, 35, tzinfo=UTC)
    first = Analytics(counts(3), counts(0), counts(123_456), counts(2), active_since=since)
    second = Analytics(counts(1), counts(1), counts(0), counts(1))
    assert render(render_analytics({"TB-1": first, "[b]\x1b": second})) == [
        "Chargebox  Active since  Days  Charges  Disconnections  Energy kWh  Users",
        "─" * 73,
        "TB-1       2020-09-03       7        3               0       123.5      2",
        "                           30       30               0     1,234.6     20",
        "                           60    3,000               0   123,456.0  2,000",
        "",
        "[b]\\u001b  -                7        1               1         0.0      1",
        "                           30       10              10         0.0     10",
        "                           60    1,000           1,000         0.0  1,000",
    ]
