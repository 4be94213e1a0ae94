"""Requests of a probe, through the transport of a client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar, cast

import attrs
import msgspec

from depotclient.client import DepotClient
from depotclient.probe.experiment import Experiment, PageResponse, ProbeRequest
from depotclient.probe.fields import FieldCounts
from depotclient.probe.plan import plan_probe
from depotclient.probe.responses import ProbedPage, ReportReader, split_probed_page
from depotclient.probe.sample import choose_windows
from depotclient.probe.speed import Timing
from depotclient.probe.summary import Evidence, Measurement, summarize
from depotclient.profile import Echo, Profile
from depotclient.query import Query, format_time, to_utc
from evtransport.auth import ClientCredentials
from evtransport.errors import ApiError, AuthError, NotFoundError, ResponseTooLarge, StatusError
from evtransport.http import Request
from evtransport.measurements import Finding
from evtransport.paging import PageRequest
from evtransport.probing import MAX_ATTEMPTS, MAX_REQUESTS, ProbeTelemetry
from evtransport.retry import RETRYABLE_STATUSES

__all__ = ["measure", "probe"]

T = TypeVar("T")


@attrs.define(eq=False)
class _Prober:
    """Sender of the requests of one probe.

    Attributes:
        depot: Client of the account.
        query: Connector.
        refusal: Last error that refused a request.
        has_succeeded: True after a response with status 200.
    """

    depot: DepotClient
    query: Query
    telemetry: ProbeTelemetry
    reader: ReportReader
    refusal: StatusError | None = None
    has_succeeded: bool = False
    timings: list[Timing] = attrs.field(factory=list[Timing])
    echoes: list[Finding[Echo]] = attrs.field(factory=list[Finding[Echo]])

    async def run(self, experiment: Experiment[T]) -> T:
        """Run an experiment. Equal requests are sent once.

        Raises:
            ApiError: No request succeeded, or the API rejected the credentials.
        """
        responses: dict[ProbeRequest, PageResponse] = {}
        request = next(experiment)
        while True:
            if request not in responses:
                responses[request] = await self._ask(request)
            try:
                request = experiment.send(responses[request])
            except StopIteration as end:
                if self.refusal is not None and not self.has_succeeded:
                    raise self.refusal from None
                return cast(T, end.value)

    async def _ask(self, request: ProbeRequest) -> PageResponse:
        """Return the response for a page, after up to three attempts."""
        remaining = MAX_REQUESTS - len(self.telemetry.attempts)
        # A call may send one more request than its policy allows, after a rejected token.
        if remaining < 2:
            return PageResponse.failed(f"the {MAX_REQUESTS} requests are used up")
        try:
            page = await self._send(request, min(MAX_ATTEMPTS, remaining))
        except ApiError as error:
            return self._judge(error)
        self.has_succeeded = True
        if isinstance(page.items, msgspec.UnsetType):
            return PageResponse.failed("the response has no `items`")
        self.echoes.append(page.echo)
        reports = None if page.items is None else await self.reader.read(page.items)
        last = self.telemetry.attempts[-1]
        timing = Timing(len(reports or ()), last.body_bytes, last.elapsed, last.encoding)
        self.timings.append(timing)
        return PageResponse(reports=reports)

    async def _send(self, request: ProbeRequest, attempts: int) -> ProbedPage:
        own = self.depot._transport
        transport = own.with_options(
            retry=attrs.evolve(own.retry, attempts=attempts),
            timeout=own.timeout,
            limiter=own.limiter,
            telemetry=self.telemetry,
        )
        window = request.window
        query = attrs.evolve(self.query, from_=window.start, to=window.end)
        page = PageRequest(request.page, request.limit)
        return await transport.send(
            Request(
                ("sessionReports",),
                partial(split_probed_page, query.charger_id, query.connector_id),
                query.parameters(format_time(window.end), page),
                title=f"sessionReports {self.query.label} page {request.page}",
                template="/sessionReports",
            )
        )

    def _judge(self, error: ApiError) -> PageResponse:
        """Return what a failed request means. Raise the error if the probe can't go on."""
        if error.source and isinstance(error, AuthError):
            raise error
        if isinstance(error, StatusError) and _is_refusal(error):
            # A client that is not allowed to read anything can't learn anything.
            may_read = self.has_succeeded and error.status != 401
            if not may_read and isinstance(error, AuthError | NotFoundError):
                raise error
            self.refusal = error
            return PageResponse(error.status, None)
        if not self.has_succeeded:
            raise error
        if isinstance(error, ResponseTooLarge):
            return PageResponse.failed("a page exceeds max_response_bytes", is_too_large=True)
        # The message may name ids.
        what = f"status {error.status}" if isinstance(error, StatusError) else type(error).__name__
        return PageResponse.failed(f"the server failed: {what}")


