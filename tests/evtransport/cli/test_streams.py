"""Standard streams: closed or full ones give clear errors, and slow ones lose no byte."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from evtransport.cli.streams import ErrorStream, OutputStream, discard_output, open_streams
from tests.support.commands import unwritable

CLOSED = "standard output is closed: use >/dev/null to discard the output"


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("full", OSError, "can't write to standard output: No space left on device"),
        ("closed", OSError, CLOSED),
        ("gone", BrokenPipeError, "can't write to standard output: Broken pipe"),
    ],
)
def test_a_failed_write_names_the_output_and_messages_are_dropped(
    kind: str, error: type[OSError], message: str
) -> None:
    with unwritable(kind) as number:
        with pytest.raises(error) as failed:
            OutputStream(number, "w", closefd=False).write(b"text")
        with io.TextIOWrapper(io.BufferedWriter(ErrorStream(number, "w", closefd=False))) as stream:
            stream.write("message\n" * 10_000)
    assert type(failed.value) is error
    assert str(failed.value) == message


@pytest.mark.parametrize("kind", [OutputStream, ErrorStream])
def test_a_slow_reader_gets_every_byte_of_a_non_blocking_stream(
    kind: type[io.FileIO],
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    with pytest.raises(BlockingIOError):
        while True:
            filled += os.write(writer, b"." * 4096)
    found: list[bytes] = []

    def read() -> None:
        with open(reader, "rb") as file:  # noqa: PTH123
            found.append(file.read())

    reading = threading.Thread(target=read)
    with io.BufferedWriter(kind(writer, "w")) as stream:
        reading.start()
        stream.write(b"data" * 100_000)
    reading.join(60)
    assert found == [b"." * filled + b"data" * 100_000]


@contextmanager
def standard_descriptors_closed() -> Iterator[None]:
    saved = [os.dup(number) for number in range(3)]
    for number in range(3):
        os.close(number)
    try:
        yield
    finally:
        for number, copy in enumerate(saved):
            os.dup2(copy, number)
            os.close(copy)


def test_closed_streams_are_opened_so_that_no_file_takes_their_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with standard_descriptors_closed():
        open_streams()
        next_number = os.open(os.devnull, os.O_RDONLY)
        os.close(next_number)
        typed = os.read(0, 1)
        print("message", file=sys.stderr, flush=True)
        with pytest.raises(OSError, match=CLOSED):
            print("text", flush=True)
        discard_output()
        sys.stdout.flush()
    assert next_number > 2
    assert typed == b""


def test_open_streams_keep_their_encoding_and_lose_no_character(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    open_streams()
    print("zoë", flush=True)
    print("🚌 \udcff", file=sys.stderr, flush=True)
    assert capfd.readouterr() == ("zo\\xeb\n", "\\U0001f68c \\udcff\n")
