"""What both command lines share: options, output that is safe to show, progress, and the end."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Final, NoReturn, Protocol, TextIO, TypeAlias, TypeVar

import attrs
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from stamina.instrumentation import set_on_retry_hooks

from evtransport.cli.streams import discard_output, open_streams
from evtransport.errors import ApiError
from evtransport.surrogates import in_one_line

__all__ = [
    "BROKEN_PIPE",
    "FAILED",
    "INTERRUPTED",
    "WRONG_USAGE",
    "JsonOption",
    "PortOption",
    "ProgressLine",
    "SandboxOption",
    "cell",
    "clean",
    "command_line",
    "echo_error",
    "format_error",
    "live_display",
    "main",
    "outcome",
    "output_console",
    "plain_table",
    "progress_line",
    "reporting",
    "result_of",
    "run",
    "serve",
    "terminal",
    "wants_json",
    "write_json",
]

T = TypeVar("T")

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + 13  # SIGPIPE, by number since not every platform has the name

_SIGNALS: Final = signal.Signals.__members__  # Windows lacks some
ENDING_SIGNALS: Final = tuple(
    _SIGNALS[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if name in _SIGNALS
)
"""Signals that end a process by default."""

SUSPENDING_SIGNALS: Final = tuple(_SIGNALS[name] for name in ("SIGTSTP",) if name in _SIGNALS)
"""Signals that suspend a process, such as Ctrl-Z."""

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

STATUSES: Final = (
    "Exit status: 0 done; 1 the server, the network or a file failed; 2 wrong arguments or"
    " settings; 128 plus the signal's number if a signal ended it (130 Ctrl-C, 143 SIGTERM); 141"
    " the reader of the output has gone. Messages and progress go to stderr."
)

_CHARACTER = re.compile(r"[^ -~]")


def command_line(summary: str) -> typer.Typer:
    """A command line without commands yet, described by one paragraph."""
    return typer.Typer(
        help=summary,
        epilog=STATUSES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # boxes would keep a docstring's line ends, and escape nothing
        # A bug's traceback must not print the locals: they may hold credentials.
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def main(app: typer.Typer, name: str) -> None:
    """Run a command line as the main program of this process.

    Raises:
        SystemExit: Always, with the exit status.
    """
    open_streams()
    with reporting():
        app(prog_name=name)


def run(command: Coroutine[object, object, int]) -> NoReturn:
    """Run a command to its end.

    Args:
        command: Results in the exit status.

    Raises:
        SystemExit: Always, with the exit status.
    """
    with reporting():
        status = result_of(command)
    raise SystemExit(status)


def result_of(command: Coroutine[object, object, T]) -> T:
    """Run a command to its end and return its result.

    The first signal cancels the command, so that it cleans up. A second signal ends it at once.

    Raises:
        KeyboardInterrupt: A signal ended the command. Its argument is the signal.
    """
    # By default each retry is logged: by logging to stderr, or by structlog, where it happens to
    # be installed, to stdout in the midst of the JSON.
    set_on_retry_hooks(())
    received: list[int] = []
    try:
        result = asyncio.run(_cancelled_by_signals(command, received))
    except (asyncio.CancelledError, OSError):  # OSError: the terminal has gone
        if received:
            _interrupt(received[0], None)
        raise
    # Ctrl-C may be the regular end of a command, such as a sandbox.
    if received and received[0] != signal.SIGINT:
        _interrupt(received[0], None)
    return result


@contextmanager
def reporting() -> Generator[None]:
    """Report a failure of the block on stderr and end the process with its status.

    Signals that end a process interrupt the block.

    Raises:
        SystemExit: The block failed. `STATUSES` lists the exit statuses.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        _interrupt(number, frame)

    try:
        with _handling_signals(interrupt, _if_main_thread(ENDING_SIGNALS)):
            try:
                yield
            except SystemExit:
                if received:  # While typer parses arguments, it makes its own status of a signal.
                    _interrupt(received[0], None)
                raise
            sys.stdout.flush()
    except (KeyboardInterrupt, ApiError, ValueError, OSError, ImportError) as error:
        _flush_or_discard_output(error)
        status, lines = outcome(error)
        for line in lines:
            echo_error(line)
        raise SystemExit(status) from None


