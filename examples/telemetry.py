"""Print a line for each span of a walk: `python telemetry.py CHARGER CONNECTOR`."""

from __future__ import annotations

import asyncio
import sys

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from depotclient import DepotClient
from evtransport.otel import OpenTelemetry


def line_of(span: ReadableSpan) -> str:
    """Return kind, name and error of a span."""
    return f"{span.kind.name} {span.name} {(span.attributes or {}).get('error.type', 'ok')}\n"


async def main(charger_id: str, connector_id: str) -> None:
    """Walk over the reports of a connector."""
    provider = TracerProvider()
    exporter = ConsoleSpanExporter(out=sys.stdout, formatter=line_of)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = OpenTelemetry(tracer_provider=provider)
    async with DepotClient.from_env(telemetry=telemetry) as depot:
        reports = await depot.session_reports(charger_id, connector_id).collect(max_items=100)
    print(f"{len(reports)} reports")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
