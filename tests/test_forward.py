"""Forwarding: which headers pass, and whose fault an upstream's error is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import gateway
from gateway.errors import ApiError, Unavailable, UpstreamFailed
from gateway.fault import error_object, judge
from gateway.forward import (
    Headers,
    Reply,
    Target,
    answer_headers,
    forward,
    outgoing_headers,
)

TARGET = Target("main", "https://upstream.test/v1", "sk-upstream-secret", 1, 2, 3)
OURS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "accept-encoding": "identity",
    "user-agent": f"completion-gateway/{gateway.__version__}",
    "x-request-id": "req_1",
    "authorization": "Bearer sk-upstream-secret",
}


def test_a_target_does_not_show_its_key() -> None:
    assert "secret" not in repr(TARGET)
    assert "secret" not in f"{TARGET}"


def test_our_headers_go_out() -> None:
    assert dict(outgoing_headers(TARGET, [], "req_1")) == OURS


def test_without_a_key_no_authorization_goes_out() -> None:
    headers = dict(outgoing_headers(replace(TARGET, api_key=None), [], "req_1"))
    assert "authorization" not in headers


@pytest.mark.parametrize("name", ["openai-beta", "traceparent", "tracestate"])
def test_few_of_the_callers_headers_pass(name: str) -> None:
    headers = outgoing_headers(TARGET, [(name, "a"), (name, "b")], "req_1")
    assert [value for known, value in headers if known == name] == ["a", "b"]


STAY = [
    "authorization", "api-key", "x-api-key", "cookie", "host", "content-length", "content-type",
    "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
    "proxy-authorization", "proxy-connection", "forwarded", "x-forwarded-for", "x-forwarded-host",
    "x-forwarded-proto", "x-real-ip", "via", "referer", "origin", "user-agent", "accept",
    "accept-encoding", "accept-language", "openai-organization", "openai-project", "x-request-id",
    "x-stainless-lang", "x-stainless-retry-count", "x-stainless-async", "idempotency-key",
    "x-anything", "OpenAI-Beta",
]  # fmt: skip


@pytest.mark.parametrize("name", STAY)
def test_every_other_header_of_the_caller_stays(name: str) -> None:
    assert dict(outgoing_headers(TARGET, [(name, "of the caller")], "req_1")) == OURS


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\x00", "é", "a\nb"])
def test_a_header_that_could_be_read_as_two_stays(value: str) -> None:
    assert dict(outgoing_headers(TARGET, [("openai-beta", value)], "req_1")) == OURS


def test_a_key_with_space_around_it_is_sent_without() -> None:
    headers = outgoing_headers(replace(TARGET, api_key=" sk-upstream-secret\n"), [], "req_1")
    assert dict(headers) == OURS


@pytest.mark.parametrize("key", ["sk-a\nsk-b", "sk-é"])
def test_a_key_that_no_header_can_have_is_unavailable_and_not_shown(key: str) -> None:
    with pytest.raises(Unavailable) as raised:
        outgoing_headers(replace(TARGET, api_key=key), [], "req_1")
    assert raised.value.code == "upstream_key_missing"
    assert "sk-" not in raised.value.message


def test_forward_sends_the_body_to_the_target_and_yields_its_reply() -> None:
    sent: list[tuple[Target, str, Headers, bytes]] = []
    events: list[str] = []

    class Recorded:
        @asynccontextmanager
        async def send(
            self, target: Target, path: str, headers: Headers, body: bytes
        ) -> AsyncIterator[Reply]:
            sent.append((target, path, headers, body))
            yield Reply(200, [], _nothing())
            events.append("closed")

    async def main() -> None:
        caller = [("traceparent", "00-1"), ("cookie", "a=b")]
        async with forward(Recorded(), TARGET, "/completions", b"{}", caller, "req_1") as reply:
            events.append(f"in work {reply.status}")

    asyncio.run(main())
    ((target, path, headers, body),) = sent
    assert (target, path, body) == (TARGET, "/completions", b"{}")
    assert dict(headers) == OURS | {"traceparent": "00-1"}
    assert events == ["in work 200", "closed"]


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def test_few_of_the_upstreams_headers_come_back() -> None:
    passing = [
        ("content-type", "application/json"),
        ("openai-model", "m"),
        ("openai-version", "2020-10-01"),
    ]
    staying = [
        (name, "x")
        for name in (
            "set-cookie", "server", "date", "content-length", "content-encoding", "connection",
            "transfer-encoding", "openai-organization", "openai-project", "x-request-id",
            "openai-processing-ms",
            "x-ratelimit-remaining-tokens", "x-ratelimit-limit-requests", "retry-after",
            "www-authenticate", "location", "strict-transport-security", "alt-svc", "cf-ray",
        )
    ]  # fmt: skip
    assert list(answer_headers([*staying, *passing]).items()) == passing


def test_a_repeated_header_comes_back_once_and_a_broken_one_not_at_all() -> None:
    headers = [("openai-model", "a"), ("openai-model", "b"), ("openai-version", "x\ny")]
    assert answer_headers(headers) == {"openai-model": "a"}


ERROR = {"message": "too long", "type": "t", "param": "messages", "code": "c"}


def judged(status: int, body: Any, headers: Headers = ()) -> ApiError | None:
    return judge(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_our_key_is_ours_and_not_the_callers(status: int) -> None:
    error = judged(status, {"error": {**ERROR, "message": "Incorrect key sk-abc"}})
    assert isinstance(error, Unavailable)
    assert (error.status, error.code, error.retry) == (503, "upstream_key_refused", False)
    assert "sk-" not in error.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([("retry-after", "7")], 7.0),
        ([("retry-after", "7"), ("retry-after-ms", "350")], 0.35),
        ([("retry-after", "7"), ("retry-after-ms", "soon")], 7.0),
        ([("retry-after", "0")], 0.0),
        ([("retry-after", "-1")], None),
        ([("retry-after", "inf")], 86_400.0),
        ([("retry-after", "nan")], None),
        ([("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], None),
    ],
)
def test_a_limit_of_our_account_is_ours_and_says_when(
    headers: Headers, seconds: float | None
) -> None:
    error = judged(429, {"error": ERROR}, headers)
    assert isinstance(error, Unavailable)
    assert (error.status, error.code) == (503, "upstream_rate_limited")
    assert error.retry_after_seconds == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500, 502, 503, 529])
def test_an_error_that_is_the_callers_passes(status: int) -> None:
    assert judged(status, {"error": ERROR}) is None


NO_ERRORS = [
    b"<html>secret</html>", b"", b"secret", b"{}", b"[]", b"null", b'{"error": "secret"}',
    b'{"error": {"text": "secret"}}', b'{"error": {"message": 3}}', b'{"detail": "secret"}',
    b"\xff", b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("status", [304, 307, 400, 404, 500, 502, 999])
@pytest.mark.parametrize("body", NO_ERRORS, ids=range(len(NO_ERRORS)))
def test_what_is_no_error_of_the_api_is_an_invalid_answer(status: int, body: bytes) -> None:
    error = judged(status, body)
    assert isinstance(error, UpstreamFailed)
    assert (error.status, error.code) == (502, "upstream_invalid_answer")
    assert "secret" not in error.message


def test_a_redirect_with_an_error_object_is_an_invalid_answer() -> None:
    assert isinstance(judged(302, {"error": ERROR}), UpstreamFailed)


def test_an_error_always_has_its_four_keys_and_keeps_what_else_it_has() -> None:
    body = b'{"error": {"message": "m", "more": 1}, "trace": "t"}'
    assert error_object(body) == {
        "error": {"message": "m", "type": None, "param": None, "code": None, "more": 1},
        "trace": "t",
    }


def test_the_flat_error_of_some_servers_is_the_same() -> None:
    body = b'{"object": "error", "message": "m", "type": "BadRequestError", "code": 400}'
    assert error_object(body) == {
        "error": {
            "object": "error",
            "message": "m",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        }
    }


@pytest.mark.parametrize("told", ["1e305", "9" * 300, "inf"])
def test_an_absurd_wait_is_a_day_at_most(told: str) -> None:
    error = judge(429, [("retry-after", told)], b"")
    assert error is not None
    assert error.retry_after_seconds == 86_400


@pytest.mark.parametrize("told", ["nan", "-1", "soon"])
def test_a_wait_that_is_none_is_not_told(told: str) -> None:
    error = judge(429, [("retry-after", told)], b"")
    assert error is not None
    assert error.retry_after_seconds is None


def test_a_status_that_http_does_not_have_is_no_answer() -> None:
    error = judge(999, [], b'{"error": {"message": "odd"}}')
    assert error is not None
    assert error.status == 502
