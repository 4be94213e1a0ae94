"""Telemetry: calls, attempts and events reach a sink in order, and without secrets."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from urllib.parse import quote

import pytest
from yarl import URL

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox
from evtransport import (
    ApiError,
    Attempt,
    Call,
    ClientCredentials,
    DeadlineExceeded,
    Decoded,
    NotFoundError,
    PageRead,
    Retry,
    Secret,
    Telemetry,
    Timeout,
    TokenFetched,
    Transport,
)
from evtransport.auth import TokenFunction
from evtransport.http import Request
from evtransport.telemetry import Event
from tests.support.clients import client_of
from tests.support.retries import no_retry_delays
from tests.support.telemetry import HELLO, ONCE, REQUEST, SECRET, Connect, Recorder
from tests.support.waiting import loop_until
from tests.support.wire import Script, Wire, hang_up, let_time_pass, reply, stall
from thorclient import ThorClient
from thorclient.sandbox import ThorSandbox


@pytest.fixture
def seen() -> Recorder:
    return Recorder()


class Broken(Telemetry):
    """Sink that fails in one place.

    Args:
        place: `call`, `attempt` or `event`.
        leaves: True if the context manager fails when it is left.
    """

    def __init__(self, place: str, *, leaves: bool) -> None:
        self.place = place
        self.leaves = leaves

    @contextmanager
    def _scope(self, place: str) -> Iterator[None]:
        if place == self.place and not self.leaves:
            raise KeyError("the sink is broken")
        yield
        if place == self.place:
            raise KeyError("the sink is broken")

    def call(self, call: Call) -> AbstractContextManager[None]:
        return self._scope("call")

    def attempt(self, attempt: Attempt) -> AbstractContextManager[None]:
        return self._scope("attempt")

    def event(self, event: Event) -> None:
        if self.place == "event":
            raise KeyError("the sink is broken")


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


async def test_a_renewed_token_is_reported_within_the_call(
    connect: Connect, seen: Recorder
) -> None:
    token = reply(b'{"access_token": "t0k3n", "expires_in": 3600}')
    async with Wire(token, reply(status=401), reply(b'{"access_token": "t2"}'), HELLO) as wire:
        auth = ClientCredentials("id", Secret(SECRET), URL(f"{wire.url}/oauth2/token"))
        assert await connect(wire, auth=auth, telemetry=seen).send(REQUEST) == "hello"

    assert seen.order == [
        *("call", "POST 1", "200", "TokenFetched", "GET 1", "401"),
        *("POST 1", "200", "TokenFetched", "GET 2", "200", "Decoded", "call ends"),
    ]
    assert seen.events[:2] == [TokenFetched(lifetime=3600.0), TokenFetched(lifetime=None)]
    assert seen.attempts[0].template == "/oauth2/token"


async def test_a_token_after_a_403_and_one_of_a_function_are_reported(seen: Recorder) -> None:
    async def fetch() -> str:
        return "t0k3n"

    async with Wire(reply(b"invalid_token", status=403), HELLO) as wire:
        base_url = URL(wire.url)
        transport = Transport(base_url=base_url, auth=TokenFunction(fetch), telemetry=seen)
        assert await transport.send(REQUEST) == "hello"
        await transport.aclose()

    assert seen.events[:2] == [TokenFetched(lifetime=None)] * 2


FAILURES: dict[str, tuple[Script, tuple[int | None, str], str]] = {
    "no response": (hang_up(), (None, "ConnectionFailed"), "ConnectionFailed"),
    "half a body": (
        reply(b"x", length=9, close=True),
        (200, "ConnectionFailed"),
        "ConnectionFailed",
    ),
    "a large body": (reply(b"x" * 99), (200, "ResponseTooLarge"), "ResponseTooLarge"),
    "a status": (reply(b"no", status=404), (404, ""), "NotFoundError"),
    "bad text": (reply(b"\xff"), (200, ""), "UnicodeDecodeError"),
}


@pytest.mark.parametrize(("script", "attempt", "error"), FAILURES.values(), ids=FAILURES.keys())
async def test_a_failure_is_named_by_the_class_of_its_error(
    connect: Connect, seen: Recorder, script: Script, attempt: tuple[int | None, str], error: str
) -> None:
    async with Wire(script) as wire:
        transport = connect(wire, telemetry=seen, retry=ONCE, max_response_bytes=50)
        with pytest.raises((ApiError, UnicodeDecodeError)) as caught:
            await transport.send(REQUEST)

    assert type(caught.value).__name__ == error
    (got,), (call,) = seen.attempts, seen.calls
    assert (got.status, got.error) == attempt
    assert (call.attempts, call.error) == (1, error)
    assert call.reason == (caught.value.reason if isinstance(caught.value, ApiError) else "")


async def test_a_compressed_response_has_its_encoding_and_decompressed_size(
    connect: Connect, seen: Recorder
) -> None:
    packed = reply(gzip.compress(b"x" * 1000), headers={"Content-Encoding": "gzip"})
    async with Wire(packed) as wire:
        await connect(wire, telemetry=seen).send(REQUEST)
    assert (seen.attempts[0].encoding, seen.attempts[0].body_bytes) == ("gzip", 1000)


async def test_a_call_that_ends_early_is_reported(connect: Connect, seen: Recorder) -> None:
    async with Wire(stall(), let_time_pass(30)) as wire:
        transport = connect(wire, telemetry=seen, timeout=Timeout(total=20, read=3600))
        cancelled = asyncio.create_task(transport.send(REQUEST))
        await loop_until(lambda: wire.received)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        with pytest.raises(DeadlineExceeded):
            await transport.send(REQUEST)

    assert [attempt.error for attempt in seen.attempts] == ["CancelledError"] * 2
    assert [call.error for call in seen.calls] == ["CancelledError", "DeadlineExceeded"]


async def test_a_walk_reports_its_pages_and_all_time_of_decoding(seen: Recorder) -> None:
    async with DepotSandbox(sessions=30) as sandbox, client_of(sandbox, telemetry=seen) as depot:
        reports = depot.session_reports("CP-001", 1, limit=20, read_ahead=0)
        async with reports.walk() as walk:
            pages = [await anext(walk) for _ in range(30)]

    assert len(pages) == 30
    read = [event for event in seen.events if isinstance(event, PageRead)]
    assert sum(event.reports for event in read) == 30
    sizes = {attempt.body_bytes for attempt in seen.attempts}
    assert {event.size for event in read} <= sizes
    # One for each response, and one for the reports of each page.
    times = [event for event in seen.events if isinstance(event, Decoded)]
    assert len(times) == len(seen.calls) + len(read)
    assert {call.template for call in seen.calls} == {"/sessionReports"}
    assert {call.context["chargerId"] for call in seen.calls} == {"CP-001"}


async def test_calls_of_the_thor_api_have_templates(seen: Recorder) -> None:
    async with ThorSandbox() as sandbox:
        client = ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url, telemetry=seen)
        async with client as thor:
            await thor.get_analytics("TB-0001")
            await thor.get_chargebox("TB-0001")
            await thor.get_chargeboxes()
            await thor.get("chargeboxes", "TB-0001")

    assert [call.template for call in seen.calls] == [
        *("/analytics/{chargebox_id}", "/chargeboxes/{chargebox_id}", "/chargeboxes", "")
    ]
    assert sum(isinstance(event, Decoded) for event in seen.events) == 5, "twice for the list"


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("place", ["call", "attempt", "event"])
async def test_a_sink_that_fails_changes_no_call_and_is_logged_once(
    connect: Connect, caplog: pytest.LogCaptureFixture, place: str, leaves: bool
) -> None:
    async with Wire(HELLO, HELLO, reply(status=404)) as wire:
        transport = connect(wire, telemetry=Broken(place, leaves=leaves))
        assert [await transport.send(REQUEST) for _ in range(2)] == ["hello", "hello"]
        with pytest.raises(NotFoundError):
            await transport.send(REQUEST)

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "the telemetry Broken raised an error; later ones are not logged"


async def test_a_sink_can_not_hide_an_error(connect: Connect) -> None:
    class Hiding(Telemetry):
        def call(self, call: Call) -> AbstractContextManager[None]:
            return suppress(Exception)

    async with Wire(reply(status=404)) as wire:
        with pytest.raises(NotFoundError):
            await connect(wire, telemetry=Hiding()).send(REQUEST)


async def test_a_sink_gets_no_secret(connect: Connect, seen: Recorder) -> None:
    quoted = reply(f'{{"message": "the key {SECRET}"}}'.encode(), status=403)
    request = Request(("x", quote(SECRET, safe="")), bytes.decode, ids=(("id", SECRET),))
    async with Wire(quoted) as wire:
        with pytest.raises(ApiError):
            await connect(wire, telemetry=seen).send(request)
    assert "s3cr3t" not in repr((seen.calls, seen.attempts, seen.events))
    assert seen.calls[0].reason == "403 Forbidden: the key **********"


async def test_with_options_changes_the_sink_of_the_returned_client_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = Recorder(), Recorder()
    async with ThorSandbox() as sandbox:
        monkeypatch.setenv("THOR_API_KEY", sandbox.api_key)
        monkeypatch.setenv("THOR_BASE_URL", sandbox.base_url)
        async with ThorClient.from_env(telemetry=first) as thor:
            for client in (
                *(thor, thor.with_options(telemetry=second)),
                *(thor.with_options(telemetry=None), thor.with_options(retry=ONCE)),
            ):
                await client.get_analytics("TB-0001")
    assert (len(first.calls), len(second.calls)) == (2, 1)


def test_a_class_in_place_of_a_sink_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOT_TOKEN", "token")
    with pytest.raises(ValueError, match="telemetry must be an object whose class inherits from"):
        DepotClient.from_env(telemetry=Recorder)  # type: ignore[arg-type]


async def test_a_sink_overrides_only_what_it_needs(connect: Connect) -> None:
    async with Wire(HELLO) as wire:
        assert await connect(wire, telemetry=Telemetry()).send(REQUEST) == "hello"
