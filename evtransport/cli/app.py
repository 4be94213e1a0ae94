"""Parts of a command line: its frame and common options."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Annotated, Final

import typer

from evtransport._version import __version__
from evtransport.cli.commands import Group, LazyCommand
from evtransport.cli.log import show_log

__all__ = ["JsonOption", "SandboxOption", "VerboseOption", "add_command", "command_line"]

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

_STATUSES: Final = (
    "Exit status: 0 success; 1 the server, the network or a file failed; 2 invalid arguments or"
    " settings; 128 plus the signal's number if a signal ended it (130 Ctrl-C, 143 SIGTERM); 141"
    " the reader closed the output. Messages and progress go to stderr."
)


_WIDTH: Final = 10_000  # Help is as wide as the terminal, which typer limits to 80 columns.


def command_line(summary: str) -> typer.Typer:
    """Return a command line without commands.

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


def add_command(
    app: typer.Typer, path: str, summary: str, settings: dict[str, bool] | None = None
) -> None:
    """Add a command to a command line.

    Args:
        app: The command line.
        path: Module and name of its function, such as `package.module:function`. The module is
            imported when the command runs.
        summary: First sentence of the function's docstring, for the help of the command line.
        settings: Settings of its context, such as `{"allow_extra_args": True}`.
    """
    name = path.rpartition(":")[2]
    register = app.command(name, cls=LazyCommand, help=summary, context_settings=settings)
    register(lambda: resolve_name(path))


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
