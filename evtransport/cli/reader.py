"""End of a command that waits for news once nobody reads its output."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ["ending_with_reader"]


@asynccontextmanager
async def ending_with_reader() -> AsyncGenerator[None]:
    """Cancel the block once the reader of the pipe at stdout has closed it.

    A write to the pipe fails too, but a command that waits may not write for hours. Without a pipe,
    nothing is watched.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
    """
    task, loop, pipe = asyncio.current_task(), asyncio.get_running_loop(), _output_pipe()
    if task is None or pipe is None:
        yield
        return
    is_closed = False

    def end() -> None:
        nonlocal is_closed
        is_closed = True
        loop.remove_reader(pipe)
        task.cancel()

    # Nothing is ever read here: the event means that the other end is closed.
    loop.add_reader(pipe, end)
    try:
        yield
    except asyncio.CancelledError:
        if not is_closed or task.uncancel():
            raise
        # Omit the errno: typer ends the process itself if it finds EPIPE.
        raise BrokenPipeError("the reader has closed the pipe") from None
    finally:
        loop.remove_reader(pipe)


def _output_pipe() -> int | None:
    """Return the descriptor of stdout if it is a pipe that the event loop can watch."""
    try:
        number = sys.stdout.fileno()
    except io.UnsupportedOperation:
        return None
    is_pipe = os.name == "posix" and stat.S_ISFIFO(os.fstat(number).st_mode)
    return number if is_pipe else None
