"""Every answer of the API is JSON with a request id, whatever was asked; streams end in words."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from world import NOW, World, chat, events, plain_answer

from gateway.edge.boundary import new_request_id
from gateway.edge.ops import build_ops
from gateway.edge.routes import build_api
from gateway.errors import UpstreamFailed
from gateway.keys.key import Role

USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message["body"] for message in messages[1:])

    def json(self) -> Any:
        return json.loads(self.body)


def ask(app, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
    sent: list[dict[str, Any]] = []

    async def main() -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        requests = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return requests.pop() if requests else await asyncio.Event().wait()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        path_only, _, query = path.partition("?")
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        scope = {
            "type": "http",
            "method": method,
            "path": path_only,
            "query_string": query.encode(),
            "headers": headers,
            "state": {},
        }
        await app(scope, receive, send)

    asyncio.run(main())
    return Answer(sent)


def test_ids_of_requests_are_in_the_order_of_their_times() -> None:
    world = World()
    ids = []
    for now in (NOW, NOW + 0.001, NOW + 86_400, NOW + 100 * 365 * 86_400):
        parts = replace(world.parts, clock=lambda now=now: now)
        ids += [new_request_id(parts) for _ in range(2)]
    assert (
        [id[4:16] for id in ids[::2]]
        == [id[4:16] for id in ids[1::2]]
        == sorted({id[4:16] for id in ids})
    )
    assert int(ids[0][4:16], 16) == int(NOW * 1000)
    assert {len(id) for id in ids} == {36}
    assert len(set(ids)) == len(ids)


def error_of(answer: Answer) -> dict[str, Any]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["content-type"] == "application/json"
    return error


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/chat/completions/", "/v1//models", "/metrics"])
def test_an_unknown_url_is_a_404_in_openais_words(path) -> None:
    answer = ask(build_api(World().parts), "GET", path)
    assert answer.status == 404
    assert error_of(answer)["message"] == f"Invalid URL (GET {path})"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/chat/completions"), ("DELETE", "/v1/models/echo")]
)
def test_another_method_is_a_405_that_names_the_right_one(method, path) -> None:
    answer = ask(build_api(World().parts), method, path)
    assert answer.status == 405
    assert "HINT: use" in error_of(answer)["message"]


def test_without_a_key_there_is_nothing() -> None:
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/chat/completions")):
        answer = ask(build_api(World().parts), method, path, chat())
        assert answer.status == 401
        assert error_of(answer)["code"] is None


def test_models_are_those_of_the_key() -> None:
    world = World()
    app = build_api(world.parts)
    listed = ask(app, "GET", "/v1/models", key=world.key).json()
    assert [model["id"] for model in listed["data"]] == ["echo"]
    assert ask(app, "GET", "/v1/models/echo", key=world.key).json()["object"] == "model"
    assert error_of(ask(app, "GET", "/v1/models/x/y", key=world.key))["code"] == "model_not_found"
    scoped = world.new_key(models=("gpt-*",))
    assert ask(app, "GET", "/v1/models", key=scoped).json()["data"] == []
    blind = world.new_key(endpoints=("chat",))
    assert ask(app, "GET", "/v1/models", key=blind).status == 403
    assert ask(app, "GET", "/v1/models", key=world.new_key("", Role.ADMIN)).status == 403


def test_an_answer_has_its_limits_and_its_length() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    answer = ask(build_api(world.parts), "POST", "/v1/chat/completions", chat(), world.key)
    assert answer.status == 200
    assert answer.headers["x-ratelimit-limit-requests"] == "5"
    assert answer.headers["x-ratelimit-remaining-requests"] == "4"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["x-request-id"] == "req_" + world.journal.entries[0].id[4:]


def test_the_engine_of_an_old_url_is_the_model() -> None:
    world = World()
    world.upstream.pieces = [b'{"object": "text_completion", "choices": []}']
    path = "/v1/engines/echo/completions"
    assert ask(build_api(world.parts), "POST", path, {"prompt": "a"}, world.key).status == 200
    assert world.upstream.received[0]["model"] == "echo"


def test_a_429_has_the_headers_by_which_sdks_decide() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    app = build_api(world.parts)
    answers = [ask(app, "POST", "/v1/chat/completions", chat(), world.key) for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    last = answers[-1]
    assert error_of(last)["code"] == "rate_limit_exceeded"
    assert last.headers["retry-after"] == "12"
    assert last.headers["retry-after-ms"] == "12000"
    assert last.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_stream_that_breaks_ends_with_an_error_event() -> None:
    world = World()
    world.upstream.content_type = "text/event-stream"
    broken = UpstreamFailed("The connection broke.", code="upstream_unreachable")
    world.upstream.pieces = [*events("one", done=False), broken]
    answer = ask(
        build_api(world.parts), "POST", "/v1/chat/completions", chat(stream=True), world.key
    )
    assert answer.status == 200
    last = answer.body.strip().split(b"\n\n")[-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_unreachable"
    assert len(world.journal.entries) == 1


def test_our_own_fault_is_a_500_that_tells_nothing_but_its_id() -> None:
    world = World()

    async def broken(prefix: str) -> None:
        raise RuntimeError("the secret of the house")

    world.keyring.find = broken
    answer = ask(build_api(world.parts), "POST", "/v1/chat/completions", chat(), world.key)
    assert answer.status == 500
    error = error_of(answer)
    assert error["code"] == "internal_error"
    assert answer.headers["x-request-id"] in error["message"]
    assert "secret of the house" not in answer.body.decode() + str(world.log.lines)
    failed = next(fields for event, fields in world.log.lines if event == "failed")
    assert failed["exception"] == "RuntimeError"
    assert world.journal.entries[0].status == 500
    assert ask(build_api(world.parts), "GET", "/v1/models", key=world.key).status == 500
    assert [entry.outcome for entry in world.journal.entries] == ["failed", "failed"]


def test_the_operations_port_tells_what_keeps_the_gateway_from_being_ready() -> None:
    world = World()
    told: dict[str, str | None] = {"schema": None, "journal": None}

    def check(name: str):
        async def result() -> str | None:
            return told[name]

        return result

    world.parts.checks.update({name: check(name) for name in told})
    app = build_ops(world.parts)
    assert ask(app, "GET", "/livez").body == b"ok\n"
    assert ask(app, "GET", "/readyz").json() == {"status": "ok"}
    assert ask(app, "GET", "/readyz?verbose").json()["schema"] == "ok"
    told["schema"] = "run gateway migrate"
    answer = ask(app, "GET", "/readyz")
    assert answer.status == 503
    assert answer.json()["schema"] == "run gateway migrate"
    assert b"gateway_inflight_requests 0.0" in ask(app, "GET", "/metrics").body


def test_every_request_has_its_entry_also_where_nothing_was_asked_of_a_model() -> None:
    world = World()
    app = build_api(world.parts)
    ask(app, "GET", "/v1/models", key=world.key)
    ask(app, "GET", "/v1/models")
    ask(app, "GET", "/nowhere")
    ask(app, "GET", "/v1/chat/completions")
    told = [(one.endpoint, one.status, one.key_id, one.outcome) for one in world.journal.entries]
    assert told == [
        ("models", 200, "key_0", "ok"),
        ("models", 401, "", "refused"),
        ("", 404, "", "refused"),
        ("", 405, "", "refused"),
    ]
    assert all(one.requests == 0 for one in world.journal.entries)
    assert [event for event, _ in world.log.lines] == ["request"] * 4


def test_a_key_that_is_good_no_more_is_named_in_its_entry() -> None:
    world = World()
    (prefix, secret), *_ = world.keyring.secrets.items()
    world.keyring.secrets[prefix] = replace(secret, key=replace(secret.key, revoked_at=1.0))
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
        answer = ask(build_api(world.parts), method, path, chat(), world.key)
        assert "was revoked" in error_of(answer)["message"]
    assert [one.key_id for one in world.journal.entries] == ["key_0", "key_0"]


def test_callers_cannot_make_series_whatever_they_send() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    app = build_api(world.parts)

    def series() -> int:
        lines = world.parts.meters.exposition().splitlines()
        return sum(not line.startswith(b"#") for line in lines)

    def storm(first: int, count: int) -> None:
        for number in range(first, first + count):
            ask(app, "GET", f"/v1/{number}")
            ask(app, "GET", f"/v1/models/m{number}", key=world.key)
            for body in (chat() | {"model": f"m{number}"}, chat(user=f"u{number}"), {}):
                ask(app, "POST", "/v1/chat/completions", body, world.key)
            ask(app, "POST", "/v1/chat/completions", chat(), f"sk-{number}")

    storm(0, 10)
    known = series()
    storm(10, 100)
    assert series() == known
