"""Parts of a command line: its frame, common options, and the command `sandbox`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Final, Protocol

import typer

from evtransport._version import __version__
from evtransport.cli.commands import Group
from evtransport.cli.log import show_log

__all__ = ["JsonOption", "PortOption", "SandboxOption", "VerboseOption", "command_line", "serve"]

JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, one object per line. This is the default in a pipe."),
]
SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="Use a built-in sandbox server. No account is needed.")
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose", callback=show_log, help="Print each request and each retry on stderr."
    ),
]
PortOption = Annotated[
    int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on. 0 picks a free one.")
]

_STATUSES: Final = (
    "Exit status: 0 success; 1 the server, the network or a file failed; 2 wrong arguments or"
    " settings; 128 plus the signal's number if a signal ended it (130 Ctrl-C, 143 SIGTERM); 141"
    " the reader closed the output. Messages and progress go to stderr."
)


_WIDTH: Final = 10_000  # Help is as wide as the terminal, which typer limits to 80 columns.


def command_line(summary: str) -> typer.Typer:
    """Return a command line without commands. Pass `cls=Command` for each command.

    Args:
        summary: Description in its help text.
    """
    app = typer.Typer(
        cls=Group,
        no_args_is_help=True,
        # Rich would keep a docstring's line breaks, and escape no control characters.
        rich_markup_mode=None,
        # A bug's traceback must not print the locals: they may hold credentials.
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH},
    )

    @app.callback(help=summary, epilog=_STATUSES)
    def program(version: _VersionOption = False, verbose: VerboseOption = False) -> None:
        pass

    return app


def _print_version(ctx: typer.Context, requested: bool) -> None:
    if requested and not ctx.resilient_parsing:
        print(ctx.find_root().info_name, __version__)
        raise typer.Exit


_VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
]


class _Sandbox(Protocol):
    @property
    def environment(self) -> Mapping[str, str]: ...
    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


async def serve(sandbox: _Sandbox, *contents: str) -> int:
    """Run a sandbox until Ctrl-C, and return the exit status 0.

    The output is a shell script: `export` lines with the sandbox's environment, and comments.

    Args:
        sandbox: A sandbox that is not yet running.
        contents: Comments on the sandbox's data.

    Raises:
        OSError: The port is in use.
    """
    await sandbox.start()
    try:
        for name, value in sandbox.environment.items():
            print(f"export {name}={value}")
        for line in contents:
            print(f"# {line}")
        print("# running until Ctrl-C", flush=True)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    finally:
        await sandbox.aclose()
    return 0
