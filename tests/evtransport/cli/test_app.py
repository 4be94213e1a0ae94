"""The command `sandbox` of both command lines."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from evtransport.cli.app import serve


@attrs.define
class FakeSandbox:
    """Sandbox without a server."""

    running: bool = False

    @property
    def environment(self) -> dict[str, str]:
        assert self.running
        return {"URL": "http://127.0.0.1:1/v1", "KEY": "it's"}

    async def start(self) -> None:
        self.running = True

    async def aclose(self) -> None:
        self.running = False


async def test_a_sandbox_prints_a_shell_script_and_runs_until_it_is_cancelled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox = FakeSandbox()
    serving = asyncio.create_task(serve(sandbox, "charger CP-1\nrm -rf"))
    await asyncio.sleep(0)
    assert sandbox.running
    serving.cancel()
    assert await serving == 0
    assert not sandbox.running
    assert capsys.readouterr().out == (
        "export URL=http://127.0.0.1:1/v1\n"
        "export KEY='it'\"'\"'s'\n"
        "# charger CP-1\\nrm -rf\n"
        "# running until Ctrl-C\n"
    )
