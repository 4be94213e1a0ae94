"""Requests to observe, and a sink that keeps what it receives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evtransport import RetryPolicy, Transport
from evtransport.http import Request
from evtransport.telemetry import Attempt, Call, Event, Telemetry
from tests.support.wire import reply

SECRET = "s3cr3t/k3y"
REQUEST = Request(
    *(("boxes", "CB-1"), bytes.decode, (("page", "2"),)),
    ids=(("box", "CB-1"),),
    template="/boxes/{box}",
)
HELLO = reply(b"hello")
ONCE = RetryPolicy(attempts=1)

Connect = Callable[..., Transport]


class Recorder(Telemetry):
    """Sink that keeps calls, attempts and events.

    Attributes:
        calls: Calls that have ended.
        attempts: Attempts that have ended.
        events: Events, in order.
        order: Names of everything that happened, in order.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.attempts: list[Attempt] = []
        self.events: list[Event] = []
        self.order: list[str] = []

    @contextmanager
    def call(self, call: Call) -> Iterator[None]:
        self.order.append("call")
        yield
        self.order.append("call ends")
        self.calls.append(call)

    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        self.order.append(f"{attempt.method} {attempt.number}")
        yield
        self.order.append(f"{attempt.status} {attempt.error}".strip())
        self.attempts.append(attempt)

    def event(self, event: Event) -> None:
        self.order.append(type(event).__name__)
        self.events.append(event)
