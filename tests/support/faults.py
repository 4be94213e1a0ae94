"""Network and server faults as scripts of the tests' TCP server.

The keys F1 to F20 name the kinds. A kind may have several forms.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Literal

import attrs

from tests.support.responses import BodyOf, chunk, head, respond, response, serve
from tests.support.wire import Received, Script, Wire


@attrs.frozen
class Fault:
    """One way in which a response goes wrong.

    Attributes:
        key: Kind of the fault, such as "F6".
        name: Description of the fault.
        data: Returns the bytes to send in place of a correct body.
        end: What happens to the connection after the last byte.
        pause: Wait after each byte, in seconds. Without a wait, all bytes are sent at once.
    """

    key: str
    name: str
    data: Callable[[bytes], bytes]
    end: Literal["close", "keep", "reset", "stall"] = "close"
    pause: float = 0.0

    def __str__(self) -> str:
        return f"{self.key} {self.name}"

    def script(self, body_of: BodyOf) -> Script:
        """Return a script that sends the faulty form of the correct response."""

        async def play(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            data = self.data(body_of(request))
            step = 1 if self.pause else max(len(data), 1)
            for start in range(0, len(data), step):
                writer.write(data[start : start + step])
                await writer.drain()
                await asyncio.sleep(self.pause)
            if self.end == "stall":
                await reader.read()
            elif self.end == "reset":
                writer.transport.abort()
            elif self.end == "close":
                writer.close()

        return play


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _nothing(_: bytes) -> bytes:
    return b""


def _half_a_body(body: bytes) -> bytes:
    return head(Content_Length=len(body)) + _half(body)


def _wrong_checksum(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return packed[:-8] + b"\0\0\0\0" + packed[-4:]


def _tiny_chunks(body: bytes) -> bytes:
    return CHUNKED + b"".join(chunk(bytes([byte])) for byte in body) + b"0\r\n\r\n"


def _responding(
    key: str,
    name: str,
    changed: Callable[[bytes], bytes],
    status: int = 200,
    /,
    **headers: object,
) -> Fault:
    """Return a fault that sends a well-formed response and keeps the connection."""
    return Fault(key, name, lambda body: response(changed(body), status, **headers), "keep")


def _failing(key: str, name: str, status: int, **headers: object) -> Fault:
    """Return a fault that sends an error status."""
    return _responding(key, name, lambda _: b'{"message": "not now"}', status, **headers)


CHUNKED = head(Transfer_Encoding="chunked")
_UNREACHABLE = "http://127.0.0.1:9/other"
_MANY_HEADERS: dict[str, object] = {f"X-{n}": "v" for n in range(200)}

# F1, F3 and F18 need more than one connection or request: they are the functions below.
ONE_RESPONSE: tuple[Fault, ...] = (
    Fault("F2", "closed before the head", _nothing),
    Fault("F4", "reset before the head", _nothing, "reset"),
    Fault("F4", "reset inside the body", _half_a_body, "reset"),
    Fault("F5", "closed inside the head", lambda body: response(body)[:20]),
    Fault("F5", "garbage for a status line", lambda body: b"HELO\r\n\r\n" + body),
    Fault("F6", "body shorter than its length", _half_a_body),
    Fault("F7", "body longer than its length", lambda body: response(body) + b'{"more": 1}'),
    Fault("F8", "chunked, cut in a chunk", lambda b: CHUNKED + chunk(b)[: len(b) // 2]),
    Fault("F8", "chunked, no last chunk", lambda b: CHUNKED + chunk(_half(b))),
    Fault("F8", "chunked, bad size", lambda b: CHUNKED + b"zz\r\n" + b),
    Fault("F9", "no length, cut", lambda b: head(Connection="close") + _half(b)),
    _responding(
        *("F10", "gzip cut, its length correct", lambda b: _half(gzip.compress(b))),
        Content_Encoding="gzip",
    ),
    Fault(
        *("F11", "gzip with a wrong checksum"),
        lambda b: response(_wrong_checksum(b), Content_Encoding="gzip"),
    ),
    _responding("F11", "unknown encoding", zlib.compress, Content_Encoding="snappy"),
    Fault("F13", "stall before the head", _nothing, "stall"),
    Fault("F13", "stall in the body", _half_a_body, "stall"),
    *(_failing("F15", f"status {code}", code) for code in (408, 429, 500, 502, 503, 504)),
    _failing("F15", "429, Retry-After 0", 429, Retry_After=0),
    _failing("F15", "503, Retry-After 0", 503, Retry_After=0),
    _failing("F15", "503, Retry-After of a day", 503, Retry_After=86400),
    _responding("F15", "200 with HTML", lambda _: b"<html><h1>Hello", Content_Type="text/html"),
    _responding("F16", "bad UTF-8", lambda body: body[:-1] + b', "x": "\xff"}'),
    _responding("F16", "truncated JSON", _half),
    _responding("F16", "no JSON", lambda _: b""),
    _responding("F16", "wrong shape", lambda _: b"[1, 2]"),
    *(
        _failing("F17", f"redirect {code}", code, Location=_UNREACHABLE)
        for code in (301, 302, 303, 307, 308)
    ),
    _failing("F19", "401", 401),
    Fault("F20", "header line of 9 kB", lambda body: response(body, X_Long="v" * 9000)),
    _responding("F20", "200 headers", lambda body: body, **_MANY_HEADERS),
    Fault("F20", "tiny chunks", _tiny_chunks, "keep"),
)
"""Faults of a single response."""

BYTE_BY_BYTE = Fault("F14", "one byte a second", response, pause=1)
"""Only a deadline ends this fault: no pause exceeds a read timeout."""


def refuse_connections(wire: Wire, body_of: BodyOf, seconds: float = 0.01) -> Script:
    """F1: respond, then refuse connections for a while."""
    return wire.then_refuse(serve(body_of), seconds)


def close_at_next_request(body_of: BodyOf) -> Script:
    """F3: respond, and close the kept connection when the next request arrives."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(response(body_of(request)))
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    return play


