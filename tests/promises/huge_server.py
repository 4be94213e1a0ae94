"""A server of answers that are too large, for a process of its own.

`python -m promises.huge_server` prints its address and the one where it tells what it has seen, and
ends with its standard input. `/200/gzip_bomb` and whatever follows it is answered with a gzip bomb
under status 200, and so on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable

from tests.support.faults import endless_chunks, gzip_bomb, plain_gibibyte
from tests.support.wire import Received, Wire, answer

FORMS: dict[str, Callable[[], AsyncIterator[bytes]]] = {
    "gzip_bomb": gzip_bomb,
    "plain_gibibyte": plain_gibibyte,
    "endless_chunks": endless_chunks,
}


async def serve() -> None:
    # Packing the bomb takes seconds, in which nothing else could be served.
    bomb = [piece async for piece in gzip_bomb()]

    async def pieces(form: str) -> AsyncIterator[bytes]:
        if form == "gzip_bomb":
            for piece in bomb:
                yield piece
        else:
            async for piece in FORMS[form]():
                yield piece

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        _, status, form, *_ = request.target.split("/")
        async for piece in pieces(form):
            writer.write(piece.replace(b"HTTP/1.1 200", b"HTTP/1.1 " + status.encode(), 1))
            await writer.drain()

    async def tell(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen = {"requests": len(wire.received), "open": wire.open_connections}
        await answer(json.dumps(seen).encode(), close=True)(request, reader, writer)

    async with Wire(default=play) as wire, Wire(default=tell) as teller:
        print(json.dumps([wire.url, teller.url]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
