"""Everything that goes wrong between a client and an HTTP server, each as a script of the wire.

The keys F1 to F20 name the kinds; a kind may have several forms.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Literal

import attrs

from tests.support.wire import Received, Script, Wire

Honest = Callable[[Received], bytes]
"""The body of the right answer to a request."""

Cure = Literal["attempt", "later", "none needed"]


@attrs.frozen
class Fault:
    """One way in which an answer goes wrong.

    Attributes:
        key: The kind, as "F6".
        name: What happens.
        pieces: What is sent for a right body, piece by piece; the connection is closed after it
            where `closes` says so.
        cure: Whether another attempt of the same call mends it, or only a later call (the call
            ends with an error first), or whether the call must come out right as it is.
        closes: The connection is closed afterwards.
        idle: Seconds between the pieces.
        resets: The connection is reset instead of closed.
        stalls: Nothing more is sent, and the connection stays open until the client leaves.
    """

    key: str
    name: str
    pieces: Callable[[bytes], list[bytes]]
    cure: Cure = "attempt"
    closes: bool = True
    idle: float = 0.0
    resets: bool = False
    stalls: bool = False

    def __str__(self) -> str:
        return f"{self.key} {self.name}"

    def script(self, honest: Honest) -> Script:
        """Play it in the place of the right answer."""

        async def play(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            for piece in self.pieces(honest(request)):
                writer.write(piece)
                await writer.drain()
                if self.idle:
                    await asyncio.sleep(self.idle)
            if self.stalls:
                await reader.read()
            if self.resets:
                writer.transport.abort()
            elif self.closes:
                writer.close()

        return play


def head(status: int = 200, /, **headers: object) -> bytes:
    """The head of an answer; an underscore in a header's name stands for a hyphen."""
    lines = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    told = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{told}\r\n".encode()


