"""Raw TCP server that plays scripted responses byte by byte and records the requests."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

import attrs


@attrs.frozen
class Received:
    """Request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Function that responds to one request."""


def raw(data: bytes, *, close: bool = False) -> Script:
    """Return a script that sends exactly these bytes."""

    async def play(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()

    return play


def reply(
    body: bytes = b"{}",
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    length: int | None = None,
    close: bool = False,
) -> Script:
    """Return a script that sends a valid response. `length` overrides the Content-Length."""
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body) if length is None else length),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return raw(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body, close=close)


def hang_up() -> Script:
    """Return a script that closes the connection."""
    return raw(b"", close=True)


def reset() -> Script:
    """Return a script that resets the connection."""

    async def play(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return play


def stall(head: bytes = b"") -> Script:
    """Return a script that sends these bytes and then waits until the client disconnects."""

    async def play(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        await reader.read()

    return play


class Wire:
    """Server that plays one script per request, in order.

    The end of `async with` checks that all scripts were played. Without a script and a default,
    the connection of a request is closed.

    Args:
        scripts: Scripts of the first requests.
        default: Script of all later requests.
        tls: Context for https. None serves http.
    """

    def __init__(
        self, *scripts: Script, default: Script | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self._scripts = list(scripts)
        self._default = default
        self._connections: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._port = 0
        self.received: list[Received] = []
        self.open_connections = 0
        self.connections = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def then(self, scripts: Iterable[Script]) -> None:
        self._scripts.extend(scripts)

    def forget_scripts(self) -> int:
        """Drop the scripts that were not played, and return their number."""
        left = len(self._scripts)
        self._scripts.clear()
        return left

    def then_refuse(self, script: Script, seconds: float) -> Script:
        """Return a script that also refuses connections for a while afterwards, like a restart."""

        async def play(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await self._stop_listening()
            await script(request, reader, writer)
            for connection in self._connections - {asyncio.current_task()}:
                connection.cancel()
            writer.close()
            await asyncio.sleep(seconds)
            await self._listen()

        return play

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        # On some Pythons, closing a server leaks connections that it has just accepted.
        loop = asyncio.get_running_loop()
        for listener in self._server.sockets:
            loop.remove_reader(listener.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        self._server.close()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop_listening()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if exc_type is None:
            for failure in self._failures:
                raise failure
            assert not self._scripts, f"{len(self._scripts)} scripts were not played"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(lambda done: self._leave(done, writer))

    def _leave(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self.open_connections -= 1
        self._connections.discard(task)
        writer.close()
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                request = await _read(reader)
                self.received.append(request)
                script = self._scripts.pop(0) if self._scripts else self._default
                if script is None:
                    break
                await script(request, reader, writer)


async def _read(reader: asyncio.StreamReader) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if line)
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Received(method, target, headers, body)
