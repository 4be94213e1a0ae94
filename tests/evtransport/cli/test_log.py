"""Log lines on stderr: hidden by default, one record per line with `--verbose`."""

from __future__ import annotations

import logging

import pytest

from evtransport.cli.app import VerboseOption, command_line
from evtransport.cli.commands import Command as PlainCommand
from tests.support.commands import Command

LOGGER = logging.getLogger("evtransport")


@pytest.mark.parametrize(
    ("argv", "err"),
    [
        (("call",), ""),
        (("call", "--verbose"), "a request\na \\u001b retry\n"),
        (("--verbose", "call"), "a request\na \\u001b retry\n"),
        (("--verbose", "call", "--verbose"), "a request\na \\u001b retry\n"),
    ],
)
def test_log_lines_are_printed_once_and_only_with_verbose(
    argv: tuple[str, ...],
    err: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Without any handler, Python prints warnings on stderr.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    app = command_line("A summary.")

    @app.command("call", cls=PlainCommand)
    def call(verbose: VerboseOption = False) -> None:
        LOGGER.debug("a %s", "request")
        LOGGER.warning("a %s retry", "\x1b")

    app.command("other")(lambda: None)
    before = LOGGER.level, [*LOGGER.handlers]
    assert Command(app, "program").run(*argv) == 0
    assert capsys.readouterr() == ("", err)
    assert (LOGGER.level, LOGGER.handlers) == before
