"""A sandbox that a command runs until Ctrl-C."""

from __future__ import annotations

import asyncio

import pytest

from evtransport.cli.sandbox import serve
from tests.support.waiting import loop_until
from thorclient.sandbox import ThorSandbox


async def test_the_output_is_shell_lines_and_the_sandbox_stops_when_cancelled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox, output = ThorSandbox(api_key="it's $HOME"), ""

    def is_running() -> bool:
        nonlocal output
        output += capsys.readouterr().out
        return "Ctrl-C" in output

    task = asyncio.create_task(serve(sandbox, "Data: one.", "Try: two"))
    await loop_until(is_running)
    assert output.splitlines() == [
        "# In a second terminal, paste these lines.",
        """export THOR_API_KEY='it'"'"'s $HOME'""",
        f"export THOR_BASE_URL={sandbox.base_url}",
        "# Data: one.",
        "# Try: two",
        "# running until Ctrl-C",
    ]
    task.cancel()
    assert await task == 0
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.base_url
