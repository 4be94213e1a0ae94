"""A raw TCP server that plays scripted answers, to the byte, and logs what arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

import attrs


@attrs.frozen
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request that has been read."""


def raw(data: bytes, *, close: bool = False) -> Script:
    """Send exactly these bytes."""

    async def play(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()

    return play


def answer(
    body: bytes = b"{}",
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    length: int | None = None,
    close: bool = False,
) -> Script:
    """A well-formed answer; `length` lies about the body's."""
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body) if length is None else length),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return raw(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body, close=close)


def hang_up() -> Script:
    """Close without a word."""
    return raw(b"", close=True)


def reset() -> Script:
    """Reset the connection."""

    async def play(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return play


def stall(head: bytes = b"") -> Script:
    """Send that much and nothing more until the peer goes away."""

    async def play(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        await reader.read()

    return play


class Wire:
    """Plays one script for each request, in order; `async with` checks that all were played."""

    def __init__(self, *scripts: Script, default: Script | None = None) -> None:
        self._scripts = list(scripts)
        self._default = default
        self._connections: set[asyncio.Task[None]] = set()
        self.received: list[Received] = []
        self.open_connections = 0

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    def then(self, scripts: Iterable[Script]) -> None:
        self._scripts.extend(scripts)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if exc_type is None:
            assert not self._scripts, f"{len(self._scripts)} scripts were not played"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.open_connections += 1
        try:
            while not writer.is_closing() and (request := await _read(reader)) is not None:
                self.received.append(request)
                script = self._scripts.pop(0) if self._scripts else self._default
                assert script is not None, f"no script left for {request}"
                await script(request, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            self._connections.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if line)
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Received(method, target, headers, body)
