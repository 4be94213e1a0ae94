"""OpenTelemetry: spans and metrics of a client, by the stable HTTP semantic conventions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import (
        _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
        _SUPPRESS_INSTRUMENTATION_KEY,
        attach,
        detach,
        get_current,
        set_value,
    )
    from opentelemetry.trace import Span, SpanKind, StatusCode
except ImportError as error:
    raise ImportError(
        "evtransport.otel needs OpenTelemetry: pip install 'thor-depot-clients[otel]'"
    ) from error

from evtransport._version import __version__
from evtransport.telemetry import (
    Attempt,
    Call,
    Event,
    PageRead,
    Retry,
    Telemetry,
    TokenFetched,
)
from evtransport.validation import validate_bool

__all__ = ["OpenTelemetry"]

_Attributes: TypeAlias = dict[str, str | int]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Buckets that the conventions advise for `http.client.request.duration`."""

_WAITS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 120)
_ATTEMPTS: Final = (1, 2, 3, 5, 10)


class OpenTelemetry(Telemetry):
    """Spans and metrics of a client, for `telemetry=`. It needs the extra `otel`.

    Each HTTP request is a span of the kind `CLIENT`, such as `GET /sessionReports`. The conventions
    want one for each request, and none around them. So the span of a call has the kind `INTERNAL`.

    No `traceparent` is sent: the vendor's servers belong to others, and have no use for trace ids.
    `opentelemetry-instrumentation-aiohttp-client` skips these requests: none is counted twice.

    Args:
        ids: True adds the ids and the query to the attributes of spans, and the reason to their
            status. False leaves out everything that may hold an id. Names of spans and attributes
            of metrics never hold one, and nothing holds a secret.
        tracer_provider: Provider of the spans. None uses the global one.
        meter_provider: Provider of the metrics. None uses the global one.

    Raises:
        ValueError: `ids` is not a bool.

    Example:
        >>> async with DepotClient.from_env(telemetry=OpenTelemetry()) as depot:
        ...     reports = await depot.session_reports("CP-001", 1).collect(max_items=3)
        >>> len(reports)
        3
    """

    def __init__(
        self,
        *,
        ids: bool = True,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        validate_bool("ids", ids)
        self._ids = ids
        self._tracer = trace.get_tracer("evtransport", __version__, tracer_provider)
        meter = metrics.get_meter("evtransport", __version__, meter_provider)
        self._durations = meter.create_histogram(
            *("http.client.request.duration", "s", "Duration of HTTP client requests."),
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._attempts = meter.create_histogram(
            *("evtransport.call.attempts", "{request}", "HTTP requests of a call, without tokens."),
            explicit_bucket_boundaries_advisory=_ATTEMPTS,
        )
        self._waits = meter.create_histogram(
            *("evtransport.retry.wait", "s", "Wait before a retry."),
            explicit_bucket_boundaries_advisory=_WAITS,
        )
        count = meter.create_counter
        self._bytes = count("evtransport.response.size", "By", "Decompressed bytes of responses.")
        self._tokens = count("evtransport.tokens", "{token}", "Access tokens fetched.")
        self._pages = count("evtransport.pages", "{page}", "Pages with new reports.")
        self._reports = count("evtransport.reports", "{report}", "New reports of these pages.")
        self._decoding = count("evtransport.decode.time", "s", "Time spent with decoding.")

    @contextmanager
    def call(self, call: Call) -> Iterator[None]:
        """Emit the span of a call, and the number of its attempts."""
        attributes: _Attributes = {"server.address": call.address, "server.port": call.port}
        if call.template:
            attributes["url.template"] = call.template
        context = {f"evtransport.context.{name}": value for name, value in call.context.items()}
        span = self._tracer.start_span(
            f"call {call.method} {call.template}".rstrip(),
            kind=SpanKind.INTERNAL,
            attributes={**attributes, **context} if self._ids else attributes,
        )
        with _current(span):
            yield
            span.set_attribute("evtransport.attempts", call.attempts)
            self._set_error(span, attributes, call.error, call.reason)
            self._attempts.record(call.attempts, attributes)

    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        """Emit the span and the duration of an HTTP request."""
        attributes: _Attributes = {
            "http.request.method": attempt.method,
            "server.address": attempt.address,
            "server.port": attempt.port,
        }
        if attempt.template:
            attributes["url.template"] = attempt.template
        span = self._tracer.start_span(
            f"{attempt.method} {attempt.template}".rstrip(),
            kind=SpanKind.CLIENT,
            attributes={**attributes, "url.full": attempt.url} if self._ids else attributes,
        )
        if attempt.number > 1:
            span.set_attribute("http.request.resend_count", attempt.number - 1)
        with _current(span, is_request=True):
            yield
            if attempt.status is not None:
                attributes["http.response.status_code"] = attempt.status
                span.set_attribute("http.response.status_code", attempt.status)
            is_refused = attempt.status is not None and attempt.status >= 400
            kind = attempt.error or (str(attempt.status) if is_refused else "")
            self._set_error(span, attributes, kind, attempt.reason)
            self._durations.record(attempt.elapsed, attributes)
            self._bytes.add(attempt.body_bytes, attributes)

    def event(self, event: Event) -> None:
        """Count a retry, a token, a page or a time of decoding."""
        match event:
            case Retry():
                self._waits.record(event.wait, {"error.type": event.error})
            case TokenFetched():
                self._tokens.add(1)
            case PageRead():
                self._pages.add(1)
                self._reports.add(event.reports)
            case _:
                self._decoding.add(event.seconds)

    def _set_error(self, span: Span, attributes: _Attributes, kind: str, reason: str) -> None:
        """Set the error of a span and the attributes of its metrics, unless `kind` is empty."""
        if kind:
            attributes["error.type"] = kind
            span.set_attribute("error.type", kind)
            span.set_status(StatusCode.ERROR, (reason or None) if self._ids else None)


@contextmanager
def _current(span: Span, *, is_request: bool = False) -> Iterator[None]:
    """Make a span the current one, and end it.

    Args:
        span: The span.
        is_request: True if instrumentations of HTTP libraries must skip the requests within it.
    """
    context = trace.set_span_in_context(span, get_current())
    if is_request:
        # The instrumentation of aiohttp reads the first key from 0.60 on, and the second before.
        for key in (_SUPPRESS_HTTP_INSTRUMENTATION_KEY, _SUPPRESS_INSTRUMENTATION_KEY):
            context = set_value(key, True, context)
    token = attach(context)
    try:
        yield
    finally:
        detach(token)
        span.end()
