"""Raw TCP server that plays scripted responses byte by byte and records the requests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType

import attrs

from tests.support.loopback import LoopbackServer


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


def let_time_pass(seconds: float) -> Script:
    """Return a script that moves the clock of the event loop on, and then stalls."""

    async def play(
        received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + seconds  # type: ignore[method-assign]
        await stall()(received, reader, writer)

    return play


class Wire(LoopbackServer):
    """Server that plays one script per request, in order.

    The end of `async with` checks that all scripts were played. Without a script and a default,
    the connection of a request is closed.

    Args:
        scripts: Scripts of the first requests.
        default: Script of all later requests.
        tls: Context for https. None serves http.

    Attributes:
        received: All complete requests.
        bytes: Everything that was received, including incomplete requests and TLS handshakes.
    """

    def __init__(
        self, *scripts: Script, default: Script | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(tls)
        self._scripts = list(scripts)
        self._default = default
        self._failures: list[Exception] = []
        self.received: list[Received] = []
        self.bytes = bytearray()

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
            for connection in self._tasks - {asyncio.current_task()}:
                connection.cancel()
            writer.close()
            await asyncio.sleep(seconds)
            await self._listen()

        return play

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(exc_type, exc, traceback)
        if exc_type is None:
            for failure in self._failures:
                raise failure
            assert not self._scripts, f"{len(self._scripts)} scripts were not played"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                self.received.append(request := await self._read(reader))
                script = self._scripts.pop(0) if self._scripts else self._default
                if script is None:
                    break
                await script(request, reader, writer)
        except ConnectionError:
            pass
        except asyncio.IncompleteReadError as error:
            self.bytes += error.partial
        except Exception as error:
            self._failures.append(error)

    async def _read(self, reader: asyncio.StreamReader) -> Received:
        head = await reader.readuntil(b"\r\n\r\n")
        self.bytes += head
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, _, target = first.removesuffix(" HTTP/1.1").partition(" ")
        headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("Content-Length", "0")))
        self.bytes += body
        return Received(method, target, headers, body)
