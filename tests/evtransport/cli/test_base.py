"""What both command lines share: how they end, what may reach a terminal, and progress."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

from evtransport import ApiError, Cursor, NotFoundError
from evtransport.cli.base import (
    Embedded,
    cell,
    clean,
    command_line,
    echo_error,
    format_error,
    main,
    outcome,
    output_console,
    plain_table,
    progress_line,
    reporting,
    run,
    serve,
    terminal,
    wants_json,
    write_json,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Terminal(io.TextIOWrapper):
    """A stream that passes for a terminal and keeps what was written to it."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    yield
    set_on_retry_hooks(None)


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"]])
def test_a_command_line_explains_itself(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    app = command_line("What it is for.")
    for name in ("one", "two"):
        app.command(name)(lambda: None)
    with pytest.raises(SystemExit) as stopped:
        app(argv, prog_name="prog")
    shown = "".join(capsys.readouterr())
    assert "Usage: prog" in shown
    assert "What it is for." in shown
    assert not (argv and stopped.value.code)  # without arguments it depends on typer's version


def status_of(outcome_of: BaseException | int | Coroutine[object, object, int]) -> int:
    async def command() -> int:
        if isinstance(outcome_of, BaseException):
            raise outcome_of
        return outcome_of if isinstance(outcome_of, int) else await outcome_of

    with pytest.raises(SystemExit) as stopped:
        run(command())
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def failed_at(offset: int) -> tuple[ApiError, Cursor]:
    error = ApiError("broken off")
    error.cursor = Cursor(query={"chargerId": "CP-1"}, limit=10, offset=offset)
    return error, error.cursor


@pytest.mark.parametrize("status", [0, 1])
def test_a_command_exits_with_its_own_status(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(status) == status
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFoundError("gone", status=404), 1), (OSError("gone"), 1), (ValueError("gone"), 2)],
)
def test_an_error_is_one_line_and_a_status(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(error) == status
    assert capsys.readouterr() == ("", "error: gone\n")


def test_an_error_inside_a_walk_tells_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    error, cursor = failed_at(30)
    assert status_of(error) == 1
    assert capsys.readouterr().err == f"error: broken off\ncontinue with: --resume {cursor}\n"


def test_an_error_before_the_first_report_has_nothing_to_go_on_from() -> None:
    error, _ = failed_at(0)
    assert outcome(error) == (1, ("error: broken off",))


def test_notes_are_appended_in_parentheses() -> None:
    error = ApiError("the server answered 429")
    error.add_note("not retried: too long")
    error.add_note("and more")
    assert format_error(error) == "the server answered 429 (not retried: too long; and more)"


def test_an_error_without_words_is_told_by_its_name() -> None:
    assert format_error(OSError()) == "OSError"


SIGNALS = [
    (signal.SIGINT, 130, "interrupted\n"),
    (signal.SIGTERM, 143, "ended by SIGTERM\n"),
    (signal.SIGHUP, 129, "ended by SIGHUP\n"),
    (signal.SIGQUIT, 131, "ended by SIGQUIT\n"),
]


@pytest.mark.parametrize(("number", "status", "message"), SIGNALS)
def test_a_signal_ends_a_command_with_one_line_after_the_cleanup(
    number: int, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned: list[str] = []
    before = signal.getsignal(number)

    async def command() -> int:
        try:
            signal.raise_signal(number)
            await asyncio.Event().wait()
        finally:
            cleaned.append("up")
        return 0

    with pytest.raises(SystemExit) as stopped:
        run(command())
    assert (stopped.value.code, cleaned) == (status, ["up"])
    assert capsys.readouterr().err == message
    assert signal.getsignal(number) is before


def test_a_second_signal_does_not_wait_for_the_cleanup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def command() -> int:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("still cleaning up")

    with pytest.raises(SystemExit) as stopped:
        run(command())
    assert stopped.value.code == 143
    assert capsys.readouterr().err == "ended by SIGTERM\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_ctrl_c_may_be_the_regular_end_of_a_command(number: int, status: int) -> None:
    async def command() -> int:
        signal.raise_signal(number)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return 0

    with pytest.raises(SystemExit) as stopped:
        run(command())
    assert stopped.value.code == status


@pytest.mark.parametrize(("number", "status"), [(signal.SIGHUP, 129), (None, 1)])
def test_a_terminal_that_has_gone_does_not_hide_the_signal(number: int | None, status: int) -> None:
    async def command() -> int:
        if number is not None:
            signal.raise_signal(number)
        raise OSError(5, "Input/output error")

    with pytest.raises(SystemExit) as stopped:
        run(command())
    assert stopped.value.code == status


def test_a_command_that_is_cancelled_without_a_signal_stays_cancelled() -> None:
    async def command() -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(command())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_ignored(number: int) -> None:
    async def command() -> int:
        signal.raise_signal(number)
        return 0

    before = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as stopped:
            run(command())
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert stopped.value.code == 0


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ImportError("pip install it"), 1, "error: pip install it\n"),
        (ValueError("no"), 2, "error: no\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_failures_outside_the_event_loop_are_reported_the_same_way(
    error: BaseException, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped, reporting():
        raise error
    assert stopped.value.code == status
    assert capsys.readouterr().err == message


def test_a_signal_interrupts_a_wait_outside_the_event_loop(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped, reporting():
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("still waiting")
    assert stopped.value.code == 143
    assert capsys.readouterr().err == "ended by SIGTERM\n"


def test_a_signal_counts_even_if_other_code_makes_a_status_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped, reporting():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:  # as typer does while it parses arguments
            raise SystemExit(130) from None
    assert stopped.value.code == 143
    assert capsys.readouterr().err == "ended by SIGTERM\n"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [(None, 1, "No space left on device\n"), (ValueError("no"), 2, "error: no\n")],
)
def test_a_full_disk_fails_the_command_and_no_later_flush(
    error: Exception | None,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def command() -> int:
        print("text")
        if error is not None:
            raise error
        return 0

    with stdout_to(os.open("/dev/full", os.O_WRONLY), monkeypatch):
        with pytest.raises(SystemExit) as stopped:
            run(command())
        sys.stdout.flush()
    assert stopped.value.code == status
    assert capsys.readouterr().err.endswith(message)


@pytest.mark.parametrize(
    ("argv", "status", "out", "err"),
    [(["-h"], 0, "Usage: prog", ""), (["--colour"], 2, "", "No such option")],
)
def test_help_goes_to_stdout_and_wrong_usage_to_stderr(
    argv: list[str],
    status: int,
    out: str,
    err: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(sys, "argv", ["prog", *argv])
    app = command_line("What it is for.")
    for name in ("one", "two"):
        app.command(name)(lambda: None)
    with pytest.raises(SystemExit) as stopped:
        main(app, "prog")
    shown = capfd.readouterr()
    assert stopped.value.code == status
    for text, expected in ((shown.out, out), (shown.err, err)):
        assert expected in text
        assert bool(text) is bool(expected)
    if status == 0:
        assert "130 Ctrl-C" in shown.out


def test_retries_are_not_logged_among_the_output() -> None:
    assert get_on_retry_hooks()
    assert status_of(0) == 0
    assert not get_on_retry_hooks()


@contextmanager
def stdout_to(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch, os.fdopen(descriptor, "w") as stream:
        patch.setattr(sys, "stdout", stream)
        yield


def test_a_reader_that_has_gone_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def command() -> int:
        write_json(b"{}")
        return 0

    reader, writer = os.pipe()
    os.close(reader)
    with stdout_to(writer, monkeypatch), pytest.raises(SystemExit) as stopped:
        run(command())
    assert stopped.value.code == 141
    assert capsys.readouterr().err == ""


def test_a_write_that_was_cut_short_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(io.BytesIO):
        def write(self, data: Buffer) -> int:
            return super().write(memoryview(data)[:3])

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(hasty := Hasty()))
    write_json(b'"0123456789"', b"[]")
    assert hasty.getvalue() == b'"0123456789"\n[]\n'


class Interrupted(io.BytesIO):
    """A stream whose reader takes nothing, and which is waited for when Ctrl-C comes."""

    waited_for = False

    def flush(self) -> None:
        if self.waited_for:  # once more, when it is thrown away
            return
        self.waited_for = True
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("still waiting for the reader")


def test_ctrl_c_breaks_off_a_write_to_a_reader_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def command() -> int:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(Interrupted()))
            write_json(b"{}")
        return 0

    with pytest.raises(SystemExit) as stopped:
        run(command())
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_json_goes_out_byte_for_byte_one_text_a_line(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    write_json(b'{ "a" :\r\n 1.50e1 }', '["zoë", "\x9b[31m"]'.encode())
    assert capsysbinary.readouterr().out == '{"a":1.50e1}\n["zoë","\x9b[31m"]\n'.encode()


def test_json_on_a_terminal_has_no_character_that_steers_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    write_json('["zoë", "\x7f\x9b[31m", "\U000e0001"]'.encode())
    assert screen.text == '["zoë","\\u007f\\u009b[31m","\\udb40\\udc01"]\n'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("München [red]🚌[/red]", "München [red]🚌[/red]"),
        ("a\x1b[31mb\r\n\x9b\u202e", "a\\x1b[31mb\\r\\n\\x9b\\u202e"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_text_is_cleaned_of_what_steers_a_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_complaint_is_one_line_whatever_the_server_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    echo_error("error: one\ntwo\x1b[2J")
    assert capsys.readouterr().err == "error: one\\ntwo\\x1b[2J\n"


def test_json_is_printed_to_a_pipe_and_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wants_json(False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert wants_json(True)
    assert not wants_json(False)


def test_columns_stand_alike_with_and_without_a_header() -> None:
    def lines(*, header: bool) -> list[str]:
        screen = io.StringIO()
        table = plain_table(header=header)
        table.add_column("A", width=4)
        table.add_column("B", justify="right", width=3)
        table.add_row(cell("[b]x"), cell(None))
        terminal(screen).print(table)
        return screen.getvalue().splitlines()

    heading, rule, row = lines(header=True)
    assert (heading.split(), set(rule), row.split()) == (["A", "B"], {"─"}, ["[b]x", "-"])
    assert heading.index("B") == row.index("-") == len(rule) - 1
    assert lines(header=False) == [row]


def test_a_character_that_the_terminal_lacks_is_no_failure() -> None:
    screen = Terminal("ascii")
    terminal(screen).print(cell("zoë"))
    assert screen.text == "zo?\n"


def test_characters_that_the_terminal_lacks_stay_escaped() -> None:
    screen = Terminal("ascii")
    screen.reconfigure(errors="backslashreplace")
    terminal(screen).print(cell("zoë"))
    assert screen.text == "zo\\xeb\n"


@pytest.mark.parametrize(("columns", "width"), [("1", 80), ("80", 80), ("120", 120)])
def test_a_table_keeps_its_text_on_a_narrow_terminal(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    monkeypatch.setenv("COLUMNS", columns)
    table = plain_table(header=False)
    table.add_row(cell("CP-1/1"), cell("complete"))
    console = output_console()
    console.print(table)
    assert screen.text == "CP-1/1  complete\n"
    assert console.width == width


def test_no_progress_is_shown_where_stderr_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_line("0 reports") as meter, meter.paused():
        meter.show("10 reports")
    assert capsys.readouterr() == ("", "")


def test_no_progress_is_shown_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_line("0 reports") as meter:
        meter.show("10 reports")
    assert screen.text == ""


def test_progress_gives_way_to_what_is_printed_and_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_line("0 reports") as meter:
        meter.show("10 [reports]\x1b[2J")
        with meter.paused():
            echo_error("between")
    before, _, after = screen.text.partition("between\n")
    erase_line, show_cursor = "\x1b[2K", "\x1b[?25h"
    assert "0 reports" in before
    assert "10 [reports]\\x1b[2J" in before
    assert before.endswith(erase_line)
    assert show_cursor in before
    assert "10 [reports]\\x1b[2J" in after
    assert after.endswith(erase_line)


def test_a_command_in_a_thread_leaves_signal_handlers_unchanged() -> None:
    before = signal.getsignal(signal.SIGINT)
    handlers: list[object] = []

    async def command() -> int:
        handlers.append(signal.getsignal(signal.SIGINT))
        return 3

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(status_of, command()).result() == 3
    assert handlers == [before]


def test_progress_does_not_overwrite_output_after_a_broken_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with pytest.raises(BrokenPipeError), progress_line("0 reports") as meter:
        with meter.paused():
            screen.write("half a line")
            raise BrokenPipeError
    assert screen.text.endswith("half a line")


def test_the_cursor_is_visible_while_ctrl_z_stops_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[object] = []

    class Screen(Terminal):
        def fileno(self) -> int:
            return 2

    def stop(number: int) -> None:
        events.append((number, signal.getsignal(number)))

    monkeypatch.setattr(sys, "stderr", Screen())
    monkeypatch.setattr(os, "write", lambda _, data: events.append(data))
    monkeypatch.setattr(signal, "raise_signal", stop)
    with progress_line("0 reports"):
        suspend = signal.getsignal(signal.SIGTSTP)
        assert callable(suspend)
        suspend(signal.SIGTSTP, None)
        assert signal.getsignal(signal.SIGTSTP) is suspend
    assert events == [b"\x1b[?25h", (signal.SIGTSTP, signal.SIG_DFL), b"\x1b[?25l"]
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


class Server:
    """What `serve` asks of a sandbox."""

    def __init__(self) -> None:
        self.running = False

    @property
    def environment(self) -> dict[str, str]:
        assert self.running
        return {"URL": "http://127.0.0.1:1/v1", "KEY": "it's"}

    async def start(self) -> None:
        self.running = True

    async def aclose(self) -> None:
        self.running = False


async def test_a_sandbox_prints_what_a_shell_can_source_and_ends_cleanly(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = Server()
    embedded: Embedded = server
    serving = asyncio.create_task(serve(embedded, "charger CP-1\nrm -rf"))
    await asyncio.sleep(0)
    assert server.running
    serving.cancel()
    assert await serving == 0
    assert not server.running
    assert capsys.readouterr().out == (
        "export URL=http://127.0.0.1:1/v1\n"
        "export KEY='it'\"'\"'s'\n"
        "# charger CP-1\\nrm -rf\n"
        "# running until Ctrl-C\n"
    )