def _is_refusal(error: StatusError) -> bool:
    """Return True if the server answers equal requests for pages in the same way."""
    is_retryable = error.status in RETRYABLE_STATUSES
    return not error.source and 400 <= error.status < 500 and not is_retryable


async def measure(
    depot: DepotClient,
    charger_id: str,
    connector_id: str | int,
    *,
    from_: datetime | None = None,
    to: datetime | None = None,
    on_request: Callable[[int], object] | None = None,
) -> Measurement:
    """Measure how the API of an account behaves, and say why something is unknown.

    See `probe` for the window and the errors.

    Args:
        depot: Client of the account.
        charger_id: Charger id.
        connector_id: Connector id.
        from_: Start of the window.
        to: End of the window.
        on_request: Function that receives the number of each request, from 1, before it is sent.

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     measurement = await measure(depot, "CP-001", 1)
        >>> measurement.reasons["max_limit"]
        'limits up to 50 are honoured; the window has too few sessions for larger pages'
    """
    query = Query.validated(charger_id, connector_id, from_, to, depot.now())
    transport = depot._transport
    reader = ReportReader(FieldCounts([query.charger_id, query.connector_id]))
    prober = _Prober(depot, query, ProbeTelemetry(transport.telemetry, on_request), reader)
    start, end = (None if time is None else to_utc(time) for time in (from_, to))
    findings = await prober.run(plan_probe(choose_windows(start, end, to_utc(depot.now()))))
    has_client = isinstance(transport.auth, ClientCredentials)
    evidence = Evidence(
        credentials="client_credentials" if has_client else "token",
        token_lifetime=_lifetime(prober.telemetry, has_client=has_client),
        echoes=prober.echoes,
        reports=prober.reader.reports.values(),
        counts=prober.reader.counts,
        timings=prober.timings,
        requests=len(prober.telemetry.attempts),
    )
    return summarize(findings, evidence)


def _lifetime(telemetry: ProbeTelemetry, *, has_client: bool) -> Finding[float]:
    """Return the lifetime of the newest token."""
    if not has_client:
        return Finding.unknown("the token came without its lifetime")
    if not telemetry.tokens:
        return Finding.unknown("the client had a token before the probe")
    lifetime = telemetry.tokens[-1].lifetime
    if lifetime is None:
        return Finding.unknown("the token response has no lifetime")
    return Finding(lifetime)


async def probe(
    depot: DepotClient,
    charger_id: str,
    connector_id: str | int,
    *,
    from_: datetime | None = None,
    to: datetime | None = None,
) -> Profile:
    """Measure how the API of an account behaves where the vendor documents nothing.

    A probe sends at most 40 GET requests, and no other ones besides those for a token. Requests
    pass through the client, with its limiter. A failed request is sent up to three times. A value
    is unknown if its requests still fail, or if the sessions of the window can't show it.

    Args:
        depot: Client of the account.
        charger_id: Charger id.
        connector_id: Connector id. An int is converted to its digits.
        from_: Start of the window to experiment with (timezone-aware). None means 31 days before
            `to`, or up to 10 years if these have fewer than 10 sessions.
        to: End of the window (timezone-aware). None means now.

    Returns:
        The profile, in which None stands for unknown. Use `measure` for the reasons.

    Raises:
        ValueError: An argument is invalid.
        NotFoundError: The charger or connector does not exist.
        AuthError: The API rejected the credentials.
        ApiError: No request succeeded.

    The vendor documents none of this (Depot: Session Reports API).

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     profile = await probe(depot, "CP-001", 1)
        >>> profile.order, profile.time_filter, profile.min_limit
        ('ascending', 'start', 1)
    """
    return (await measure(depot, charger_id, connector_id, from_=from_, to=to)).profile
