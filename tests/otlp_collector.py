"""A collector of OpenTelemetry on loopback: takes OTLP over HTTP, and remembers what came."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


@dataclass
class Collector:
    """What came, as protobuf has it, and as bytes. `status` is what it answers."""

    url: str = ""
    status: int = 200
    requests: list[Any] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            if isinstance(request, ExportTraceServiceRequest)
            for one in request.resource_spans
            for scope in one.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, Any]:
        """By name, as they came last."""
        return {
            metric.name: metric
            for request in self.requests
            if isinstance(request, ExportMetricsServiceRequest)
            for one in request.resource_metrics
            for scope in one.scope_metrics
            for metric in scope.metrics
        }

    def resources(self) -> list[dict[str, Any]]:
        found = []
        for request in self.requests:
            traces = isinstance(request, ExportTraceServiceRequest)
            for one in request.resource_spans if traces else request.resource_metrics:
                found.append(attributes(one.resource))
        return found


def attributes(holder: Any) -> dict[str, Any]:
    """Of a span, resource or point."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in holder.attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """Listening until the block ends."""
    it = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if it.status == 200:
                it.raw.append(body)
                it.requests.append(KINDS[self.path].FromString(body))
            self.send_response(it.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        it.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield it
        finally:
            server.shutdown()
            thread.join()
