"""OpenTelemetry: spans and metrics read back from memory, under faults."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import Iterator

import aiohttp
import pytest
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from yarl import URL

from depotclient.sandbox import DepotSandbox, Fault
from evtransport import (
    ApiError,
    ClientCredentials,
    DeadlineExceeded,
    Secret,
    Timeout,
)
from evtransport.http import Request
from evtransport.otel import OpenTelemetry
from tests.support.clients import client_of
from tests.support.otel import Collector
from tests.support.retries import no_retry_delays
from tests.support.telemetry import HELLO, ONCE, REQUEST, SECRET, Connect
from tests.support.wire import Wire, hang_up, let_time_pass, reply


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def retries_at_once() -> Iterator[None]:
    with no_retry_delays():
        yield


@pytest.fixture
def instrumented_aiohttp(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Instrument aiohttp as an application does."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(
        tracer_provider=collector.tracer_provider, meter_provider=collector.meter_provider
    )
    yield
    instrumentor.uninstrument()


def error_of(span: ReadableSpan) -> object:
    """Return the type of a span's error, or None."""
    return (span.attributes or {}).get("error.type")


def server_of(wire: Wire) -> dict[str, object]:
    """Return the attributes that name the server."""
    return {"server.address": "127.0.0.1", "server.port": URL(wire.url).port}


