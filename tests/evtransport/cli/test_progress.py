"""Progress on a terminal, which never mixes with the output."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from evtransport.cli.output import echo_error
from evtransport.cli.progress import progress_line, progress_log
from tests.support.commands import Terminal

ERASE_LINE, SHOW_CURSOR, HIDE_CURSOR = "\x1b[2K", "\x1b[?25h", "\x1b[?25l"


class Screen(Terminal):
    """Terminal with a descriptor."""

    def fileno(self) -> int:
        return 2


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("is_terminal", "variable", "value"), [(False, "FORCE_COLOR", "1"), (True, "TERM", "dumb")]
)
def test_a_pipe_and_a_dumb_terminal_get_no_progress(
    is_terminal: bool, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    monkeypatch.setattr(screen, "isatty", lambda: is_terminal)
    monkeypatch.setenv(variable, value)
    with progress_line("0 reports") as line, line.paused():
        line.show("10 reports")
    assert screen.text == ""


def test_progress_is_hidden_during_output_and_removed_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with progress_line("0 reports") as line:
        line.show("10 [reports]\x1b[2J")
        with line.paused():
            echo_error("between")
    before, _, after = screen.text.partition("between\n")
    assert "0 reports" in before
    for part in (before, after):
        assert "10 [reports]\\u001b[2J" in part
        assert part.endswith(ERASE_LINE)
        assert SHOW_CURSOR in part


def test_a_message_appears_above_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with progress_line("0 reports"):
        echo_error("[a] message\x1b")
    before, message, after = screen.text.partition("[a] message\\u001b\n")
    assert message
    assert before.endswith(ERASE_LINE)
    assert "0 reports" in after


def test_progress_does_not_overwrite_output_after_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with pytest.raises(BrokenPipeError), progress_line("0 reports") as line:
        with line.paused():
            screen.write("half a line")
            raise BrokenPipeError
    assert screen.text.endswith("half a line")


def test_the_cursor_is_visible_while_the_process_is_suspended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    events: list[object] = []
    monkeypatch.setattr(os, "write", lambda _, data: events.append(data.decode()))
    monkeypatch.setattr(
        signal, "raise_signal", lambda number: events.append(signal.getsignal(number))
    )
    with progress_line("0 reports"):
        suspend = signal.getsignal(signal.SIGTSTP)
        assert callable(suspend)
        suspend(signal.SIGTSTP, None)
        assert signal.getsignal(signal.SIGTSTP) is suspend
    assert events == [SHOW_CURSOR, signal.SIG_DFL, HIDE_CURSOR]
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


async def test_a_log_gets_a_line_every_30_seconds_until_the_block_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits, ticks = list[float](), asyncio.Queue[None]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await ticks.get()
        ticks.task_done()

    async with progress_log(lambda: f"line {len(waits)}", sleep=sleep):
        for _ in range(2):
            ticks.put_nowait(None)
        await ticks.join()
        await asyncio.sleep(0)
    ticks.put_nowait(None)
    await asyncio.sleep(0)
    assert capsys.readouterr().err == "line 1\nline 2\n"
    assert waits == [30, 30, 30]
