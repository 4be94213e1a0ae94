"""HTTP server that keeps every byte it receives and sends the same response to every request."""

from __future__ import annotations

import asyncio
import contextlib
import re

from tests.support.loopback import LoopbackServer
from tests.support.responses import response


class Listener(LoopbackServer):
    """Server of one response.

    Attributes:
        received: All bytes received, also of a TLS handshake.
        requests: All complete requests.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self.received = bytearray()
        self.requests: list[bytes] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    self.received += head
                    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                    body = await reader.readexactly(int(length[1]) if length else 0)
                    self.received += body
                    self.requests.append(head + body)
                    writer.write(response(self._body))
                    await writer.drain()
            except asyncio.IncompleteReadError as error:
                self.received += error.partial
