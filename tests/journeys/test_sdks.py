"""The official clients, each in an environment of its own, against the simulator alone and through
the gateway: the same program sees the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import LEGACY, MODERN
from processes import UPSTREAM_KEY, Gateway, Simulator

PROMPT = "Write to ann.smith@example.com about the offer"
PROMPT_TOKENS = 16  # ten in the text, three for the message, three for the answer's start
BOTH = ["chat", "chat_stream", "tools", "tools_stream", "legacy", "legacy_stream", "embeddings",
        "models", "errors"]  # fmt: skip
MODERN_ONLY = ["chat_stream_usage", "tool_result", "error_in_stream", "upstream_fails"]
NAMES = ["davinci-codex", "echo", "text-embedding-3-small"]
TARGETS = ("simulator", "gateway")

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Base URL and key of the simulator, or of the gateway before it."""
    if request.param == "simulator":
        simulator: Simulator = request.getfixturevalue("simulator")
        return simulator.base_url, UPSTREAM_KEY
    gateway: Gateway = request.getfixturevalue("gateway")
    return gateway.base_url, gateway.key("main")


@pytest.fixture(scope="module")
def seen(target: tuple[str, str], version: str, sdk: Callable[..., Seen]) -> Seen:
    """What one client saw at one target."""
    extra = ["tutorial"] if version == LEGACY else MODERN_ONLY
    return sdk(version, *target, *BOTH, *extra)


ALL = pytest.mark.parametrize(
    ("target", "version"),
    [(target, version) for target in TARGETS for version in (*MODERN, LEGACY)],
    indirect=["target"],
    scope="module",
)
ONLY_MODERN = pytest.mark.parametrize(
    ("target", "version"),
    [(target, version) for target in TARGETS for version in MODERN],
    indirect=["target"],
    scope="module",
)
THROUGH_GATEWAY = pytest.mark.parametrize(
    ("target", "version"),
    [("gateway", version) for version in MODERN],
    indirect=["target"],
    scope="module",
)


@pytest.mark.parametrize(
    ("target", "version"),
    [(target, LEGACY) for target in TARGETS],
    indirect=["target"],
    scope="module",
)
def test_the_line_of_the_tutorial_runs_unchanged(seen: Seen) -> None:
    assert seen["tutorial"]["object"] == "text_completion"
    assert len(seen["tutorial"]["text"]) > 10


@ALL
def test_a_chat(seen: Seen) -> None:
    chat = seen["chat"]
    assert chat["text"] == PROMPT
    assert chat["finish_reason"] == "stop"
    assert chat["tokens"] == [PROMPT_TOKENS, 10]


@ALL
def test_a_chat_in_pieces(seen: Seen) -> None:
    stream = seen["chat_stream"]
    assert stream["text"] == PROMPT
    assert stream["last"] == "stop"
    assert stream["pieces"] > 3
    assert set(stream.get("usages", [])) <= {None}


@ONLY_MODERN
def test_a_chat_in_pieces_with_its_usage(seen: Seen) -> None:
    stream = seen["chat_stream_usage"]
    assert stream["texts"] == [PROMPT, PROMPT]
    assert stream["last_choices"] == []
    assert stream["tokens"] == [PROMPT_TOKENS, 20]


@ALL
def test_a_tool_call(seen: Seen) -> None:
    call = seen["tools"]
    assert call["name"] == "send_mail"
    assert call["arguments"]["to"] == PROMPT
    assert call["finish_reason"] in ("tool_calls", "function_call")


@ALL
def test_a_tool_call_in_fragments(seen: Seen) -> None:
    assert seen["tools_stream"]["arguments"]["to"] == PROMPT
    assert seen["tools_stream"]["fragments"] > 3


@ONLY_MODERN
def test_a_conversation_with_a_tools_result(seen: Seen) -> None:
    assert seen["tool_result"] == PROMPT


@ALL
def test_legacy_completions_for_several_prompts(seen: Seen) -> None:
    assert len(seen["legacy"]["texts"]) == 4
    assert seen["legacy"]["tokens"] == [6, 4 * 8]


