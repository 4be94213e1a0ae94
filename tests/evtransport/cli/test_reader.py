"""A command that waits for news ends with the reader of its pipe."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from evtransport.cli.reader import ending_with_reader
from tests.support.commands import Terminal


@contextmanager
def piped_output(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """Replace stdout by a pipe during the block. Yield the other end."""
    reader, writer = os.pipe()
    with open(reader) as file, open(writer, "w") as output:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", output)
        yield file


async def wait_with_reader(started: asyncio.Event) -> None:
    async with ending_with_reader():
        started.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("is_cancelled", "error"), [(False, BrokenPipeError), (True, asyncio.CancelledError)]
)
async def test_the_block_ends_once_the_reader_has_closed_the_pipe(
    is_cancelled: bool, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()
    with piped_output(monkeypatch) as reader:
        task = asyncio.create_task(wait_with_reader(started))
        await started.wait()
        if is_cancelled:
            task.cancel()
        reader.close()
        with pytest.raises(error):
            await task
    assert task.cancelling() == is_cancelled


async def test_the_pipe_is_not_watched_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    with piped_output(monkeypatch):
        async with ending_with_reader():
            pass
        assert asyncio.get_running_loop().remove_reader(sys.stdout.fileno()) is False


@pytest.mark.parametrize("kind", ["file", "terminal"])
async def test_other_outputs_are_not_watched(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file if kind == "file" else Terminal())
        async with ending_with_reader():
            assert asyncio.current_task() is not None
