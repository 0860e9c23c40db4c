"""The simulator over HTTP: endpoints, refusals, and what it tells about its work."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.simulator.app import MODELS, build_simulator
from gateway.simulator.options import Behaviour, Options

KEY = {"authorization": "Bearer right"}


class Served:
    """A simulator in this process, asked one request at a time."""

    def __init__(self, options: Options | None = None) -> None:
        self.notes: list[dict[str, Any]] = []
        self.app = build_simulator(options or Options(), self.notes.append, lambda: 1_700_000_000.5)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
                return await client.request(method, path, **request)

        return asyncio.run(send())

    def chat(self, text: str = "hi", **fields: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        body = {"model": "echo", "messages": messages, **fields}
        return self.ask("POST", "/v1/chat/completions", json=body)


@pytest.fixture
def served() -> Served:
    return Served()


def test_a_chat_is_answered_and_stamped(served: Served) -> None:
    answer = served.chat("héllo").json()
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "echo"
    assert answer["created"] == 1_700_000_000
    assert answer["choices"][0]["message"]["content"] == "héllo"
    assert answer["id"] != served.chat("héllo").json()["id"]


def test_a_stream_is_an_event_stream_up_to_done(served: Served) -> None:
    response = served.chat("one two", stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/engines/echo/completions"])
def test_a_legacy_completion_names_its_model_in_body_or_path(served: Served, path: str) -> None:
    body = {"prompt": "again"} | ({"model": "echo"} if path == "/v1/completions" else {})
    assert served.ask("POST", path, json=body).json()["choices"][0]["text"] == "again"


def test_embeddings_are_a_list(served: Served) -> None:
    body = {"model": "text-embedding-3-small", "input": ["a", "b"]}
    answer = served.ask("POST", "/v1/embeddings", json=body).json()
    assert [item["index"] for item in answer["data"]] == [0, 1]


def test_models_can_be_listed_and_looked_up(served: Served) -> None:
    listed = served.ask("GET", "/v1/models").json()
    assert [model["id"] for model in listed["data"]] == list(MODELS)
    assert served.ask("GET", "/v1/models/echo").json()["object"] == "model"
    missing = served.ask("GET", "/v1/models/nothing/here")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_named_models_are_the_only_ones() -> None:
    served = Served(Options(models=("echo",)))
    refused = served.chat(model="gpt-4o")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert served.chat().status_code == 200


def test_a_key_is_asked_for_where_one_is_set() -> None:
    served = Served(Options(api_key="right"))
    refused = served.ask("GET", "/v1/models", headers={"authorization": "Bearer wrong-key"})
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert "wrong-key" not in refused.text
    assert served.chat().status_code == 401
    assert served.ask("GET", "/v1/models", headers=KEY).status_code == 200


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"no json", None),
        (b"[1]", None),
        (b'{"messages": []}', "model"),
        (b'{"model": 5}', "model"),
        (b'{"model": "echo", "messages": 5}', "messages"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "\\ud800"}]}', None),
        (b'{"model": "echo", "simulate": {"what": 1}}', "simulate"),
        (b"[" * 100_000, None),
        (b"\xff", None),
    ],
)
def test_a_body_that_cannot_be_used_is_refused(
    served: Served, content: bytes, param: str | None
) -> None:
    response = served.ask("POST", "/v1/chat/completions", content=content)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


def test_an_unknown_url_and_a_wrong_method_are_told_as_openai_does(served: Served) -> None:
    for method, path, status in [("GET", "/v1/nothing", 404), ("GET", "/v1/embeddings", 405)]:
        response = served.ask(method, path)
        assert response.status_code == status
        assert response.json()["error"]["type"] == "invalid_request_error"


def test_an_error_on_request_costs_nothing(served: Served) -> None:
    refused = served.chat(simulate={"error": 429, "retry_after_seconds": 3})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    told = served.ask("GET", "/simulator/served").json()
    assert (told["requests"], told["refused"], told["prompt_tokens"]) == (1, 1, 0)


def test_it_tells_of_its_account_and_its_time_as_a_real_upstream_does(served: Served) -> None:
    """So that what a gateway must not pass on, or sends itself, is there to be passed on."""
    headers = served.chat().headers
    assert headers["openai-organization"] == "simulated-account"
    assert headers["openai-processing-ms"].isdecimal()


def test_defaults_hold_for_every_request_that_does_not_say_otherwise() -> None:
    served = Served(Options(Behaviour(answer="fixed")))
    assert served.chat().json()["choices"][0]["message"]["content"] == "fixed"
    other = served.chat(simulate={"answer": "other"}).json()
    assert other["choices"][0]["message"]["content"] == "other"


def test_every_body_is_noted_as_it_came_and_keys_are_masked(served: Served) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "future": [1]}
    headers = {"authorization": "Bearer sk-secret-text"}
    served.ask("POST", "/v1/chat/completions", json=body, headers=headers)
    served.ask("POST", "/v1/chat/completions", content=b"no json")
    first, second = served.notes
    assert first["body"] == body
    assert first["path"] == "/v1/chat/completions"
    assert first["model"] == "echo"
    assert first["headers"]["authorization"] == "…text"
    assert (second["body"], second["model"]) == ("no json", None)
    shown = served.ask("GET", "/simulator/received", params={"last": "1"}).json()["received"]
    assert shown == [second]


def test_what_was_served_is_what_was_told(served: Served) -> None:
    told = [served.chat("one two three", n=2).json()["usage"], served.chat("four").json()["usage"]]
    served.chat("five six", stream=True)
    counted = served.ask("GET", "/simulator/served").json()
    assert counted["requests"] == 3
    prompts = sum(usage["prompt_tokens"] for usage in told) + 8
    assert counted["prompt_tokens"] == prompts
    assert counted["completion_tokens"] == sum(u["completion_tokens"] for u in told) + 2


def test_only_so_many_requests_are_kept() -> None:
    served = Served(Options(received_max=2))
    for text in ("a", "b", "c"):
        served.chat(text)
    kept = served.ask("GET", "/simulator/received").json()["received"]
    assert [note["body"]["messages"][0]["content"] for note in kept] == ["b", "c"]


def test_an_error_can_come_so_many_times_and_then_an_answer() -> None:
    served = Served()
    wish = {"error": 503, "error_times": 2}
    statuses = [served.chat(simulate=wish).status_code for _ in range(4)]
    assert statuses == [503, 503, 200, 200]
    assert served.chat("another", simulate=wish).status_code == 503
    counted = served.ask("GET", "/simulator/served").json()
    assert (counted["refused"], counted["completion_tokens"]) == (3, 2)


def test_the_attempts_of_one_request_are_told_from_those_of_another_by_its_id() -> None:
    served = Served()
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    body["simulate"] = {"error": 503, "error_times": 1}
    statuses = [
        served.ask(
            "POST", "/v1/chat/completions", json=body, headers={"x-request-id": id}
        ).status_code
        for id in ("a", "b", "a", "b")
    ]
    assert statuses == [503, 503, 200, 200]


def test_an_error_can_charge_the_prompt_and_tell_so() -> None:
    served = Served()
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    body["simulate"] = {"error": 500, "error_charges": True}
    answer = served.ask("POST", "/v1/chat/completions", json=body, headers={"x-request-id": "a"})
    assert answer.status_code == 500
    told = answer.json()["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"]) == (7, 0)
    assert served.ask("GET", "/simulator/served").json()["prompt_tokens"] == 7
    assert (served.notes[-1]["prompt_tokens"], served.notes[-1]["completion_tokens"]) == (7, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cap_can_be_ignored(served: Served, stream: bool) -> None:
    fields = {"stream": stream, "max_tokens": 2}
    assert "four" not in served.chat("one two three four", **fields).text
    answer = served.chat("one two three four", simulate={"ignore_cap": True}, **fields)
    assert "four" in answer.text
    assert '"length"' not in answer.text


def test_usage_can_be_told_twice(served: Served) -> None:
    answer = served.chat("one two", stream=True, simulate={"usage": "twice"})
    told = [line for line in answer.text.split("\n\n") if '"usage":{' in line]
    assert len(told) == 2
    assert '"finish_reason":"stop"' in told[0]
    assert '"choices":[]' in told[1]
