"""Exit statuses and messages of a command line, and signals that end it."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from evtransport import ApiError, Cursor, NotFoundError
from evtransport.cli.app import command_line
from evtransport.cli.output import write_json
from evtransport.cli.run import main, run
from tests.support.commands import Command, signal_when

Capture = pytest.CaptureFixture[str]


def status_of(call: Callable[[], object]) -> int:
    """Return the exit status of a command line whose command makes this call."""
    app = command_line("A summary.")
    app.command("call")(lambda: call() and None)
    app.command("other")(lambda: None)
    return Command(app, "program").run("call")


def failed_walk(offset: int) -> ApiError:
    error = ApiError("broken off")
    error.cursor = Cursor(query={"chargerId": "CP-1"}, limit=10, offset=offset)
    return error


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (NotFoundError("gone", status=404), 1, "error: gone\n"),
        (OSError("gone\x1b"), 1, "error: gone\\u001b\n"),
        (ImportError("pip install it"), 1, "error: pip install it\n"),
        (ValueError("wrong"), 2, "error: wrong\n"),
        (BrokenPipeError(), 141, ""),
        (failed_walk(0), 1, "error: broken off\n"),
        (
            failed_walk(30),
            1,
            f"error: broken off\ncontinue with: --resume {failed_walk(30).cursor}\n",
        ),
    ],
)
def test_an_error_gives_a_status_and_a_message(
    error: Exception, status: int, message: str, capsys: Capture
) -> None:
    def fail() -> None:
        raise error

    assert status_of(fail) == status
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "interrupted\n"),
        (signal.SIGTERM, 143, "ended by SIGTERM\n"),
        (signal.SIGHUP, 129, "ended by SIGHUP\n"),
        (signal.SIGQUIT, 131, "ended by SIGQUIT\n"),
    ],
)
def test_a_signal_ends_an_idle_coroutine_after_its_cleanup(
    number: int, status: int, message: str, capsys: Capture
) -> None:
    cleaned: list[str] = []
    idle = threading.Event()
    before = signal.getsignal(number)

    async def command() -> int:
        try:
            asyncio.get_running_loop().call_soon(idle.set)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")
        return 0

    with signal_when(number, idle.is_set):
        assert status_of(lambda: run(command())) == status
    assert cleaned == ["up"]
    assert capsys.readouterr().err == message
    assert signal.getsignal(number) is before


def test_a_signal_that_another_thread_receives_ends_an_idle_coroutine(capsys: Capture) -> None:
    idle = threading.Event()

    def receive() -> None:
        idle.wait(60)
        time.sleep(0.1)  # Now the loop waits.
        signal.raise_signal(signal.SIGTERM)

    async def command() -> int:
        asyncio.get_running_loop().call_soon(idle.set)
        await asyncio.Event().wait()
        return 0

    receiver = threading.Thread(target=receive)
    receiver.start()
    assert status_of(lambda: run(command())) == 143
    receiver.join()
    assert capsys.readouterr().err == "ended by SIGTERM\n"


def test_a_signal_interrupts_a_command_outside_the_event_loop(capsys: Capture) -> None:
    def wait() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("still waiting")

    assert status_of(wait) == 143
    assert capsys.readouterr().err == "ended by SIGTERM\n"


def test_a_second_signal_does_not_wait_for_the_cleanup(capsys: Capture) -> None:
    async def command() -> int:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("still cleaning up")

    assert status_of(lambda: run(command())) == 143
    assert capsys.readouterr().err == "ended by SIGTERM\n"


@pytest.mark.parametrize(
    ("number", "error", "status"),
    [
        # Ctrl-C may be the normal way to end a command.
        (signal.SIGINT, None, 0),
        (signal.SIGTERM, None, 143),
        # SIGHUP may take the terminal away.
        (signal.SIGHUP, OSError(5, "Input/output error"), 129),
        (None, OSError(5, "Input/output error"), 1),
    ],
)
def test_a_signal_decides_the_status_of_a_command_that_is_not_cancelled(
    number: int | None, error: OSError | None, status: int
) -> None:
    async def command() -> int:
        if number is not None:
            signal.raise_signal(number)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        if error is not None:
            raise error
        return 0

    assert status_of(lambda: run(command())) == status


@pytest.mark.parametrize(
    ("argv", "status", "out", "err"),
    [
        ([], 2, "", "Usage: program"),
        (["-h"], 0, "130 Ctrl-C", ""),
        (["--help"], 0, "A summary.", ""),
        (["--colour"], 2, "", "No such option"),
    ],
)
def test_help_goes_to_stdout_and_usage_errors_to_stderr(
    argv: list[str],
    status: int,
    out: str,
    err: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(sys, "argv", ["program", *argv])
    app = command_line("A summary.")
    for name in ("one", "two"):
        app.command(name)(lambda: None)
    with pytest.raises(SystemExit) as end:
        main(app, "program")
    assert end.value.code == status
    for text, expected in zip(capfd.readouterr(), (out, err), strict=True):
        assert expected in text
        assert bool(text) is bool(expected)


class UnreadStream(io.BytesIO):
    """Stream whose reader reads nothing, so that Ctrl-C arrives during the first wait."""

    is_flushed = False

    def flush(self) -> None:
        if not self.is_flushed:  # Closing the stream flushes it again.
            self.is_flushed = True
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("still waiting for the reader")


def test_ctrl_c_ends_a_write_to_a_reader_that_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def command() -> int:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(UnreadStream()))
            write_json(b"{}")
        return 0

    assert status_of(lambda: run(command())) == 130
