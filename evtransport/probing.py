"""Requests of a probe: how many it may send, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from evtransport.telemetry import Attempt, Call, Event, Telemetry, TokenFetched

__all__ = ["MAX_ATTEMPTS", "MAX_REQUESTS", "MIN_COMPRESSED_BYTES", "ProbeTelemetry"]

MAX_REQUESTS: Final = 40
"""Maximum number of requests of a probe, with retries and without token requests."""

MAX_ATTEMPTS: Final = 3
"""Maximum number of equal requests after failures."""

MIN_COMPRESSED_BYTES: Final = 4096
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
