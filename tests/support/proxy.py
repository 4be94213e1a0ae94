"""Forward proxy on loopback for plain http and tunnels, which records the heads of requests."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from pathlib import Path

from yarl import URL

from tests.support.loopback import LoopbackServer

CERTIFICATE = str(Path(__file__).parent / "localhost.pem")
"""Self-signed certificate of localhost and 127.0.0.1 with its key, only for tests."""

REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


def server_tls() -> ssl.SSLContext:
    """Return the TLS context of a server on localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_tls() -> ssl.SSLContext:
    """Return the TLS context of a client that trusts this server."""
    return ssl.create_default_context(cafile=CERTIFICATE)


class LoopbackProxy(LoopbackServer):
    """Forward proxy that relays to any target.

    Args:
        refuses: Respond to all requests with 407.
    """

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__()
        self._refuses = refuses
        self.heads: list[str] = []

    @property
    def first_lines(self) -> list[str]:
        """The first line of each request."""
        return [head.partition("\r\n")[0] for head in self.heads]

    @property
    def authorizations(self) -> list[str]:
        """Values of all authorization headers."""
        return re.findall(r"(?i)^[^:]*authorization: (.*)\r$", "".join(self.heads), re.MULTILINE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                if self._refuses:
                    writer.write(REFUSAL)
                elif head.startswith("CONNECT "):
                    await _tunnel(head.split(" ")[1], reader, writer)
                    return
                else:
                    await _relay(head, reader, writer)


async def _tunnel(target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host, _, port = target.rpartition(":")
    from_server, to_server = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))
    finally:
        to_server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _relay(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Relay one request in absolute form and its response. Both need a Content-Length."""
    method, target, version = head.partition("\r\n")[0].split(" ")
    url = URL(target, encoded=True)
    from_server, to_server = await asyncio.open_connection(url.host, url.port)
    try:
        lines = [line for line in head.split("\r\n")[1:] if not line.lower().startswith("proxy-")]
        to_server.write("\r\n".join([f"{method} {url.raw_path_qs} {version}", *lines]).encode())
        to_server.write(await reader.readexactly(_length(head)))
        response = await from_server.readuntil(b"\r\n\r\n")
        body = await from_server.readexactly(_length(response.decode("latin-1")))
        writer.write(response + body)
        await writer.drain()
    finally:
        to_server.close()


def _length(head: str) -> int:
    found = re.search(r"(?i)\r\ncontent-length: *([0-9]+)", head)
    return int(found[1]) if found else 0
