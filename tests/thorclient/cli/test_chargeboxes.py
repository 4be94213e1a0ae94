"""The commands `thorclient chargebox` and `chargeboxes`, as their user sees them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime

import attrs
import msgspec
import pytest

from tests.support.commands import Command, Terminal, render
from thorclient import Chargebox, ChargeboxType, Connector, Coordinates, Secret
from thorclient.cli.app import app
from thorclient.cli.chargeboxes import render_chargebox, render_chargeboxes
from thorclient.sandbox import Fault, ThorSandbox

OpenThor = Callable[..., ThorSandbox]
Capture = pytest.CaptureFixture[str]

run = Command(app, "thorclient").run


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
