"""Traces and metrics to a collector over OTLP, by OpenTelemetry's own SDK: the extra `otel`.

Where, how often and how much of it is said by the OTEL_… variables, which the SDK reads. Requests
never wait for it: spans go through a bounded queue to a thread, metrics are sent by another one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
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

from gateway.tracing.context import Context
from gateway.tracing.spans import Span

KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
NANOSECONDS = 1_000_000_000
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
UNSET, FAULTY = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
SCOPE = InstrumentationScope("completion-gateway")
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
    """The port Spans. A trace for which the queue has no room is left out as a whole.

    The spans are made by hand, as they are over when they are made: by a tracer, which is for spans
    that are still open, they take five times as long."""

    def __init__(self, resource: Resource, queue_max: int, tell: Tell) -> None:
        self._tell = tell
        self._resource = resource
        self._queue_max = queue_max
        self._queued = 0
        self._exporter = _Counted(OTLPSpanExporter(), tell)
        self._processor = BatchSpanProcessor(self._exporter, max_queue_size=queue_max)
        self._sampler = TracerProvider(resource=resource, shutdown_on_exit=False).sampler

    def is_sampled(self, trace_id: int, parent: Context | None) -> bool:
        around = set_span_in_context(NonRecordingSpan(_remote(parent))) if parent else None
        result = self._sampler.should_sample(around, trace_id, "", SpanKind.SERVER)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def send(self, context: Context, parent: Context | None, spans: Sequence[Span]) -> None:
        if self._queued - self._exporter.left + len(spans) > self._queue_max:
            self._tell("traces", True, len(spans))
            return
        self._queued += len(spans)
        state = _state(context)
        above = _remote(parent) if parent else None
        for span in spans:
            place = SpanContext(context.trace_id, span.id, False, SAMPLED, state)
            self._processor.on_end(self._made(span, place, above))
            above = place if span is spans[0] else above

    def _made(self, span: Span, place: SpanContext, above: SpanContext | None) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            place,
            above,
            self._resource,
            span.attributes,
            kind=KINDS[span.kind],
            status=FAULTY if span.error else UNSET,
            start_time=round(span.began * NANOSECONDS),
            end_time=round(max(span.ended, span.began) * NANOSECONDS),
            instrumentation_scope=SCOPE,
        )

    def close(self) -> None:
        """Send what waits; it may take as long as the exporter's time-out."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def give_up(self) -> None:
        """Whatever is being sent is not tried again."""
        self._exporter.shutdown()


def _remote(parent: Context) -> SpanContext:
    """The caller's span, as the SDK has it."""
    flags = SAMPLED if parent.is_sampled else TraceFlags(TraceFlags.DEFAULT)
    return SpanContext(parent.trace_id, parent.span_id, True, flags, _state(parent))


def _state(context: Context) -> TraceState | None:
    return TraceState.from_header([context.state]) if context.state else None


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
