"""A gateway as a process of its own: what it tells a collector, and that a dead one changes
nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from otlp_collector import attributes, collector
from processes import CLOSED_URL, UPSTREAM_KEY, Gateway, Simulator, wait_until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_goes_from_the_caller_to_the_upstream_and_all_of_it_to_the_collector(
    simulator: Simulator, new_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway-of-a-journey")
        gateway = new_gateway(otel="on", meter_genai="on")
        headers = {"traceparent": PARENT, "tracestate": "vendor=1"}
        body = {"model": "echo", "messages": [{"role": "user", "content": "to ada@example.com"}]}
        key = gateway.key("main")
        answer = gateway.post("/v1/chat/completions", key, json=body, headers=headers)
        assert answer.status_code == 200
        spans = wait_until(receiver.spans, "spans")
        wait_until(lambda: "gen_ai.client.token.usage" in receiver.metrics(), "metrics of GenAI")
        assert gateway.stop() == 0
        by_verb = {attributes(span).get("gateway.verb", "root"): span for span in spans}
        assert by_verb.keys() == {
            "root", "authenticate", "match", "redact", "admit", "forward", "answer", "settle"
        }  # fmt: skip
        assert {span.trace_id.hex() for span in spans} == {PARENT[3:35]}
        request_id = answer.headers["x-request-id"]
        assert attributes(by_verb["root"])["gateway.request_id"] == request_id
        (heard,) = [
            one["headers"]
            for one in simulator.received()
            if one.get("headers", {}).get("x-request-id") == request_id
        ]
        assert heard["traceparent"] == f"{PARENT[:36]}{by_verb['forward'].span_id.hex()}-01"
        assert heard["tracestate"] == "vendor=1"
        assert {one["service.name"] for one in receiver.resources()} == {"gateway-of-a-journey"}
        said = b"".join(receiver.raw)
        for secret in ("ada@example.com", key, UPSTREAM_KEY):
            assert secret.encode() not in said
        (tokens,) = [
            point
            for point in receiver.metrics()["gen_ai.client.token.usage"].histogram.data_points
            if attributes(point)["gen_ai.token.type"] == "input"
        ]
        assert tokens.count == 1
        assert attributes(tokens)["gen_ai.operation.name"] == "chat"


def test_a_dead_collector_is_told_once_and_requests_go_on(
    new_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", CLOSED_URL)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    gateway = new_gateway(otel="on")

    def lost(signal: str) -> float:
        return gateway.metric("gateway_telemetry_lost_total", signal=signal)

    wait_until(lambda: gateway.chat().status_code == 200 and lost("traces") > 16, "lost spans")
    wait_until(lambda: lost("metrics") >= 2, "lost metrics")
    assert gateway.stop() == 0
    assert gateway.program.errors.count('"event":"telemetry_away"') == 2  # traces, and metrics
    assert "Traceback" not in gateway.program.errors
    assert "opentelemetry" not in gateway.program.errors


def test_a_protocol_that_it_does_not_speak_keeps_it_from_starting(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    refused = gateway.command("serve", otel="on")
    assert refused.returncode == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'" in refused.stderr
