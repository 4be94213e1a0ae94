"""Runs a command line: in this process, in its own process, or on a terminal."""

from __future__ import annotations

import io
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import attrs
import pytest
import typer
from rich.console import Console, RenderableType

from depotclient.sandbox import DepotSandbox
from evtransport.cli.run import run_app
from evtransport.testing.sandbox import running_in_thread
from tests.support.waiting import until
from thorclient.sandbox import ThorSandbox

S = TypeVar("S", DepotSandbox, ThorSandbox)


class Terminal(io.TextIOWrapper):
    """Stream that passes for a terminal and keeps its text."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode()


@attrs.frozen
class Command:
    """A command line."""

    app: typer.Typer
    name: str

    def run(self, *argv: str) -> int:
        """Run the command line in this process and return its exit status."""
        with pytest.raises(SystemExit) as end:
            run_app(self.app, self.name, argv)
        assert isinstance(end.value.code, int)
        return end.value.code

    @contextmanager
    def started(self, *argv: str) -> Generator[subprocess.Popen[bytes]]:
        """Run the command line in its own process, and kill it after the block."""
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", self.name, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def started_sandbox(self, *argv: str) -> Generator[str]:
        """Run the command `sandbox` and yield its output. It ends with Ctrl-C after the block."""
        with self.started("sandbox", *argv) as process:
            assert process.stdout is not None
            lines = list[str]()
            while not lines or lines[-1] != "# running until Ctrl-C\n":
                lines.append(process.stdout.readline().decode())
                assert lines[-1], "the process ended early"
            yield "".join(lines)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out, err) == (0, b"", b"")

    def completed(self, *argv: str) -> tuple[int, bytes, bytes]:
        """Run the command line in its own process and return status, stdout and stderr."""
        with self.started(*argv) as process:
            out, err = process.communicate(timeout=60)
            return process.returncode, out, err

    def in_shell(self, line: str, text: str = "", before: str = "") -> tuple[int, str, str]:
        """Return status, stdout and stderr of a shell line with arguments and redirections.

        Args:
            line: Arguments and redirections.
            text: Standard input.
            before: Lines that the shell runs before.
        """
        done = subprocess.run(  # noqa: S602
            f"{before}exec {shlex.quote(sys.executable)} -m {self.name} {line}",
            shell=True,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def on_terminal(
        self, argv: Sequence[str], columns: int = 80, interrupt: tuple[str, int] | None = None
    ) -> tuple[int, str]:
        """Return the status and the output of a process on a pseudo-terminal.

        Args:
            argv: The arguments.
            columns: Width of the terminal.
            interrupt: A string, and the signal to send after the process has printed the string.
        """
        master, slave = pty.openpty()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", self.name, *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm", "COLUMNS": str(columns)},
        )
        os.close(slave)
        output = b""
        while part := _read(master):
            output += part
            if interrupt is not None and interrupt[0].encode() in output:
                process.send_signal(interrupt[1])
                interrupt = None
        os.close(master)
        return process.wait(60), output.decode()


def render(view: RenderableType) -> list[str]:
    """Return the lines of a view on a terminal of 80 columns."""
    screen = io.StringIO()
    Console(file=screen, width=80).print(view)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # On Linux, this error means that no process has the terminal open.
        return b""


@contextmanager
def sandboxes(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[S], S]]:
    """Yield a function that starts a sandbox and sets the environment for it."""
    with ExitStack() as running:

        def start(sandbox: S) -> S:
            running.enter_context(running_in_thread(sandbox))
            for name, value in sandbox.environment.items():
                monkeypatch.setenv(name, value)
            return sandbox

        yield start


@contextmanager
def signal_when(number: int, condition: Callable[[], bool]) -> Generator[None]:
    """Send a signal to this process once a condition is true during the block."""

    def send() -> None:
        until(condition, seconds=60)
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sender.join()


@contextmanager
def unwritable(reason: str) -> Generator[int]:
    """Yield a descriptor that rejects writes: disk `full`, `closed`, or its reader has `gone`."""
    match reason:
        case "full":
            descriptor = os.open("/dev/full", os.O_WRONLY)
        case "closed":
            descriptor = os.open(os.devnull, os.O_RDONLY)
        case _:
            reader, descriptor = os.pipe()
            os.close(reader)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
