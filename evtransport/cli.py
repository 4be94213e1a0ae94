"""What both command lines share: options, output that is safe to show, progress, and the end."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shlex
import signal
import sys
from collections.abc import Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Annotated, NoReturn, Protocol, TextIO

import attrs
import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from stamina.instrumentation import set_on_retry_hooks

from evtransport.errors import ApiError

__all__ = [
    "BROKEN_PIPE",
    "FAILED",
    "INTERRUPTED",
    "WRONG_USAGE",
    "JsonOption",
    "Meter",
    "PortOption",
    "SandboxOption",
    "cell",
    "clean",
    "command_line",
    "complain",
    "explain",
    "live_console",
    "metering",
    "outcome",
    "plain_table",
    "run",
    "serve",
    "terminal",
    "wants_json",
    "write_json",
]

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + 13  # SIGPIPE, by number since not every platform has the name

JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, one object a line, as is done wherever it is piped."),
]
SandboxOption = Annotated[
    bool, typer.Option("--sandbox", help="Ask an embedded sandbox server: no account is needed.")
]
PortOption = Annotated[
    int,
    typer.Option(min=0, max=65535, metavar="N", help="The port to listen at; 0 takes a free one."),
]

_CHARACTER = re.compile(r"[^ -~]")


def command_line(summary: str) -> typer.Typer:
    """A command line without commands yet, described by one paragraph."""
    return typer.Typer(
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # boxes would keep a docstring's line ends, and escape nothing
        # A bug's traceback must not print the locals: they may hold credentials.
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(command: Coroutine[object, object, int]) -> NoReturn:
    """Run a command to its end, whichever it comes to.

    Args:
        command: Results in the exit status.

    Raises:
        SystemExit: Always, with the status; what went wrong stands on stderr then.
    """
    # By default each retry is logged: by logging to stderr, or by structlog, where it happens to
    # be installed, to stdout in the midst of the JSON.
    set_on_retry_hooks(())
    try:
        status = asyncio.run(command)
        sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        _abandon_output()
        status = _report(stop)
    except (ApiError, ValueError, OSError) as error:
        status = _report(error)
    raise SystemExit(status)


def _report(error: BaseException) -> int:
    status, lines = outcome(error)
    for line in lines:
        complain(line)
    return status


def outcome(error: BaseException) -> tuple[int, tuple[str, ...]]:
    """The exit status that an error comes to, and the lines that tell of it."""
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED, ("interrupted",)
        case BrokenPipeError():
            return BROKEN_PIPE, ()
        case ApiError(cursor=cursor) if cursor is not None and cursor.offset:
            way_on = f"continue with: --resume {cursor}"
            return FAILED, (f"error: {explain(error)}", way_on)
        case ValueError():
            return WRONG_USAGE, (f"error: {explain(error)}",)
        case _:
            return FAILED, (f"error: {explain(error)}",)


def _abandon_output() -> None:
    """Let the interpreter's last flush go nowhere, instead of waiting or complaining."""
    with suppress(io.UnsupportedOperation):
        stdout = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stdout)
        os.close(nowhere)


def explain(error: BaseException) -> str:
    """An error with its notes in parentheses."""
    notes = getattr(error, "__notes__", ())
    message = str(error) or type(error).__name__
    return f"{message} ({'; '.join(notes)})" if notes else message


def complain(line: str) -> None:
    """Print one line on stderr."""
    print(clean(line), file=sys.stderr, flush=True)


def clean(text: str) -> str:
    """The text with every character that could steer a terminal written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def cell(value: object) -> Text:
    """A value for a table, taken as it is: no markup, no control characters; None is a dash."""
    return Text("-" if value is None else clean(str(value)))


def wants_json(asked: bool) -> bool:
    """Whether to print JSON: when asked to, and to whatever is no terminal."""
    return asked or not sys.stdout.isatty()


def write_json(*texts: bytes) -> None:
    """Print JSON texts, one a line, and flush.

    They go out byte for byte but for the white space between tokens; to a terminal, characters
    that could steer it go as the escapes that JSON has for them.
    """
    on_terminal = sys.stdout.isatty()
    with _interruptible():
        for text in texts:
            line = msgspec.json.format(text, indent=-1)
            _write_whole((_escaped(line) if on_terminal else line) + b"\n")
        sys.stdout.buffer.flush()


def _write_whole(data: bytes) -> None:
    # Under `python -u` the buffer is none: a signal, be it of a resized window, cuts a write short.
    rest = memoryview(data)
    while rest:
        rest = rest[sys.stdout.buffer.write(rest) :]


def _escaped(json: bytes) -> bytes:
    def escape(found: re.Match[str]) -> str:
        character = found[0]
        if character.isprintable():
            return character
        units = character.encode("utf-16-be").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return _CHARACTER.sub(escape, json.decode()).encode()


@contextmanager
def _interruptible() -> Generator[None]:
    """Have Ctrl-C break off a write to a reader that takes nothing.

    asyncio's own handler only cancels the task, which waits in that very write.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # ignored, as in the background of a script
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def terminal(stream: TextIO) -> Console:
    """A console that takes all text literally, and never fails for want of a character."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def plain_table(*, header: bool = True, gap: int = 2) -> Table:
    """A table without borders.

    Args:
        header: Show the columns' names and a line below them.
        gap: Columns of space between the columns, at least 1.
    """
    return Table(
        box=SIMPLE_HEAD,
        show_header=header,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),  # the box puts one column of its own in between
        header_style="bold",
    )


@attrs.frozen
class Meter:
    """A line on stderr that tells how far a command has come; without a display, nothing."""

    _display: Progress | None = None

    def show(self, text: str) -> None:
        """Replace the line's text."""
        if self._display is not None:
            self._display.update(self._display.task_ids[0], description=clean(text))

    @contextmanager
    def paused(self) -> Generator[None]:
        """Take the line away while something else is printed."""
        if self._display is None:
            yield
            return
        self._display.stop()
        try:
            yield
        finally:
            self._display.start()


def live_console() -> Console | None:
    """Where progress is shown: stderr, if that is a terminal."""
    console = terminal(sys.stderr)
    # Asked of the stream itself: environment variables can talk rich into taking a pipe for one.
    return console if sys.stderr.isatty() and console.is_interactive else None


@contextmanager
def metering(text: str) -> Generator[Meter]:
    """Show a `Meter` on stderr until the block ends, where stderr is a terminal."""
    console = live_console()
    if console is None:
        yield Meter()
        return
    display = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    display.add_task(clean(text), total=None)
    with display:
        yield Meter(display)


class Embedded(Protocol):
    """What `serve` needs of a sandbox."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that a client needs."""
        ...

    async def start(self) -> None:
        """Begin to listen."""
        ...

    async def aclose(self) -> None:
        """Stop."""
        ...


async def serve(sandbox: Embedded, *contents: str) -> int:
    """Run a sandbox until Ctrl-C, which is its regular end.

    What is printed can be sourced by a shell: `export` lines, and the rest in comments.

    Args:
        sandbox: Not running yet.
        contents: Lines on what there is to ask for.

    Raises:
        OSError: The port is taken.
    """
    await sandbox.start()
    try:
        for name, value in sandbox.environment.items():
            print(f"export {name}={shlex.quote(value)}")
        for line in contents:
            print(f"# {clean(line)}")
        print("# running until Ctrl-C", flush=True)
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        pass
    finally:
        await sandbox.aclose()
    return 0
