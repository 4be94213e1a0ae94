"""Parts of the command `sandbox`: common options, and a server until Ctrl-C."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

__all__ = ["FaultRateOption", "LatencyOption", "PortOption", "ProfileOption", "SeedOption"]
__all__ += ["given_settings", "serve"]

PortOption = Annotated[
    int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on. 0 picks a free one.")
]
SeedOption = Annotated[
    int, typer.Option(min=0, metavar="N", help="Seed of the data and of the faults.")
]
LatencyOption = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Delay of each response.  [default: 0]"),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Behave as the account whose profile `probe --profile` wrote. Other options win over"
        " it.",
    ),
]
FaultRateOption = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="Share of API requests that fail, from 0 to 1. A retry helps: statuses 408, 429 and"
        " 5xx, lost connections, unreadable bodies.",
    ),
]


def given_settings(**options: object) -> dict[str, Any]:
    """Return the options that the user gave. The others are None."""
    return {name: value for name, value in options.items() if value is not None}


class _Sandbox(Protocol):
    @property
    def environment(self) -> Mapping[str, str]: ...
    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


async def serve(sandbox: _Sandbox, *contents: str) -> int:
    """Run a sandbox until Ctrl-C, and return the exit status 0.

    The output can be pasted into a shell: `export` lines with the environment of a client, and
    comments.

    Args:
        sandbox: A sandbox that is not yet running.
        contents: Comments on the data, without quotes and brackets: an interactive zsh reads
            comments as commands.

    Raises:
        OSError: The port is in use.
    """
    await sandbox.start()
    try:
        print("# In a second terminal, paste these lines.")
        for name, value in sandbox.environment.items():
            print(f"export {name}={shlex.quote(value)}")
        for line in contents:
            print(f"# {line}")
        print("# running until Ctrl-C", flush=True)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    finally:
        await sandbox.aclose()
    return 0