@ALL
def test_a_legacy_completion_in_pieces_that_repeats_its_prompt(seen: Seen) -> None:
    assert seen["legacy_stream"] == PROMPT + PROMPT


@ALL
def test_embeddings(seen: Seen) -> None:
    assert seen["embeddings"] == {"sizes": [1536, 1536], "same": True, "tokens": 2}


@ALL
def test_models(seen: Seen) -> None:
    assert set(NAMES) <= set(seen["models"]["listed"])
    assert "hidden" not in seen["models"]["listed"]
    assert seen["models"]["retrieved"] == "echo"


@ALL
@pytest.mark.parametrize(
    ("case", "status", "code", "param"),
    [
        ("wrong_key", 401, "invalid_api_key", None),
        ("unknown_model", 404, "model_not_found", None),
        ("unknown_model_retrieved", 404, "model_not_found", None),
        ("no_messages", 400, None, "messages"),
        ("negative_n", 400, None, "n"),
    ],
)
def test_errors_have_their_status_code_and_field(
    seen: Seen, case: str, status: int, code: str | None, param: str | None
) -> None:
    error = seen["errors"][case]
    assert (error["status"], error["param"]) == (status, param)
    assert error["type"] == "invalid_request_error"
    if code is not None:
        assert error["code"] == code
    assert "sk-wrong-0123456789" not in error["message"]


@ONLY_MODERN
def test_an_unknown_url_is_not_found(seen: Seen) -> None:
    assert seen["errors"]["unknown_url"]["class"] == "NotFoundError"


@ONLY_MODERN
def test_an_error_after_the_first_byte_is_raised_from_the_last_event(seen: Seen) -> None:
    error = seen["error_in_stream"]
    assert error["class"] == "APIError"
    assert error["pieces"] >= 1
    assert error["message"]


@ONLY_MODERN
def test_a_failing_upstream_is_a_server_error(seen: Seen) -> None:
    assert seen["upstream_fails"]["class"] == "InternalServerError"


@THROUGH_GATEWAY
def test_answers_carry_the_gateways_headers_and_not_the_upstreams(seen: Seen) -> None:
    headers = seen["chat"]["headers"]
    assert headers["x-request-id"].startswith("req_")
    assert int(headers["openai-processing-ms"]) >= 0, "one number: the upstream's does not pass"
    assert headers.get("x-ratelimit-limit-requests") != "10000"
    assert "openai-organization" not in headers
    for case in seen["errors"].values():
        assert case["headers"]["x-request-id"].startswith("req_")


@pytest.mark.parametrize("version", MODERN)
def test_a_short_wait_is_retried_by_the_sdk_itself(
    version: str, gateway: Gateway, sdk: Callable[..., Seen]
) -> None:
    """One request a second: the SDK waits as long as `retry-after-ms` says, and gets through."""
    key = gateway.key("paced")
    seen = sdk(version, gateway.base_url, key, "retried_chats")
    assert len(seen["retried_chats"]) == 3
    assert max(seen["retried_chats"]) >= 1


@pytest.mark.parametrize("version", [*MODERN, LEGACY])
def test_a_used_up_budget_is_told_once_and_not_retried(
    version: str, gateway: Gateway, sdk: Callable[..., Seen]
) -> None:
    gateway.chat("spent")
    error = sdk(version, gateway.base_url, gateway.key("spent"), "one_chat")["one_chat"]
    assert error["class"] == "RateLimitError"
    assert (error["status"], error["code"]) == (429, "insufficient_quota")
    assert error["type"] == "insufficient_quota"
    assert error["headers"]["x-should-retry"] == "false"
    assert int(error["headers"]["retry-after"]) > 60
    assert "one-a-month" in error["message"]


def test_a_rate_limit_says_when_there_is_room(gateway: Gateway) -> None:
    answers = [gateway.chat("paced") for _ in range(20)]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["type"] == "requests"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert "one-a-second" in refused.json()["error"]["message"]
    assert 0 < int(refused.headers["retry-after-ms"]) <= 1000
    assert int(refused.headers["retry-after"]) == 1
