"""Standard streams of a command: open closed ones, and explain failed writes."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ErrorStream", "OutputStream", "discard_output", "open_streams"]


class _BlockingFile(io.FileIO):
    """File that waits for its reader, even if the descriptor is in non-blocking mode."""

    def write(self, data: Buffer, /) -> int:
        """Write some of the bytes and return their number."""
        count: int | None
        while (count := super().write(data)) is None:
            select.select((), (self,), ())
        return count


class OutputStream(_BlockingFile):
    """Standard output, with errors that name it."""

    def write(self, data: Buffer, /) -> int:
        """Write some of the bytes and return their number.

        Raises:
            BrokenPipeError: The reader has closed the pipe.
            OSError: The stream is closed, the disk is full, or the terminal is gone.
        """
        try:
            return super().write(data)
        except OSError as error:
            problem = f"can't write to standard output: {error.strerror}"
            if error.errno == errno.EBADF:
                problem = "standard output is closed: use >/dev/null to discard the output"
            # Omit the errno: typer ends the process itself if it finds EPIPE.
            raise type(error)(problem) from None


class ErrorStream(_BlockingFile):
    """Standard error, which drops text that it can't write: no stream is left to report it."""

    def write(self, data: Buffer, /) -> int:
        """Write some of the bytes and return their number. If the write fails, drop all of them."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def open_streams() -> None:
    """Make `sys.stdout` and `sys.stderr` usable, even if their descriptors are closed.

    A closed descriptor is opened so that it reads as empty and a write to it fails. Characters that
    the encoding lacks are written as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system assigns the lowest free number, which is this one. Otherwise, a file that
            # is opened later gets this number, and messages are written into it.
            os.open(os.devnull, os.O_RDONLY)
    if os.name == "posix":  # pragma: no branch - a Windows console is not a file
        sys.stdout = _open_text(OutputStream(1, "w", closefd=False), sys.stdout)
        sys.stderr = _open_text(ErrorStream(2, "w", closefd=False), sys.stderr)


def _open_text(file: io.FileIO, previous: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding="utf-8" if previous is None else previous.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def discard_output() -> None:
    """Discard the buffer of standard output, so that no later flush waits or fails."""
    try:
        descriptor = sys.stdout.fileno()
    except io.UnsupportedOperation:
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
