"""Traces and metrics arrive at a collector, and one that is away holds up nothing."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from otlp_collector import Collector, attributes, collector
from test_series import asked
from world import NOW, World, chat, events, plain_answer

from gateway import telemetry
from gateway.edge.routes import build_api
from gateway.errors import ApiError
from gateway.exchange import exchange
from gateway.settings import Settings
from gateway.telemetry import telling, trouble
from gateway.tracing.traces import Untraced

USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ID = "req_t0123456789abcdeffedcba9876543210"
VERBS = ["authenticate", "match", "redact", "admit", "forward", "answer", "settle"]


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as it:
        yield it


@pytest.fixture
def environ(receiver: Collector, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """OpenTelemetry's variables, in the process' own environment, too: the SDK reads that."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@asynccontextmanager
async def traced(environ: dict[str, str], **settings: Any) -> AsyncIterator[World]:
    """A world whose requests are told to the collector; at its end all of it has been sent."""
    world = World()
    ticks = itertools.count()
    object.__setattr__(world.parts, "stopwatch", lambda: next(ticks) / 1000)
    world.parts.meters.start_time.set(NOW - 60)
    options = Settings(otel="on", **settings)
    async with telling(options, environ, "one", world.parts.meters, world.log) as it:
        object.__setattr__(world.parts, "traces", it.traces)
        tasks = [asyncio.create_task(work(world.parts)) for work in it.work.values()]
        await asyncio.sleep(0)
        try:
            yield world
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def named(call: Any, *headers: tuple[str, str]) -> Any:
    return replace(call, id=ID, headers=[*call.headers, *headers])


async def answered(world: World, body: Any, *headers: tuple[str, str]) -> str:
    """One request to its end; the code of its refusal, or nothing."""
    try:
        async with exchange(named(world.call(body), *headers), world.parts) as answer:
            async for _ in answer.pieces():
                pass
    except ApiError as error:
        return error.code or ""
    return ""


def test_a_request_is_a_span_with_a_child_for_each_verb(
    receiver: Collector, environ: dict[str, str]
) -> None:
    async def main() -> None:
        async with traced(environ) as world:
            world.upstream.pieces = events("he", "llo", usage=USAGE)
            world.upstream.content_type = "text/event-stream"
            body = chat("to ada@example.com", stream=True, user="ada-the-caller")
            assert await answered(world, body, ("traceparent", PARENT), ("tracestate", "a=1")) == ""

    asyncio.run(main())
    spans = receiver.spans()
    (root,) = [span for span in spans if span.kind == span.SPAN_KIND_SERVER]
    children = sorted((s for s in spans if s is not root), key=lambda s: s.start_time_unix_nano)
    assert [attributes(span)["gateway.verb"] for span in children] == VERBS
    assert root.name == "POST /v1/chat/completions"
    assert root.trace_id.hex() == PARENT[3:35]
    assert root.parent_span_id.hex() == PARENT[36:52]
    assert root.trace_state == "a=1"
    assert {span.parent_span_id for span in children} == {root.span_id}
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert len({span.span_id for span in spans}) == len(spans)
    for one, other in itertools.pairwise(children):
        assert one.start_time_unix_nano < one.end_time_unix_nano <= other.start_time_unix_nano
    assert root.start_time_unix_nano == NOW * 10**9
    assert root.start_time_unix_nano <= children[0].start_time_unix_nano
    assert children[-1].end_time_unix_nano <= root.end_time_unix_nano
    told = attributes(root)
    assert told["gateway.organization"] == "acme"
    assert told["gateway.project"] == "demo"
    assert told["gateway.request_id"] == ID
    assert told["gateway.redactions"] == 1
    assert told["gen_ai.request.model"] == "echo"
    assert told["gen_ai.usage.input_tokens"] == 8
    assert told["gen_ai.usage.output_tokens"] == 3
    assert told["http.response.status_code"] == 200
    forward = children[VERBS.index("forward")]
    assert (forward.name, forward.kind) == ("chat echo", forward.SPAN_KIND_CLIENT)
    assert not any(span.status.code for span in spans)
    resource = receiver.resources()[0]
    assert resource["service.name"] == "completion-gateway"
    assert resource["service.instance.id"] == "one"
    sent = b"".join(receiver.raw)
    for secret in (b"ada@example.com", b"ada-the-caller", b"sk-", b"key_0", b"hello"):
        assert secret not in sent


def test_our_span_of_forward_is_the_upstreams_parent(
    receiver: Collector, environ: dict[str, str]
) -> None:
    heard: list[dict[str, str]] = []

    async def main() -> None:
        async with traced(environ) as world:
            world.upstream.pieces = [plain_answer("ok", USAGE)]
            send = world.upstream.send

            def hear(target: Any, path: str, headers: Any, body: bytes) -> Any:
                heard.append(dict(headers))
                return send(target, path, headers, body)

            world.upstream.send = hear  # type: ignore[method-assign]
            await answered(world, chat(), ("traceparent", PARENT), ("tracestate", "a=1,b=2"))

    asyncio.run(main())
    (forward,) = [s for s in receiver.spans() if s.kind == s.SPAN_KIND_CLIENT]
    assert heard[0]["traceparent"] == f"{PARENT[:36]}{forward.span_id.hex()}-01"
    assert heard[0]["tracestate"] == "a=1,b=2"


