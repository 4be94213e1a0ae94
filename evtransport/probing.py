"""Requests of a probe: how many it may send, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from operator import itemgetter
from typing import Final, get_args

from evtransport.measurements import Finding
from evtransport.profiles import Compression
from evtransport.telemetry import Attempt, Call, Event, Telemetry, TokenFetched

__all__ = ["MAX_ATTEMPTS", "MAX_REQUESTS", "ProbeTelemetry", "find_compression"]

MAX_REQUESTS: Final = 40
"""Maximum number of requests of a probe, with retries and without token requests."""

MAX_ATTEMPTS: Final = 3
"""Maximum number of equal requests after failures."""

_MIN_COMPRESSED_BYTES: Final = 4096
"""Size from which servers that compress responses do so. Many leave smaller ones as they are."""


class ProbeTelemetry(Telemetry):
    """Telemetry of a probe, which passes everything on to the client's own.

    Args:
        own: Telemetry of the client, or None.
        on_request: Function that receives the number of each request, from 1, before it is sent.

    Attributes:
        attempts: Requests sent, without token requests.
        tokens: New tokens, with their lifetimes.
    """

    def __init__(
        self, own: Telemetry | None, on_request: Callable[[int], object] | None = None
    ) -> None:
        self._own = Telemetry() if own is None else own
        self._on_request = on_request
        self.attempts: list[Attempt] = []
        self.tokens: list[TokenFetched] = []

    def call(self, call: Call) -> AbstractContextManager[object]:
        """Pass on a call."""
        return self._own.call(call)

    @contextmanager
    def attempt(self, attempt: Attempt) -> Generator[None]:
        """Keep and pass on a request."""
        if attempt.method == "GET":
            self.attempts.append(attempt)
            if self._on_request is not None:
                self._on_request(len(self.attempts))
        with self._own.attempt(attempt):
            yield

    def event(self, event: Event) -> None:
        """Pass on an event, and keep a token."""
        if isinstance(event, TokenFetched):
            self.tokens.append(event)
        self._own.event(event)


def find_compression(responses: Iterable[tuple[int, str]]) -> Finding[Compression]:
    """Return the encoding of the largest response. Servers leave small ones as they are.

    Args:
        responses: Decompressed size and `Content-Encoding` of each complete response.
    """
    largest = max(responses, key=itemgetter(0), default=None)
    if largest is None:
        return Finding.unknown("no response")
    size, found = largest[0], largest[1] or "identity"
    if found == "identity" and size < _MIN_COMPRESSED_BYTES:
        return Finding.unknown("no large response")
    known: Mapping[str, Compression] = {each: each for each in get_args(Compression)}
    if found not in known:
        return Finding.unknown("the responses have another encoding")
    return Finding(known[found])