def close_while_idle(body_of: BodyOf) -> Script:
    """F3: respond, and close the kept connection without announcing it."""
    return respond(lambda request: response(body_of(request)), close=True)


def send_extra_response(body_of: BodyOf, extra: bytes) -> Script:
    """F18: respond, and send a second response that nobody requested."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(response(body_of(request)))
        await writer.drain()
        await asyncio.sleep(0.005)
        writer.write(response(extra))

    return play


_MEBIBYTE = b" " * 2**20


def _gzip(mebibytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    yield head(Content_Encoding="gzip", Connection="close")
    yield from map(packer.compress, repeat(_MEBIBYTE, mebibytes))
    yield packer.flush()


def _plain(mebibytes: int) -> Iterator[bytes]:
    yield head(Content_Length=mebibytes * 2**20)
    yield from repeat(_MEBIBYTE, mebibytes)


def _chunks(mebibytes: int) -> Iterator[bytes]:
    yield CHUNKED
    yield from repeat(chunk(_MEBIBYTE), mebibytes)


TOO_LARGE: dict[str, Callable[[int], Iterator[bytes]]] = {
    "gzip": _gzip,
    "plain": _plain,
    "chunks": _chunks,
}
"""F12: forms of a response that no client should hold, by its size in MiB."""


def send_too_much(form: str, mebibytes: int, status: int = 200) -> Script:
    """F12: send a response of this size in one of the forms of `TOO_LARGE`."""
    status_line = f"HTTP/1.1 {status}".encode()

    async def play(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in TOO_LARGE[form](mebibytes):
            writer.write(piece.replace(b"HTTP/1.1 200", status_line))
            await writer.drain()
        writer.close()

    return play
