"""Print the metrics of two calls for Prometheus: `python telemetry_prometheus.py ID ID`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from thorclient import ApiError, Attempt, Call, Event, Retry, Telemetry, ThorClient


class Prometheus(Telemetry):
    """Sink that counts calls, requests and retries for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_error, by_status = ("template", "error"), ("template", "status")
        self._calls = Histogram("ev_calls", "Seconds of calls", by_error, registry=registry)
        self._requests = Histogram("ev_requests", "Seconds", by_status, registry=registry)
        self._retries = Counter("ev_retries", "Retries", ("error",), registry=registry)

    @contextmanager
    def call(self, call: Call) -> Iterator[None]:
        """Observe a call. Its end always runs the lines after `yield`."""
        yield
        self._calls.labels(call.template, call.error).observe(call.elapsed)

    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        """Observe a request."""
        yield
        self._requests.labels(attempt.template, attempt.status).observe(attempt.elapsed)

    def event(self, event: Event) -> None:
        """Count a retry."""
        if isinstance(event, Retry):
            self._retries.labels(event.error).inc()


async def main(*chargebox_ids: str) -> None:
    """Request chargeboxes, and print what Prometheus reads."""
    registry = CollectorRegistry()
    async with ThorClient.from_env(telemetry=Prometheus(registry)) as thor:
        for chargebox_id in chargebox_ids:
            try:
                await thor.get_chargebox(chargebox_id)
            except ApiError as error:
                print(error, file=sys.stderr)
    print(generate_latest(registry).decode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