def whole(body: bytes, status: int = 200, /, **headers: object) -> bytes:
    """An answer that is as it should be."""
    return head(status, Content_Length=len(body), **headers) + body


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def serving(honest: Honest) -> Script:
    """Answer as it should be."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(whole(honest(request)))
        await writer.drain()

    return play


def half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def gzipped_and_cut(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return whole(packed[: len(packed) // 2], Content_Encoding="gzip")


def gzipped_with_a_wrong_sum(body: bytes) -> bytes:
    packed = gzip.compress(body)
    return whole(packed[:-8] + b"\0\0\0\0" + packed[-4:], Content_Encoding="gzip")


def ones(piece: Callable[[bytes], bytes]) -> Callable[[bytes], list[bytes]]:
    """What is sent in one piece."""
    return lambda body: [piece(body)]


def status(code: int, **headers: object) -> Callable[[bytes], list[bytes]]:
    return ones(lambda _: whole(b'{"message": "not now"}', code, **headers))


ELSEWHERE = "http://127.0.0.1:9/elsewhere"
_BEFORE_THE_HEAD = ones(lambda _: b"")
_INSIDE_THE_BODY = ones(lambda body: head(Content_Length=len(body)) + half(body))
_CHUNKED = head(Transfer_Encoding="chunked")
_MANY_HEADERS: dict[str, object] = {f"X-{n}": "v" for n in range(200)}

# F1 (refused) and F3, F18 (which need a connection that was used before) are scripts of their own.
ONE_ANSWER: tuple[Fault, ...] = (
    Fault("F2", "closed before the head", _BEFORE_THE_HEAD),
    Fault("F4", "reset before the head", _BEFORE_THE_HEAD, resets=True),
    Fault("F4", "reset inside the body", _INSIDE_THE_BODY, resets=True),
    Fault("F5", "closed inside the head", ones(lambda body: whole(body)[:20])),
    Fault("F5", "garbage for a status line", ones(lambda body: b"HELO\r\n\r\n" + body)),
    Fault("F6", "body shorter than its length", _INSIDE_THE_BODY),
    Fault(
        *("F7", "body longer than its length"),
        ones(lambda body: head(Content_Length=len(body)) + body + b'{"more": 1}'),
        cure="none needed",
    ),
    Fault("F8", "chunked, cut in a chunk", ones(lambda b: _CHUNKED + chunk(b)[: len(b) // 2])),
    Fault("F8", "chunked, no last chunk", ones(lambda b: _CHUNKED + chunk(half(b)))),
    Fault("F8", "chunked, bad size", ones(lambda b: _CHUNKED + b"zz\r\n" + b)),
    Fault("F9", "no length, cut", ones(lambda b: head(Connection="close") + half(b))),
    Fault("F10", "gzip cut, its length agreeing", ones(gzipped_and_cut), closes=False),
    Fault("F11", "gzip with a wrong sum", ones(gzipped_with_a_wrong_sum)),
    Fault(
        *("F11", "unknown encoding"),
        ones(lambda body: whole(zlib.compress(body), Content_Encoding="snappy")),
        closes=False,
    ),
    Fault("F13", "stall before the head", _BEFORE_THE_HEAD, stalls=True),
    Fault("F13", "stall in the body", _INSIDE_THE_BODY, stalls=True),
    *(
        Fault("F15", f"status {code}", status(code), closes=False)
        for code in (408, 429, 500, 502, 503, 504)
    ),
    Fault("F15", "429, Retry-After 0", status(429, Retry_After=0), closes=False),
    Fault("F15", "503, Retry-After 0", status(503, Retry_After=0), closes=False),
    Fault("F15", "503, a day", status(503, Retry_After=86400), cure="later", closes=False),
    Fault(
        *("F15", "200 with HTML"),
        ones(lambda _: whole(b"<html><h1>Hello", Content_Type="text/html")),
        closes=False,
    ),
    Fault(
        *("F16", "bad UTF-8"),
        ones(lambda body: whole(body[:-1] + b', "x": "\xff"}')),
        closes=False,
    ),
    Fault("F16", "truncated JSON", ones(lambda body: whole(half(body))), closes=False),
    Fault("F16", "no JSON", ones(lambda body: whole(b"")), closes=False),
    Fault("F16", "wrong shape", ones(lambda _: whole(b"[1, 2]")), cure="later", closes=False),
    *(
        Fault(*("F17", f"redirect {code}"), status(code, Location=ELSEWHERE), "later", closes=False)
        for code in (301, 302, 303, 307, 308)
    ),
    Fault("F19", "401", status(401), cure="later", closes=False),
    Fault(*("F20", "header line of 9 kB"), ones(lambda body: whole(body, X_Long="v" * 9000))),
    Fault(
        *("F20", "200 headers"),
        ones(lambda body: whole(body, **_MANY_HEADERS)),
        cure="none needed",
        closes=False,
    ),
    Fault(
        *("F20", "tiny chunks"),
        lambda body: [_CHUNKED, *(chunk(body[n : n + 1]) for n in range(len(body))), b"0\r\n\r\n"],
        cure="none needed",
        closes=False,
    ),
)
"""The faults that one answer plays, whatever connection it goes over."""

BYTE_BY_BYTE = Fault(
    *("F14", "one byte a second"),
    lambda body: [bytes([byte]) for byte in whole(body)],
    cure="later",
    idle=1.0,
)
"""Trips no timeout between two bytes: only a deadline ends it."""


def hang_up_when_idle(honest: Honest) -> Script:
    """F3: answer, and close the kept-alive connection under the next request."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(whole(honest(request)))
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    return play


def one_answer_too_many(honest: Honest, extra: bytes) -> Script:
    """F18: answer, and when that has been read send a second answer that nobody asked for."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(whole(honest(request)))
        await writer.drain()
        await asyncio.sleep(0.005)
        writer.write(whole(extra))

    return play


def refusing(wire: Wire, honest: Honest, seconds: float = 0.01) -> Script:
    """F1: answer, and refuse connections for a while."""
    return wire.then_refuse(serving(honest), seconds)


# F12: more than anybody should hold, in the three forms it comes in.

GIBIBYTE = 2**30


async def gzip_bomb() -> AsyncIterator[bytes]:
    """A gibibyte of spaces in one of gzip's mebibytes."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join(
        [packer.compress(b" " * 2**20) for _ in range(GIBIBYTE // 2**20)] + [packer.flush()]
    )
    yield head(Content_Length=len(packed), Content_Encoding="gzip") + packed


async def plain_gibibyte() -> AsyncIterator[bytes]:
    """A gibibyte as it is."""
    yield head(Content_Length=GIBIBYTE)
    for _ in range(GIBIBYTE // 2**20):
        yield b" " * 2**20


async def endless_chunks() -> AsyncIterator[bytes]:
    """Chunks without an end."""
    yield _CHUNKED
    while True:
        yield chunk(b" " * 2**16)