@pytest.mark.usefixtures("retries_at_once")
@pytest.mark.parametrize("ids", [True, False])
async def test_a_retried_call_is_a_span_with_a_client_span_for_each_request(
    connect: Connect, collector: Collector, ids: bool
) -> None:
    async with Wire(reply(status=503), HELLO) as wire:
        await connect(wire, telemetry=collector.telemetry(ids=ids)).send(REQUEST)

    failed, worked, call = collector.spans
    assert [span.name for span in collector.spans[:2]] == ["GET /boxes/{box}"] * 2
    assert (call.name, call.parent) == ("call GET /boxes/{box}", None)
    assert collector.children_of(call) == [failed, worked]
    assert (call.kind, failed.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    shared = {**server_of(wire), "url.template": "/boxes/{box}"}
    context = {"evtransport.context.box": "CB-1", "evtransport.context.page": "2"}
    assert call.attributes == {**shared, **(context if ids else {}), "evtransport.attempts": 2}
    url = {"url.full": f"{wire.url}/boxes/CB-1?page=2"} if ids else {}
    sent = {**shared, **url, "http.request.method": "GET"}
    error = {"http.response.status_code": 503, "error.type": "503"}
    assert failed.attributes == {**sent, **error}
    assert worked.attributes == {
        **sent,
        "http.response.status_code": 200,
        "http.request.resend_count": 1,
    }
    codes = [span.status.status_code for span in collector.spans]
    assert codes == [StatusCode.ERROR, StatusCode.UNSET, StatusCode.UNSET]
    assert failed.status.description is None, "the status code says it"


@pytest.mark.usefixtures("retries_at_once")
async def test_metrics_count_requests_and_waits_by_template_and_error(
    connect: Connect, collector: Collector
) -> None:
    async with Wire(reply(status=503), HELLO, reply(status=404)) as wire:
        transport = connect(wire, telemetry=collector.telemetry(), uniform=lambda low, high: high)
        await transport.send(REQUEST)
        with pytest.raises(ApiError):
            await transport.send(REQUEST)

    metrics = collector.metrics()
    shared = {**server_of(wire), "url.template": "/boxes/{box}"}
    durations = metrics["http.client.request.duration"]
    assert [(point.attributes, point.count) for point in durations] == [
        ({**shared, "http.request.method": "GET", "http.response.status_code": code, **error}, 1)
        for code, error in (
            (503, {"error.type": "503"}),
            (200, {}),
            (404, {"error.type": "404"}),
        )
    ]
    assert durations[0].bounds[:3] == (0.005, 0.01, 0.025)
    assert durations[0].bounds[-1] == 10
    attempts = metrics["evtransport.call.attempts"]
    assert [(point.attributes, point.sum) for point in attempts] == [
        (shared, 2),
        ({**shared, "error.type": "NotFoundError"}, 1),
    ]
    (waits,) = metrics["evtransport.retry.wait"]
    assert (waits.attributes, waits.sum) == ({"error.type": "ServerError"}, 0.5)
    assert sum(point.sum for point in metrics["evtransport.response.size"]) == 9


async def test_a_renewed_token_is_a_request_within_the_call(
    connect: Connect, collector: Collector
) -> None:
    tokens = [reply(b'{"access_token": "t0k3n-%d"}' % number) for number in (1, 2)]
    async with Wire(tokens[0], reply(status=401), tokens[1], HELLO) as wire:
        auth = ClientCredentials("id", Secret(SECRET), URL(f"{wire.url}/oauth2/token"))
        await connect(wire, auth=auth, telemetry=collector.telemetry()).send(REQUEST)

    call = collector.spans[-1]
    assert [span.name for span in collector.children_of(call)] == [
        *("POST /oauth2/token", "GET /boxes/{box}"),
        *("POST /oauth2/token", "GET /boxes/{box}"),
    ]
    assert list(map(error_of, collector.spans)) == [None, "401", None, None, None]
    (fetched,) = collector.metrics()["evtransport.tokens"]
    assert fetched.sum == 2
    assert not re.search(r"t0k3n|s3cr3t", collector.text())


async def test_a_call_that_misses_its_deadline_ends_its_spans_with_the_error(
    connect: Connect, collector: Collector
) -> None:
    timeout = Timeout(total=20, read=3600)
    async with Wire(let_time_pass(30)) as wire:
        transport = connect(wire, telemetry=collector.telemetry(), timeout=timeout)
        with pytest.raises(DeadlineExceeded):
            await transport.send(REQUEST)

    attempt, call = collector.spans
    assert (error_of(attempt), error_of(call)) == ("CancelledError", "DeadlineExceeded")
    assert call.status.description == "no response within 20 s"


@pytest.mark.parametrize(("ids", "reason"), [(True, "Server disconnected"), (False, None)])
async def test_a_failed_connection_is_an_error_with_its_reason(
    connect: Connect, collector: Collector, ids: bool, reason: str | None
) -> None:
    async with Wire(hang_up()) as wire:
        transport = connect(wire, telemetry=collector.telemetry(ids=ids), retry=ONCE)
        with pytest.raises(ApiError):
            await transport.send(REQUEST)

    for span in collector.spans:
        assert error_of(span) == "ConnectionFailed"
        assert "http.response.status_code" not in (span.attributes or {})
        assert (span.status.description or "").endswith(reason or "")
        assert (span.status.description is None) is (reason is None)


@pytest.mark.parametrize("ids", [True, False])
async def test_no_secret_is_exported_and_ids_only_if_asked_for(
    connect: Connect, collector: Collector, ids: bool
) -> None:
    quoted = f'{{"message": "key {SECRET} may not read CB-1"}}'.encode()
    request = Request(
        ("boxes", "CB-1"), bytes.decode, (("q", SECRET),), ids=(("box", "CB-1"),), template="/boxes"
    )
    async with Wire(reply(quoted, status=403), hang_up()) as wire:
        transport = connect(wire, telemetry=collector.telemetry(ids=ids), retry=ONCE)
        for _ in range(2):
            with pytest.raises(ApiError):
                await transport.send(request)

    exported = collector.text()
    assert "s3cr3t" not in exported
    assert ("CB-1" in exported) is ids
    assert not any("CB-1" in name for name in collector.names)


async def test_a_request_without_a_template_is_named_by_its_method(
    connect: Connect, collector: Collector
) -> None:
    async with Wire(HELLO) as wire:
        await connect(wire, telemetry=collector.telemetry()).send(Request(("x",), bytes.decode))
    assert collector.names == ["GET", "call GET"]
    assert all("url.template" not in (span.attributes or {}) for span in collector.spans)


async def test_a_walk_reports_its_pages_reports_bytes_and_decoding(collector: Collector) -> None:
    telemetry = collector.telemetry()
    faults = [None, Fault.status(503)]
    async with DepotSandbox(sessions=60, faults=faults) as sandbox:
        with no_retry_delays():
            async with client_of(sandbox, telemetry=telemetry) as depot:
                reports = depot.session_reports("CP-001", 1, limit=20, read_ahead=1)
                sizes = [len(page.raw) async for page in reports.pages()]
                assert len(await reports.collect(max_items=100)) == 60

    metrics = collector.metrics()
    totals = {name: sum(point.sum for point in points) for name, points in metrics.items()}
    assert totals["evtransport.pages"] == 2 * len(sizes)
    assert totals["evtransport.reports"] == 120
    assert totals["evtransport.response.size"] > 2 * sum(sizes)
    assert totals["evtransport.decode.time"] > 0
    assert totals["evtransport.tokens"] == 1
    calls = [span for span in collector.spans if span.name == "call GET /sessionReports"]
    requests = [span for span in collector.spans if span.name == "GET /sessionReports"]
    assert len(requests) == len(calls) + 1, "one request was retried"
    assert set(collector.names) - {"POST /oauth2/token"} == {calls[0].name, requests[0].name}


async def test_calls_at_the_same_time_are_spans_within_the_callers_span(
    connect: Connect, collector: Collector
) -> None:
    tracer = collector.tracer_provider.get_tracer("test")
    async with Wire(default=HELLO) as wire:
        transport = connect(wire, telemetry=collector.telemetry())
        with tracer.start_as_current_span("handler"):
            await asyncio.gather(*(transport.send(REQUEST) for _ in range(5)))

    handler = collector.spans[-1]
    calls = collector.children_of(handler)
    assert len(calls) == 5
    assert [len(collector.children_of(call)) for call in calls] == [1] * 5


@pytest.mark.usefixtures("instrumented_aiohttp")
async def test_beside_the_instrumentation_of_aiohttp_no_request_is_doubled_or_traced_by_the_vendor(
    connect: Connect, collector: Collector
) -> None:
    async with Wire(default=HELLO) as wire:
        await connect(wire, telemetry=collector.telemetry()).send(REQUEST)
        async with aiohttp.ClientSession() as session, session.get(wire.url):
            pass

    ours, other = wire.received
    assert "traceparent" not in ours.headers
    assert "traceparent" in other.headers, "it is instrumented"
    assert collector.names == ["GET /boxes/{box}", "call GET /boxes/{box}", "GET"]
    durations = collector.metrics()["http.client.request.duration"]
    assert [point.count for point in durations if "url.template" in point.attributes] == [1]
    assert len(durations) <= 2, "old versions count no requests"


def test_ids_must_be_a_bool() -> None:
    with pytest.raises(ValueError, match="ids must be True or False, got 'no'"):
        OpenTelemetry(ids="no")  # type: ignore[arg-type]


def test_without_the_extra_the_import_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "evtransport.otel")
    with pytest.raises(ImportError, match=r"pip install 'thor-depot-clients\[otel\]'"):
        importlib.import_module("evtransport.otel")
