"""The `thorclient` command, as its user sees it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import attrs
import msgspec
import pytest
from rich.console import Console, RenderableType

from tests.support.commands import Command, Terminal, sandboxes
from thorclient import (
    Analytics,
    Chargebox,
    ChargeboxType,
    Connector,
    Coordinates,
    RollingCounts,
    Secret,
)
from thorclient.cli import app, render_analytics, render_chargebox, render_chargeboxes
from thorclient.models import structure_analytics, structure_chargebox
from thorclient.sandbox import Fault, ThorSandbox

OpenThor = Callable[..., ThorSandbox]
Capture = pytest.CaptureFixture[str]

COMMAND = Command(app, "thorclient")
run = COMMAND.run


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the key, and let tables have 80 columns without colours."""
    monkeypatch.delenv("THOR_API_KEY", raising=False)
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def open_thor(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenThor]:
    """Start sandboxes with settings. The environment directs clients to the last one."""
    with sandboxes(monkeypatch) as start:
        yield lambda **settings: start(ThorSandbox(**settings))


@pytest.fixture
def thor(open_thor: OpenThor) -> ThorSandbox:
    """A sandbox with 20 chargeboxes."""
    return open_thor()


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


def render(view: RenderableType) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=80).print(view)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


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


def test_a_chargebox_is_one_json_object_with_masked_tokens(
    thor: ThorSandbox, capsys: Capture
) -> None:
    for chargebox_id in thor.chargebox_ids:
        assert run("chargebox", chargebox_id) == 0
        out, err = capsys.readouterr()
        assert (out.count("\n"), err) == (1, "")
        expected = msgspec.json.decode(thor.chargebox(chargebox_id))
        found = msgspec.json.decode(out)
        assert {connector.pop("token") for connector in found["connectors"]} == {"**********"}
        assert all(connector.pop("token") not in out for connector in expected["connectors"])
        heartbeat = datetime.fromisoformat(found.pop("last_heartbeat"))
        assert round(heartbeat.timestamp() * 1000) == expected.pop("last_heartbeat")
        assert found == expected


def test_the_options_select_chargeboxes(open_thor: OpenThor, capsys: Capture) -> None:
    sandbox = open_thor(chargeboxes=100)
    assert run("chargeboxes", "--type", "ccs", "--within", "44,11,45,12") == 0
    found = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert {box["timezone"] for box in found} == {"Europe/Rome"}
    assert all("ccs" in [each["type"] for each in box["connectors"]] for box in found)
    assert {each["token"] for box in found for each in box["connectors"]} == {"**********"}

    assert run("chargeboxes", "--all", "--json") == 0
    found = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert tuple(box["id"] for box in found) == sandbox.chargebox_ids


def test_a_terminal_receives_one_row_for_each_chargebox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("chargeboxes", "--sandbox") == 0
    assert max(map(len, screen.text.splitlines())) <= 80


def test_a_chargebox_is_a_row_with_the_types_of_its_connectors() -> None:
    first = attrs.evolve(BOX, alias="Depot")
    assert render(render_chargeboxes([first, Chargebox(id="TB-2")])) == [
        "Chargebox  Alias  Active  Connected  Last heartbeat    Connectors",
        "─" * 71,
        "TB-1       Depot  yes     no         2026-06-01 12:30  type_2, new_plug",
        "TB-2       -      -       -          -                 -",
    ]
    assert render(render_chargeboxes([])) == ["No chargeboxes."]


def test_a_terminal_receives_a_readable_chargebox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("chargebox", "TB-0001", "--sandbox") == 0
    assert screen.text.startswith("Chargebox       TB-0001")
    assert max(map(len, screen.text.splitlines())) <= 80


BOX = Chargebox(
    id="TB-1",
    alias="[red]Depot[/red]\x1b[2J",
    active=True,
    connected=False,
    last_heartbeat=datetime(2026, 6, 1, 12, 30, 15, tzinfo=UTC),
    coordinates=Coordinates(44.5, 11.25),
    type=ChargeboxType(vehicle="car", msg="json", version="1.6"),
    connectors=[
        Connector(22_000, "type_2", "CABLE", 32, "AC_3_PHASE", "012345678901234", Secret("s3cret")),
        Connector(power=7.4, type="new_plug"),
    ],
    occupied_connectors=[1, {"id": "x\x9b"}],
)


def test_a_chargebox_is_shown_with_one_line_for_each_field() -> None:
    assert render(render_chargebox(BOX)) == [
        "Chargebox       TB-1",
        "Alias           [red]Depot[/red]\\u001b[2J",
        "Active          yes",
        "Connected       no",
        "Public          -",
        "Reservable      -",
        "Last heartbeat  2026-06-01 12:30:15 UTC",
        "Time zone       -",
        "Coordinates     44.5, 11.25",
        "Type            car, OCPP 1.6 json",
        'Occupied        1, {"id":"x\\u009b"}',
        "Reserved        -",
        "",
        "#  Type      Format  Power  Max A  Power type  Terminal         Token",
        "─" * 74,
        "1  type_2    CABLE   22000     32  AC_3_PHASE  012345678901234  **********",
        "2  new_plug  -         7.4      -  -           -                -",
    ]


@pytest.mark.parametrize("kind", [None, ChargeboxType()])
def test_a_missing_value_is_a_dash(kind: ChargeboxType | None) -> None:
    lines = render(render_chargebox(Chargebox(id="TB-1", type=kind)))
    assert {"Coordinates     -", "Type            -"} < set(lines)
    assert lines[-1] == "No connectors."


def test_deeply_nested_lists_are_printed_unchanged(open_thor: OpenThor, capsys: Capture) -> None:
    nested = "[" * 900 + "]" * 900
    body = f'{{"id":"a","occupied_connectors":[{nested}]}}'.encode()
    open_thor(faults=[Fault.status(200, body=body)])
    assert run("chargebox", "a", "--json") == 0
    out, err = capsys.readouterr()
    assert f'"connectors":[],"occupied_connectors":[{nested}],' in out
    assert err == ""


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (("chargebox", "TB-0001"), 2, "error: THOR_API_KEY is not set"),
        (("chargebox", "a\nb", "--sandbox"), 2, "error: ID must "),
        (("chargebox", "nowhere", "--sandbox"), 1, "error: GET chargeboxes/nowhere: 404 "),
        (("analytics",), 2, "Usage: "),
        (("chargeboxes", "--within", "45,11,44,12", "--sandbox"), 2, "Usage: "),
        (("chargeboxes", "--within", "a,b", "--sandbox"), 2, "Usage: "),
    ],
)
def test_a_failure_is_a_message_on_stderr_and_a_status(
    argv: tuple[str, ...], status: int, message: str, capsys: Capture
) -> None:
    assert run(*argv) == status
    out, err = capsys.readouterr()
    assert (out, err[: len(message)]) == ("", message)


def test_the_output_of_the_sandbox_can_be_pasted_into_a_second_terminal() -> None:
    options = ("--chargeboxes", "2", "--seed", "5", "--api-key", "it's $HOME")
    with COMMAND.started_sandbox(*options, "--latency", "0.001", "--fault-rate", "0.1") as output:
        assert "# Data: 2 chargeboxes from TB-0001 to TB-0002.\n" in output
        status, out, _ = COMMAND.in_shell("chargebox TB-0002", before=output)
    simulated = structure_chargebox(ThorSandbox(chargeboxes=2, seed=5).chargebox("TB-0002"))
    assert (status, msgspec.json.decode(out)["alias"]) == (0, simulated.alias)
