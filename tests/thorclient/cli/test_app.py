"""Failures of the commands of `thorclient`."""

from __future__ import annotations

import pytest

from tests.support.commands import Command
from thorclient.cli.app import app

Capture = pytest.CaptureFixture[str]

run = Command(app, "thorclient").run


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
