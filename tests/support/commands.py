"""Runs a command line, in this process or in one of its own, against sandboxes in threads."""

from __future__ import annotations

import io
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import attrs
import pytest
import typer

from depotclient.sandbox import DepotSandbox
from evtransport.testing.sandbox import running_in_thread
from thorclient.sandbox import ThorSandbox

S = TypeVar("S", DepotSandbox, ThorSandbox)


class Terminal(io.TextIOWrapper):
    """A stream that passes for a terminal and keeps what was written to it."""

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
    """One of the command lines."""

    app: typer.Typer
    name: str

    def run(self, *argv: str) -> int:
        """Run it here; its exit status."""
        with pytest.raises(SystemExit) as stopped:
            self.app(list(argv), prog_name=self.name)
        assert isinstance(stopped.value.code, int)
        return stopped.value.code

    @contextmanager
    def started(self, *argv: str) -> Generator[subprocess.Popen[bytes]]:
        """Run it in a process of its own, ended at the latest after the block."""
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

    def completed(self, *argv: str) -> tuple[int, bytes, bytes]:
        """Status, stdout and stderr of it in a process of its own."""
        with self.started(*argv) as process:
            out, err = process.communicate(timeout=60)
            return process.returncode, out, err


@attrs.frozen
class Servers:
    """Starts sandboxes and has the environment point at the one started last."""

    monkeypatch: pytest.MonkeyPatch
    running: ExitStack

    def start(self, sandbox: S) -> S:
        self.running.enter_context(running_in_thread(sandbox))
        for name, value in sandbox.environment.items():
            self.monkeypatch.setenv(name, value)
        return sandbox


def in_shell(name: str, line: str, text: str = "") -> tuple[int, str, str]:
    """Return status, stdout and stderr of a command whose arguments and redirections `sh` reads."""
    done = subprocess.run(  # noqa: S602
        f"exec {shlex.quote(sys.executable)} -m {name} {line}",
        shell=True,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def read_terminal(
    name: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    interrupt: tuple[str, int] | None = None,
) -> tuple[int, str]:
    """Return the status of a command and its output on a terminal of 80 columns.

    Args:
        name: The package.
        argv: The arguments.
        env: The environment.
        interrupt: A text and a signal that the command gets when it has printed the text.
    """
    master, slave = pty.openpty()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", name, *argv], stdin=slave, stdout=slave, stderr=slave, env=env
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux tells that nobody holds the other end any more
            break
        if not part:
            break
        shown += part
        if interrupt is not None and interrupt[0].encode() in shown:
            process.send_signal(interrupt[1])
            interrupt = None
    os.close(master)
    return process.wait(60), shown.decode()
