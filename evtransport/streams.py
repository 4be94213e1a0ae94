"""Standard streams of a command: closed ones are opened, and a failed write is explained."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ErrorStream", "OutputStream", "abandon_output", "open_streams"]


class _BlockingFile(io.FileIO):
    """A file that waits for its reader, whether the descriptor is in blocking mode or not."""

    def write(self, data: Buffer, /) -> int:
        """Write some of the bytes and return their number."""
        count: int | None
        while (count := super().write(data)) is None:
            select.select((), (self,), ())
        return count


class OutputStream(_BlockingFile):
    """Standard output, which names itself in its errors."""

    def write(self, data: Buffer, /) -> int:
        """Write some of the bytes and return their number.

        Raises:
            BrokenPipeError: The reader has gone.
            OSError: The stream is closed, the disk is full, or the terminal has gone.
        """
        try:
            return super().write(data)
        except OSError as error:
            problem = f"standard output can't be written: {error.strerror}"
            if error.errno == errno.EBADF:
                problem = "standard output is closed: use >/dev/null to discard the output"
            # Without a number: typer ends the process where it sees that of a broken pipe.
            raise type(error)(problem) from None


class ErrorStream(_BlockingFile):
    """Standard error, which drops text that it can't write: no place is left to report that."""

    def write(self, data: Buffer, /) -> int:
        """Write some of the bytes and return their number; return the length where that fails."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def open_streams() -> None:
    """Make `sys.stdout` and `sys.stderr` usable in whatever state the process got its streams.

    A closed descriptor reads as empty and fails when it is written. Characters that the encoding
    lacks are written as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system takes the lowest free number, which is this one. Files that are opened
            # later get others, so no stray message ends up in them.
            os.open(os.devnull, os.O_RDONLY)
    if os.name == "posix":  # pragma: no branch - a Windows console is no file
        sys.stdout = _text(OutputStream(1, "w", closefd=False), sys.stdout)
        sys.stderr = _text(ErrorStream(2, "w", closefd=False), sys.stderr)


def _text(file: io.FileIO, before: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding="utf-8" if before is None else before.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def abandon_output() -> None:
    """Discard what standard output still holds, so that no later flush waits or fails."""
    try:
        stdout = sys.stdout.fileno()
    except io.UnsupportedOperation:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stdout)
    os.close(nowhere)