@pytest.mark.parametrize("headers", [[], [("traceparent", "nonsense"), ("tracestate", "a=1")]])
def test_without_a_trace_of_the_caller_the_trace_has_the_id_of_the_request(
    headers: list[tuple[str, str]], receiver: Collector, environ: dict[str, str]
) -> None:
    async def main() -> None:
        async with traced(environ) as world:
            world.upstream.pieces = [plain_answer("ok", USAGE)]
            await answered(world, chat(), *headers)

    asyncio.run(main())
    (root,) = [s for s in receiver.spans() if s.kind == s.SPAN_KIND_SERVER]
    assert root.trace_id.hex() == ID.removeprefix("req_t")
    assert root.parent_span_id == b""
    assert root.trace_state == ""


def test_a_caller_whose_trace_is_not_kept_has_no_spans_and_the_upstream_hears_so(
    receiver: Collector, environ: dict[str, str]
) -> None:
    async def main() -> None:
        async with traced(environ) as world:
            call = named(world.call(chat()), ("traceparent", PARENT[:-1] + "0"))
            passed = dict(world.parts.traces.passed_on(call))
            assert passed["traceparent"].startswith(PARENT[:36])
            assert passed["traceparent"].endswith("-00")
            await answered(world, chat(), ("traceparent", PARENT[:-1] + "0"))

    asyncio.run(main())
    assert receiver.spans() == []


def test_a_sampler_of_the_environment_decides(
    receiver: Collector, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    kept: dict[str, bool] = {}

    async def main() -> None:
        async with traced(environ) as world:
            world.upstream.pieces = [plain_answer("ok", USAGE)]
            for half in ("1", "f"):
                call = replace(world.call(chat()), id=f"req_t{half * 16}{half * 15}0")
                kept[half] = dict(world.parts.traces.passed_on(call))["traceparent"].endswith("1")
                async with exchange(call, world.parts):
                    pass

    asyncio.run(main())
    assert kept == {"1": True, "f": False}
    assert {span.trace_id.hex() for span in receiver.spans()} == {"1" * 31 + "0"}


def test_the_verb_that_refuses_is_the_last_one_and_says_why(
    receiver: Collector, environ: dict[str, str]
) -> None:
    async def main() -> None:
        async with traced(environ) as world:
            assert await answered(world, chat("BEGIN PRIVATE KEY")) == "pii_blocked"

    asyncio.run(main())
    children = [span for span in receiver.spans() if span.kind != span.SPAN_KIND_SERVER]
    verbs = {attributes(span)["gateway.verb"]: span for span in children}
    assert list(verbs) == ["authenticate", "match", "redact", "settle"]
    assert verbs["redact"].status.code == verbs["redact"].status.STATUS_CODE_ERROR
    (root,) = [span for span in receiver.spans() if span.kind == span.SPAN_KIND_SERVER]
    assert attributes(root)["error.type"] == "pii_blocked"
    assert root.status.code == root.status.STATUS_CODE_UNSET  # a fault of the caller's


def test_an_upstream_that_fails_is_the_fault_of_forward(
    receiver: Collector, environ: dict[str, str]
) -> None:
    async def main() -> None:
        async with traced(environ) as world:
            world.upstream.status = 500
            world.upstream.pieces = [b"broken"]
            assert await answered(world, chat()) == "upstream_invalid_answer"

    asyncio.run(main())
    (forward,) = [s for s in receiver.spans() if s.kind == s.SPAN_KIND_CLIENT]
    (root,) = [s for s in receiver.spans() if s.kind == s.SPAN_KIND_SERVER]
    assert attributes(forward)["error.type"] == "500"
    assert {s.status.code for s in (forward, root)} == {root.status.STATUS_CODE_ERROR}


def test_what_is_no_exchange_is_a_span_alone(receiver: Collector, environ: dict[str, str]) -> None:
    async def main() -> None:
        async with traced(environ) as world:
            random = world.parts.id_bytes
            object.__setattr__(world.parts, "id_bytes", lambda n: b"\1" * (n - 1) + random(1))
            api, headers = build_api(world.parts), [("authorization", f"Bearer {world.key}")]
            assert (await asked(api, "GET", "/v1/models", headers, b""))[0] == 200
            headers.append(("traceparent", PARENT))
            assert (await asked(api, "GET", "/v1/made-up-by-a-caller", headers, b""))[0] == 404

    asyncio.run(main())
    models, unknown = receiver.spans()
    assert models.name == "GET /v1/models"
    assert unknown.name == "HTTP"
    assert unknown.parent_span_id.hex() == PARENT[36:52]
    assert b"made-up-by-a-caller" not in b"".join(receiver.raw)


def test_the_meters_arrive_by_their_names_with_what_was_counted(
    receiver: Collector, environ: dict[str, str]
) -> None:
    async def main() -> None:
        async with traced(environ) as world:
            world.upstream.pieces = [plain_answer("ok", USAGE)]
            await answered(world, chat())

    asyncio.run(main())
    metrics = receiver.metrics()
    (requests,) = metrics["gateway_requests_total"].sum.data_points
    assert attributes(requests) == {
        "route": "chat", "model": "echo", "status": "200", "outcome": "ok"
    }  # fmt: skip
    assert requests.as_double == 1
    assert metrics["gateway_requests_total"].sum.is_monotonic
    assert requests.start_time_unix_nano == (NOW - 60) * 10**9
    tokens = metrics["gateway_tokens_total"].sum.data_points
    assert {attributes(p)["type"]: p.as_double for p in tokens} == {"input": 8, "output": 3}
    (duration,) = metrics["gateway_request_duration_seconds"].histogram.data_points
    assert metrics["gateway_request_duration_seconds"].unit == "s"
    assert duration.count == sum(duration.bucket_counts) == 1
    assert len(duration.bucket_counts) == len(duration.explicit_bounds) + 1
    assert metrics["gateway_inflight_requests"].gauge.data_points[0].as_double == 0


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.005)


