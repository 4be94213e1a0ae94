"""Send the metrics of one call to statsd: `python telemetry_statsd.py PORT ID`."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from thorclient import Attempt, Event, Retry, Telemetry, ThorClient


class Statsd(Telemetry):
    """Sink that sends datagrams to statsd, and never waits for it."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((host, port))
        self._socket.setblocking(False)

    def _send(self, text: str) -> None:
        with suppress(OSError):  # statsd is down, or the buffer is full
            self._socket.send(text.encode())

    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        """Send status and duration of a request."""
        yield
        self._send(f"ev.requests.{attempt.status}:{1000 * attempt.elapsed:.0f}|ms")

    def event(self, event: Event) -> None:
        """Count a retry."""
        if isinstance(event, Retry):
            self._send(f"ev.retries.{event.error}:1|c")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


async def main(port: str, chargebox_id: str) -> None:
    """Request a chargebox."""
    statsd = Statsd("127.0.0.1", int(port))
    async with ThorClient.from_env(telemetry=statsd) as thor:
        print((await thor.get_chargebox(chargebox_id)).alias)
    statsd.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
