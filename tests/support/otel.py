"""Spans and metrics that stay in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import attrs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from evtransport.otel import OpenTelemetry


@attrs.frozen
class Point:
    """Value of a metric for one set of attributes.

    Attributes:
        attributes: Attributes of the value.
        sum: Sum of the recorded values.
        count: Number of recorded values. 0 for a counter.
        bounds: Bounds of the buckets.
    """

    attributes: Mapping[str, object]
    sum: float
    count: int = 0
    bounds: tuple[float, ...] = ()


class Collector:
    """Providers whose spans and metrics a test reads back."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._metrics])

    def telemetry(self, *, ids: bool = True) -> OpenTelemetry:
        """Return a sink that sends to these providers."""
        return OpenTelemetry(
            ids=ids, tracer_provider=self.tracer_provider, meter_provider=self.meter_provider
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Spans that have ended, in this order."""
        return self._spans.get_finished_spans()

    @property
    def names(self) -> list[str]:
        """Names of these spans."""
        return [span.name for span in self.spans]

    def children_of(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Return the spans directly within a span."""
        return [span for span in self.spans if span.parent == parent.get_span_context()]

    def metrics(self) -> dict[str, list[Point]]:
        """Return the points of each metric, of all instrumentations."""
        data = self._metrics.get_metrics_data()
        assert data is not None
        found = defaultdict[str, list[Point]](list)
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] += map(_point_of, metric.data.data_points)
        return found

    def text(self) -> str:
        """Return all spans and metrics as text, to search for secrets and ids."""
        metrics = self._metrics.get_metrics_data()
        assert metrics is not None
        return "".join((*(span.to_json() for span in self.spans), metrics.to_json()))


def _point_of(point: object) -> Point:
    attributes = dict(getattr(point, "attributes", None) or {})
    if isinstance(point, HistogramDataPoint):
        return Point(attributes, point.sum, point.count, tuple(point.explicit_bounds))
    return Point(attributes, getattr(point, "value"))  # noqa: B009 - of another class