def test_a_collector_that_is_away_is_told_once_and_again_when_it_is_back(
    receiver: Collector, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    lost = partial(World.metered, name="gateway_telemetry_lost_total", signal="traces")

    async def main() -> World:
        async with traced(environ | {"OTEL_METRICS_EXPORTER": "none"}) as world:
            world.upstream.pieces = [plain_answer("ok", USAGE)]
            receiver.status = 500
            for n in (1, 2, 3):
                assert await answered(world, chat()) == ""
                await until(lambda n=n: lost(world) == 8 * n)  # type: ignore[misc]
            receiver.status = 200
            for n in (1, 2):
                assert await answered(world, chat()) == ""
                await until(lambda n=n: len(receiver.spans()) == 8 * n)  # type: ignore[misc]
            return world

    world = asyncio.run(main())
    told = [(event, fields) for event, fields in world.log.lines if event.startswith("telemetry")]
    assert told == [
        ("telemetry_away", {"signal": "traces"}),
        ("telemetry_back", {"signal": "traces"}),
    ]


def test_a_collector_that_never_answers_holds_up_neither_requests_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes the connection, and says nothing."""
    monkeypatch.setattr(telemetry, "CLOSE_SECONDS", 0.2)

    async def main() -> float:
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
        now = asyncio.get_running_loop().time
        async with traced({"OTEL_BSP_MAX_QUEUE_SIZE": "512"}) as world:
            world.upstream.pieces = [plain_answer("ok", USAGE)]
            for _ in range(4):
                assert await answered(world, chat()) == ""
            began = now()
        took = now() - began
        server.close()
        return took

    assert asyncio.run(main()) < 50


def test_a_queue_without_room_drops_whole_traces_and_counts_them(
    receiver: Collector, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "12")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "99999")
    receiver.status = 503

    async def main() -> World:
        async with traced(environ | {"OTEL_BSP_MAX_QUEUE_SIZE": "12"}) as world:
            world.upstream.pieces = [plain_answer("ok", USAGE)]
            for _ in range(3):
                assert await answered(world, chat()) == ""
            receiver.status = 200
        return world

    world = asyncio.run(main())
    assert len(receiver.spans()) == 8
    assert world.metered("gateway_telemetry_lost_total", signal="traces") == 16


def test_off_nothing_is_made_and_the_caller_s_trace_passes_as_it_is(
    receiver: Collector, environ: dict[str, str]
) -> None:
    async def main() -> None:
        world = World()
        for settings, variables in (
            (Settings(), environ),
            (Settings(otel="on"), environ | {"OTEL_SDK_DISABLED": "true"}),
        ):
            async with telling(settings, variables, "one", world.parts.meters, world.log) as it:
                assert isinstance(it.traces, Untraced)
                assert it.work == {}
        call = named(world.call(chat()), ("traceparent", PARENT))
        assert world.parts.traces.passed_on(call) is call.headers

    asyncio.run(main())
    assert receiver.requests == []


ON = Settings(otel="on")


def test_what_cannot_be_is_told_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trouble(Settings(), {"OTEL_TRACES_EXPORTER": "zipkin"}) is None
    assert trouble(ON, {}) is None
    wrong = {
        "OTEL_TRACES_EXPORTER": "zipkin",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json",
        "OTEL_METRIC_EXPORT_INTERVAL": "soon",
        "OTEL_BSP_MAX_QUEUE_SIZE": "0",
    }
    for name, value in wrong.items():
        assert f"{name} is '{value}'" in (trouble(ON, {name: value}) or "")
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None)
    assert "completion-gateway[otel]" in (trouble(ON, {}) or "")
