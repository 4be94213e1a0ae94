"""Output of the commands: text that is safe on a terminal, messages, JSON lines and tables."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evtransport.cli.signals import handling_signals, interrupt
from evtransport.surrogates import join_lines

__all__ = [
    "cell",
    "echo_error",
    "escape_controls",
    "format_error",
    "literal_console",
    "output_console",
    "plain_table",
    "prints_json",
    "write_json",
    "write_line",
]

_MIN_WIDTH = 80


def escape_controls(text: str) -> str:
    r"""Return the text with each unprintable character as a JSON escape, such as `\u001b`.

    Such characters, for example in a vehicle's name, can control a terminal.
    """
    # This is 100 times faster than the loop, and true for almost all strings.
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in text
    )


def format_error(error: BaseException) -> str:
    """Return the message of an error, with its notes in parentheses."""
    notes = getattr(error, "__notes__", ())
    message = str(error) or type(error).__name__
    return f"{message} ({'; '.join(notes)})" if notes else message


def echo_error(line: str) -> None:
    """Print one line on stderr."""
    print(escape_controls(line), file=sys.stderr, flush=True)


def prints_json(requested: bool) -> bool:
    """Return True if JSON is requested or stdout is not a terminal."""
    return requested or not sys.stdout.isatty()


def write_json(*texts: bytes) -> None:
    """Print JSON texts, one per line, and flush.

    White space between tokens is removed. All other bytes stay the same on a pipe. A terminal gets
    unprintable characters as JSON escapes.
    """
    on_terminal = sys.stdout.isatty()
    # A blocked write does not end if its task is cancelled. It ends if a signal handler raises.
    with handling_signals(interrupt):
        for text in texts:
            line = join_lines(text)
            if on_terminal:
                line = escape_controls(line.decode()).encode()
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


def write_line(text: str) -> None:
    """Print one line of text, with unprintable characters as JSON escapes, and flush."""
    with handling_signals(interrupt):
        print(escape_controls(text), flush=True)


def literal_console(stream: TextIO) -> Console:
    """Return a console that prints all text literally, without markup."""
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def output_console() -> Console:
    """Return a console for tables on stdout, at least 80 columns wide.

    A narrower terminal wraps the lines. A narrower table loses text.
    """
    console = literal_console(sys.stdout)
    console.width = max(console.width, _MIN_WIDTH)
    return console


def plain_table(*, header: bool = True, gap: int = 2) -> Table:
    """Return an empty table without borders.

    Args:
        header: Show the names of the columns and a line below them.
        gap: Number of spaces between columns, at least 1.
    """
    return Table(
        box=SIMPLE_HEAD,
        show_header=header,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),  # The box adds one space.
        header_style="bold",
    )


def cell(value: object) -> Text:
    """Return a value as literal text for a table. None is shown as a dash."""
    return Text("-" if value is None else escape_controls(str(value)))