def outcome(error: BaseException) -> tuple[int, tuple[str, ...]]:
    """The exit status that an error comes to, and the lines that tell of it."""
    match error:
        case KeyboardInterrupt(args=(signal.Signals() as number,)) if number != signal.SIGINT:
            return 128 + number, (f"ended by {number.name}",)
        case KeyboardInterrupt():
            return INTERRUPTED, ("interrupted",)
        case BrokenPipeError():
            return BROKEN_PIPE, ()
        case ApiError(cursor=cursor) if cursor is not None and cursor.offset:
            next_step = f"continue with: --resume {cursor}"
            return FAILED, (f"error: {format_error(error)}", next_step)
        case ValueError():
            return WRONG_USAGE, (f"error: {format_error(error)}",)
        case _:
            return FAILED, (f"error: {format_error(error)}",)


def _flush_or_discard_output(error: BaseException) -> None:
    """Flush standard output, or discard its buffer if that fails or may block."""
    if isinstance(error, KeyboardInterrupt | BrokenPipeError):  # a flush may wait for the reader
        discard_output()
        return
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()


SignalHandler: TypeAlias = Callable[[int, FrameType | None], None] | signal.Handlers


def _if_main_thread(numbers: Sequence[int]) -> Sequence[int]:
    """Return the signals in the main thread, none in other threads, which can't handle signals."""
    return numbers if threading.current_thread() is threading.main_thread() else ()


@contextmanager
def _handling_signals(
    handler: SignalHandler, numbers: Sequence[int] = ENDING_SIGNALS
) -> Generator[None]:
    """Handle signals during the block, except those that the process ignores.

    A process ignores Ctrl-C as a background job of a shell, and SIGHUP under `nohup`.

    Raises:
        ValueError: This is not the main thread.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    replaced = {number: old for number, old in before.items() if old not in {None, signal.SIG_IGN}}
    for number in replaced:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in replaced.items():
            signal.signal(number, old)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number))


async def _cancelled_by_signals(command: Coroutine[object, object, T], received: list[int]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if task is None or len(received) > 1:
            _interrupt(number, frame)
        else:
            task.cancel()
            loop.call_soon_threadsafe(lambda: None)  # wake up the loop

    with _handling_signals(cancel, _if_main_thread(ENDING_SIGNALS)):
        return await command


def format_error(error: BaseException) -> str:
    """An error with its notes in parentheses."""
    notes = getattr(error, "__notes__", ())
    message = str(error) or type(error).__name__
    return f"{message} ({'; '.join(notes)})" if notes else message


def echo_error(line: str) -> None:
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

    Raises:
        ValueError: This is not the main thread, the only one that signals can interrupt.
    """
    on_terminal = sys.stdout.isatty()
    # Cancelling the task does not end a write that blocks. An exception in the handler does.
    with _handling_signals(_interrupt):
        for text in texts:
            line = in_one_line(text)
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


def terminal(stream: TextIO) -> Console:
    """A console that takes all text literally, and never fails for want of a character."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="replace")
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def output_console() -> Console:
    """Return a console for tables on stdout, at least 80 columns wide.

    A narrower terminal wraps the lines. A narrower table would lose text.
    """
    console = terminal(sys.stdout)
    console.width = max(console.width, 80)
    return console


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
class ProgressLine:
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
        yield  # do not restart after an error: the line would overwrite the output
        self._display.start()


@contextmanager
def live_display(*columns: ProgressColumn) -> Generator[Progress | None]:
    """Show progress on stderr until the block ends. Yield None if stderr is no terminal."""
    console = terminal(sys.stderr)
    # Asked of the stream itself: environment variables can talk rich into taking a pipe for one.
    if not (sys.stderr.isatty() and console.is_interactive):
        yield None
        return
    display = Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    with display, _handling_signals(_suspend, _if_main_thread(SUSPENDING_SIGNALS)):
        yield display


def _suspend(number: int, _: FrameType | None) -> None:
    """Suspend the process as Ctrl-Z does, and show the cursor while the shell has the terminal."""
    os.write(sys.stderr.fileno(), b"\x1b[?25h")
    with _handling_signals(signal.SIG_DFL, SUSPENDING_SIGNALS):
        signal.raise_signal(number)
    os.write(sys.stderr.fileno(), b"\x1b[?25l")


@contextmanager
def progress_line(text: str) -> Generator[ProgressLine]:
    """Show a `ProgressLine` on stderr until the block ends, where stderr is a terminal."""
    spinner, description = SpinnerColumn("line"), TextColumn("{task.description}", markup=False)
    with live_display(spinner, description, TimeElapsedColumn()) as display:
        if display is not None:
            display.add_task(clean(text), total=None)
        yield ProgressLine(display)


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
