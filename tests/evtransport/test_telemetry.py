"""What a client reports to a sink: calls, attempts and events, in order and without secrets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from yarl import URL

from evtransport import (
    Retry,
    RetryPolicy,
    Transport,
)
from evtransport.http import Request
from tests.support.retries import no_retry_delays
from tests.support.telemetry import Recorder
from tests.support.wire import Wire, reply

SECRET = "s3cr3t/k3y"
REQUEST = Request(
    ("boxes", "CB-1"),
    bytes.decode,
    (("page", "2"),),
    ids=(("box", "CB-1"),),
    template="/boxes/{box}",
)
HELLO = reply(b"hello")
ONCE = RetryPolicy(attempts=1)

Connect = Callable[..., Transport]


@pytest.fixture
def seen() -> Recorder:
    return Recorder()


async def test_a_retried_call_reports_its_attempts_and_its_wait(
    connect: Connect, seen: Recorder
) -> None:
    async with Wire(reply(status=503), HELLO) as wire:
        with no_retry_delays():
            transport = connect(wire, telemetry=seen, uniform=lambda low, high: high)
            assert await transport.send(REQUEST) == "hello"

    assert seen.order == ["call", "GET 1", "503", "Retry", "GET 2", "200", "Decoded", "call ends"]
    (call,) = seen.calls
    assert (call.method, call.template, call.attempts) == ("GET", "/boxes/{box}", 2)
    assert (call.address, call.port) == ("127.0.0.1", URL(wire.url).port)
    assert (call.context, call.error) == ({"box": "CB-1", "page": "2"}, "")
    failed, worked = seen.attempts
    assert (failed.template, failed.url) == ("/boxes/{box}", f"{wire.url}/boxes/CB-1?page=2")
    assert (worked.address, worked.port) == (call.address, call.port)
    assert (worked.status, worked.body_bytes, worked.encoding) == (200, 5, "")
    assert seen.events[0] == Retry(wait=0.5, error="ServerError")
    assert call.elapsed >= failed.elapsed + worked.elapsed > 0
