"""Raw HTTP responses for the tests' TCP server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.wire import Received, Script

BodyOf = Callable[[Received], bytes]
"""Returns the body of the correct response to a request."""


def head(status: int = 200, /, **headers: object) -> bytes:
    """Return the head of a JSON response. An underscore in a header's name becomes a hyphen."""
    lines = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{text}\r\n".encode()


def response(body: bytes, status: int = 200, /, **headers: object) -> bytes:
    """Return a complete response."""
    return head(status, Content_Length=len(body), **headers) + body


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def respond(response_to: Callable[[Received], bytes], *, close: bool = False) -> Script:
    """Send the bytes that `response_to` returns for the request."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(response_to(request))
        await writer.drain()
        if close:
            writer.close()

    return play


def serve(body_of: BodyOf) -> Script:
    """Send the correct response."""
    return respond(lambda request: response(body_of(request)))
