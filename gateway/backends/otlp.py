"""Traces and metrics to a collector over OTLP, by OpenTelemetry's own SDK: the extra `otel`.

Where, how often and how much of it is said by the OTEL_… variables, which the SDK reads. Requests
never wait for it: spans go through a bounded queue to a thread, metrics are sent by another one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState

from gateway.trace_context import Context
from gateway.trace_spans import Span

KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
NANOSECONDS = 1_000_000_000
SILENT = logging.CRITICAL + 1

Tell = Callable[[str, bool, int], None]
"""Told after each attempt: `traces` or `metrics`, whether it arrived, and how much did not. From
any thread."""


def resource_of(attributes: Mapping[str, str]) -> Resource:
    """What this process is: ours, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say more."""
    ours = Resource(dict(attributes))
    return Resource.create({}).merge(ours).merge(OTELResourceDetector().detect())


def silence_library() -> None:
    """It tells of every failed attempt, in words of others; we tell once, in ours."""
    logging.getLogger("opentelemetry").setLevel(SILENT)


class _Given(IdGenerator):
    """Ids that were made before: those of the request."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Counted(SpanExporter):
    """Passes on, and counts how many spans have left the queue, one way or the other."""

    def __init__(self, exporter: SpanExporter, tell: Tell) -> None:
        self._exporter = exporter
        self._tell = tell
        self.left = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        self.left += len(spans)
        arrived = result is SpanExportResult.SUCCESS
        self._tell("traces", arrived, 0 if arrived else len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class OtlpSpans:
    """The port Spans. A trace for which the queue has no room is left out as a whole."""

    def __init__(self, resource: Resource, queue_max: int, tell: Tell) -> None:
        self._tell = tell
        self._ids = _Given()
        self._queue_max = queue_max
        self._queued = 0
        self._exporter = _Counted(OTLPSpanExporter(), tell)
        provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(self._exporter, max_queue_size=queue_max)
        provider.add_span_processor(self._processor)
        self._sampler = provider.sampler
        self._tracer = provider.get_tracer("completion-gateway")

    def is_sampled(self, trace_id: int, parent: Context | None) -> bool:
        around = _around(parent) if parent else None
        result = self._sampler.should_sample(around, trace_id, "", SpanKind.SERVER)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def send(self, context: Context, parent: Context | None, spans: Sequence[Span]) -> None:
        if self._queued - self._exporter.left + len(spans) > self._queue_max:
            self._tell("traces", True, len(spans))
            return
        self._queued += len(spans)
        self._ids.trace_id = context.trace_id
        around = _around(parent) if parent else None
        first = self._begin(spans[0], around)
        below = set_span_in_context(first)
        for span in spans[1:]:
            self._end(self._begin(span, below), span)
        self._end(first, spans[0])

    def _begin(self, span: Span, around: Any) -> Any:
        self._ids.span_id = span.id
        return self._tracer.start_span(
            span.name,
            around,
            KINDS[span.kind],
            dict(span.attributes),
            start_time=round(span.began * NANOSECONDS),
        )

    def _end(self, begun: Any, span: Span) -> None:
        if span.error:
            begun.set_status(Status(StatusCode.ERROR))
        begun.end(round(max(span.ended, span.began) * NANOSECONDS))

    def close(self) -> None:
        """Send what waits; it may take as long as the exporter's time-out."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def give_up(self) -> None:
        """Whatever is being sent is not tried again."""
        self._exporter.shutdown()


def _around(parent: Context) -> Any:
    """The caller's span, as the SDK has it."""
    state = TraceState.from_header([parent.state]) if parent.state else None
    flags = TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT)
    context = SpanContext(parent.trace_id, parent.span_id, True, flags, state)
    return set_span_in_context(NonRecordingSpan(context))


class OtlpMetrics:
    """Sends what a scrape would say, as it is."""

    def __init__(self, tell: Tell) -> None:
        self._exporter = OTLPMetricExporter()
        self._tell = tell
        self._sending = threading.Lock()

    def send(self, data: MetricsData) -> None:
        """Waits until it has arrived, or did not; for a thread."""
        with self._sending:
            result = self._exporter.export(data)
        arrived = result is MetricExportResult.SUCCESS
        self._tell("metrics", arrived, 0 if arrived else 1)

    def give_up(self) -> None:
        self._exporter.shutdown()
