"""The `thorclient` command, as its user sees it."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from rich.console import Console, RenderableType
from stamina.instrumentation import set_on_retry_hooks

from tests.support.commands import Command, Servers, Terminal, in_shell
from thorclient import (
    Analytics,
    Chargebox,
    ChargeboxType,
    Connector,
    Coordinates,
    RollingCounts,
    Secret,
)
from thorclient.cli import analytics_table, app, chargebox_json, chargebox_view
from thorclient.sandbox import Fault, ThorSandbox


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("THOR_API_KEY", "THOR_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns and no colours
    yield
    set_on_retry_hooks(None)


OpenThor = Callable[..., ThorSandbox]


@pytest.fixture
def open_thor(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenThor]:
    """Starts sandboxes and has the environment point at the one started last."""
    with ExitStack() as running:
        servers = Servers(monkeypatch, running)

        def start(**settings: Any) -> ThorSandbox:
            return servers.start(ThorSandbox(**settings))

        yield start


@pytest.fixture
def thor(open_thor: OpenThor) -> ThorSandbox:
    return open_thor()


COMMAND = Command(app, "thorclient")
run, started, completed = COMMAND.run, COMMAND.started, COMMAND.completed


def answer(sandbox: ThorSandbox, chargebox_id: str) -> dict[str, Any]:
    truth = msgspec.json.decode(sandbox.analytics(chargebox_id))
    return comparable({"id": chargebox_id, **truth})


def comparable(analytics: dict[str, Any]) -> dict[str, Any]:
    since = datetime.fromisoformat(analytics["active_since"])
    return {**analytics, "active_since": since}


def tokens(sandbox: ThorSandbox) -> list[str]:
    return [
        connector["token"]
        for chargebox_id in sandbox.chargebox_ids
        for connector in msgspec.json.decode(sandbox.chargebox(chargebox_id))["connectors"]
    ]


def test_a_pipe_gets_one_object_for_each_chargebox(thor: ThorSandbox) -> None:
    status, out, err = completed("analytics", *thor.chargebox_ids)
    assert (status, err) == (0, b"")
    found = sorted(map(msgspec.json.decode, out.splitlines()), key=lambda it: str(it["id"]))
    assert list(map(comparable, found)) == [answer(thor, it) for it in thor.chargebox_ids]


def test_the_embedded_sandbox_needs_no_account(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("analytics", "TB-0001", "--sandbox") == 0
    captured = capsysbinary.readouterr()
    assert comparable(msgspec.json.decode(captured.out)) == answer(ThorSandbox(), "TB-0001")
    assert captured.err == b""


def test_a_closed_output_is_named_in_the_error(thor: ThorSandbox) -> None:
    assert in_shell("thorclient", "analytics TB-0001 >&-") == (
        1,
        "",
        "error: standard output is closed: use >/dev/null to discard the output\n",
    )


def test_an_id_that_is_given_twice_is_asked_for_once(thor: ThorSandbox) -> None:
    assert run("analytics", "TB-0001", "TB-0001") == 0
    assert len(thor.requests) == 1


def test_a_chargebox_that_fails_does_not_stop_the_others(
    thor: ThorSandbox, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("analytics", "TB-0001", "nowhere", "TB-0002", "no\u202ewhere") == 1
    captured = capsysbinary.readouterr()
    found = {msgspec.json.decode(line)["id"] for line in captured.out.splitlines()}
    assert found == {"TB-0001", "TB-0002"}
    assert sorted(captured.err.decode().splitlines()) == [
        "error: no\\u202ewhere: the server answered 404: ChargeboxNotFound",
        "error: nowhere: the server answered 404: ChargeboxNotFound",
    ]


def test_a_terminal_gets_a_table_in_the_order_of_the_ids(
    open_thor: OpenThor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"TB-{n}" for n in range(9, 0, -1)]
    open_thor(chargeboxes=ids)
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("analytics", *ids, "nowhere") == 1
    rows = screen.text.splitlines()
    assert [row.split()[0] for row in rows if row.startswith("TB-")] == ids
    assert max(map(len, rows)) <= 80
    assert capsys.readouterr().err.startswith("error: nowhere: ")


def test_what_has_arrived_is_shown_when_an_id_is_no_id(
    thor: ThorSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    assert run("analytics", "TB-0001", "..") == 2
    assert "TB-0001" in screen.text
    assert capsys.readouterr().err.startswith("error: chargebox_id must be more than dots")


def shown(what: RenderableType, width: int = 80) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=width).print(what)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def test_energy_is_shown_in_kwh_and_counts_by_window() -> None:
    def counts(n: int) -> RollingCounts:
        return RollingCounts(last_7=n, last_30=n * 10, last_60=n * 1000)

    since = datetime(2020, 9, 3, 13, 41, 35, tzinfo=UTC)
    one = Analytics(counts(3), counts(0), counts(123_456), counts(2), active_since=since)
    two = Analytics(counts(1), counts(1), counts(0), counts(1))
    assert shown(analytics_table({"TB-1": one, "[b]\x1b": two})) == [
        "Chargebox  Active since  Days  Charges  Disconnections  Energy kWh  Users",
        "─" * 73,
        "TB-1       2020-09-03       7        3               0       123.5      2",
        "                           30       30               0     1,234.6     20",
        "                           60    3,000               0   123,456.0  2,000",
        "",
        "[b]\\x1b    -                7        1               1         0.0      1",
        "                           30       10              10         0.0     10",
        "                           60    1,000           1,000         0.0  1,000",
    ]


def test_a_chargebox_is_one_object_without_its_tokens(
    thor: ThorSandbox, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for chargebox_id in thor.chargebox_ids:
        assert run("chargebox", chargebox_id) == 0
        out, err = capsysbinary.readouterr()
        truth = msgspec.json.decode(thor.chargebox(chargebox_id))
        found = msgspec.json.decode(out)
        assert (out.count(b"\n"), err) == (1, b"")
        assert {it.pop("token") for it in found["connectors"]} == {"**********"}
        assert all(it.pop("token").encode() not in out for it in truth["connectors"])
        heartbeat = datetime.fromisoformat(found.pop("last_heartbeat"))
        assert round(heartbeat.timestamp() * 1000) == truth.pop("last_heartbeat")
        assert found == truth


def test_a_terminal_gets_a_readable_chargebox(
    thor: ThorSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chargebox_id in thor.chargebox_ids:
        monkeypatch.setattr(sys, "stdout", screen := Terminal())
        assert run("chargebox", chargebox_id) == 0
        assert screen.text.startswith(f"Chargebox       {chargebox_id}")
        assert max(map(len, screen.text.splitlines())) <= 80
        assert not any(token in screen.text for token in tokens(thor))


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


def test_a_chargebox_is_shown_line_by_line() -> None:
    assert shown(chargebox_view(BOX)) == [
        "Chargebox       TB-1",
        "Alias           [red]Depot[/red]\\x1b[2J",
        "Active          yes",
        "Connected       no",
        "Public          -",
        "Reservable      -",
        "Last heartbeat  2026-06-01 12:30:15 UTC",
        "Time zone       -",
        "Coordinates     44.5, 11.25",
        "Type            car, OCPP 1.6 json",
        'Occupied        1, {"id":"x\\x9b"}',
        "Reserved        -",
        "",
        "#  Type      Format  Power  Max A  Power type  Terminal         Token",
        "─" * 74,
        "1  type_2    CABLE   22000     32  AC_3_PHASE  012345678901234  **********",
        "2  new_plug  -         7.4      -  -           -                -",
    ]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (ChargeboxType(), "Type            -"),
        (ChargeboxType(vehicle="bicycle"), "Type            bicycle"),
        (ChargeboxType(version="2.0"), "Type            OCPP 2.0"),
        (None, "Type            -"),
    ],
)
def test_what_a_chargebox_lacks_is_a_dash(kind: ChargeboxType | None, line: str) -> None:
    lines = shown(chargebox_view(Chargebox(id="TB-1", type=kind)))
    assert line in lines
    assert "Coordinates     -" in lines
    assert lines[-1] == "No connectors."


def test_json_masks_the_token_and_refuses_what_it_does_not_know() -> None:
    assert b"s3cret" not in chargebox_json(BOX)
    with pytest.raises(NotImplementedError, match="no JSON for object"):
        chargebox_json(Chargebox(id="TB-1", alias=object()))  # type: ignore[arg-type]


def test_a_count_beyond_64_bits_is_an_error_with_a_message(open_thor: OpenThor) -> None:
    huge = b'{"last_7": %d, "last_30": 0, "last_60": 0}' % 10**400
    names = ("charges", "disconnections", "energy", "users")
    body = b"{%s}" % b",".join(b'"%s": %s' % (name.encode(), huge) for name in names)
    open_thor(faults=[Fault.status(200, body=body)])

    assert completed("analytics", "TB-0001") == (
        *(1, b""),
        b"error: TB-0001: $.charges.last_7: expected int <= 9223372036854775807 (and 3 more)\n",
    )


@pytest.mark.parametrize("depth", [500, 900])
def test_deeply_nested_lists_are_printed_unchanged(open_thor: OpenThor, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    open_thor(faults=[Fault.status(200, body=b'{"id":"a","occupied_connectors":[%s]}' % nested)])

    status, out, err = completed("chargebox", "a", "--json")

    assert (status, err) == (0, b"")
    assert b'"connectors":[],"occupied_connectors":[%s],' % nested in out


def test_missing_credentials_are_wrong_usage() -> None:
    status, out, err = completed("chargebox", "TB-0001")
    assert (status, out) == (2, b"")
    assert err == b"error: THOR_API_KEY is not set; it must hold the integration's API key\n"


def test_an_unknown_chargebox_is_one_line_on_stderr() -> None:
    status, out, err = completed("chargebox", "nowhere", "--sandbox")
    assert (status, out) == (1, b"")
    assert err == b"error: the server answered 404: ChargeboxNotFound\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("analytics",),
        ("chargebox",),
        ("chargebox", ""),
        ("chargebox", "a\nb"),
        ("chargebox", "TB-0001", "TB-0002"),
        ("chargebox", "TB-0001", "--api-key", "k"),
        ("sandbox", "--port", "65536"),
        ("unknown",),
    ],
)
def test_wrong_usage_is_status_2(
    thor: ThorSandbox, argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error: " in captured.err.lower()
    assert thor.requests == []


def test_the_sandbox_tells_how_to_reach_it_and_ends_with_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with started("sandbox") as process:
        assert process.stdout is not None
        told = []
        while (line := process.stdout.readline().decode()) != "# running until Ctrl-C\n":
            assert line, "it ended early"
            told.append(line.rstrip("\n"))
        for line in told:
            if line.startswith("export "):
                name, value = line.removeprefix("export ").split("=", 1)
                monkeypatch.setenv(name, value)
        assert run("chargebox", "TB-0020") == 0
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, b"", b"")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_command_tells_how_to_install_it(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\nfrom thorclient.__main__ import main; main()"
    )
    done = python(code)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "thorclient needs the cli extra: pip install 'thor-depot-clients[cli]'\n"


def test_the_library_does_without_what_the_command_needs() -> None:
    code = (
        "import sys, thorclient, thorclient.__main__\n"
        "assert not {'typer', 'rich', 'click'} & sys.modules.keys()"
    )
    assert python(code).stderr == ""


def test_the_command_is_called_by_its_name() -> None:
    status, out, _ = completed("--help")
    assert status == 0
    assert b"Usage: thorclient [OPTIONS] COMMAND" in out
