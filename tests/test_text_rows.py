"""Every row of the tables of docs/guides/redaction.md, in a whole exchange: what a request holds
leaves as a placeholder, what an answer holds comes back as itself, as JSON and as a stream."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path as File
from typing import Any

import pytest
from test_exchange import run
from world import POLICY, World, chat

from gateway.policy.policy import Endpoint

MAIL = "ann@example.com"
SAID = f"mail {MAIL} now"
ARGUMENTS = json.dumps({"to": {"mail": [SAID]}, "n": 3})
GUIDE = File(__file__).parent.parent / "docs" / "guides" / "redaction.md"
PARTS = ("text", "refusal", "input_text", "output_text", "thinking", "transcript")
SCHEMA_TEXTS = ("description", "title", "$comment")
SCHEMA_VALUES = ("default", "example", "examples", "enum", "const")

Path = tuple[str | int, ...]


def _of_content(*at: str | int) -> list[tuple[Path, Any]]:
    parts: list[tuple[Path, Any]] = [
        (at, [{"type": kind, kind: SAID}, {"type": "image_url", "image_url": {"url": "https://x"}}])
        for kind in PARTS
    ]
    return [
        (at, SAID),
        *parts,
        (at, [{"type": "file", "file": {"filename": SAID}}]),
        (at, [{"type": "x", "content": [{"type": "text", "text": SAID}]}]),
    ]


def _of_schema(*at: str | int) -> list[tuple[Path, Any]]:
    texts = [(at, {"properties": {"a": {key: SAID}}}) for key in SCHEMA_TEXTS]
    return texts + [(at, {"properties": {"a": {key: [SAID]}}}) for key in SCHEMA_VALUES]


M: Path = ("messages", 1)  # one of the history; the last message is the user's
CALL = {"id": "c", "type": "function"}
REQUESTS: dict[str, list[tuple[Path, Any]]] = {
    "messages[].content": _of_content(*M, "content"),
    "messages[].name": [((*M, "name"), SAID)],
    "messages[].refusal": [((*M, "refusal"), SAID)],
    "messages[].reasoning_content": [((*M, "reasoning_content"), SAID)],
    "messages[].reasoning": [((*M, "reasoning"), SAID)],
    "messages[].audio.transcript": [((*M, "audio"), {"id": "a", "transcript": SAID})],
    "messages[].tool_calls[].function.arguments": [
        ((*M, "tool_calls"), [CALL | {"function": {"name": "f", "arguments": ARGUMENTS}}])
    ],
    "messages[].function_call.arguments": [
        ((*M, "function_call"), {"name": "f", "arguments": ARGUMENTS}),
        ((*M, "function_call"), {"name": "f", "arguments": f"no JSON: {SAID}"}),
    ],
    "messages[].tool_calls[].custom.input": [
        ((*M, "tool_calls"), [CALL | {"type": "custom", "custom": {"name": "f", "input": SAID}}])
    ],
    "tools[].function": [
        (("tools",), [{"type": "function", "function": {"name": "f", "description": SAID}}]),
        *(
            (("tools",), [{"type": "function", "function": {"name": "f", "parameters": schema}}])
            for _, schema in _of_schema()
        ),
    ],
    "tools[].custom": [
        (("tools",), [{"type": "custom", "custom": {"name": "f", "description": SAID}}])
    ],
    "functions[]": [
        (("functions",), [{"name": "f", "description": SAID}]),
        *((("functions",), [{"name": "f", "parameters": one}]) for _, one in _of_schema()),
    ],
    "response_format.json_schema": [
        *(
            (("response_format",), {"type": "json_schema", "json_schema": {"name": "s", **one}})
            for one in ({"description": SAID}, *({"schema": one} for _, one in _of_schema()))
        )
    ],
    "prediction.content": [
        (("prediction",), {"type": "content", "content": value})
        for _, value in _of_content()
    ],
    "prompt": [(("prompt",), SAID), (("prompt",), ["nothing", SAID])],
    "input": [(("input",), SAID), (("input",), ["nothing", SAID])],
    "suffix": [(("suffix",), SAID)],
    "instructions": [(("instructions",), SAID)],
    "stop": [(("stop",), SAID), (("stop",), ["nothing", SAID])],
    "user": [(("user",), SAID)],
    "safety_identifier": [(("safety_identifier",), SAID)],
    "prompt_cache_key": [(("prompt_cache_key",), SAID)],
    "metadata": [(("metadata",), {"a": SAID})],
}  # fmt: skip
ANSWERS: dict[str, Any] = {  # the message or delta
    "choices[].*.content": {"content": SAID},
    "choices[].*.reasoning_content": {"reasoning_content": SAID},
    "choices[].*.reasoning": {"reasoning": SAID},
    "choices[].*.refusal": {"refusal": SAID},
    "choices[].*.audio.transcript": {"audio": {"transcript": SAID}},
    "choices[].*.tool_calls[].function.arguments": {
        "tool_calls": [{"index": 0, "function": {"arguments": ARGUMENTS}}]
    },
    "choices[].*.function_call.arguments": {"function_call": {"arguments": ARGUMENTS}},
    "choices[].*.tool_calls[].custom.input": {
        "tool_calls": [{"index": 0, "custom": {"input": SAID}}]
    },
}
OTHER_ENDPOINTS = {
    "prompt": Endpoint.COMPLETIONS,
    "suffix": Endpoint.COMPLETIONS,
    "input": Endpoint.EMBEDDINGS,
}
BODIES: dict[Endpoint, dict[str, Any]] = {
    Endpoint.CHAT: chat("hi")
    | {"messages": [{"role": "user", "content": "hi"}, {"content": "x"}, chat()["messages"][0]]},
    Endpoint.COMPLETIONS: {"model": "echo", "prompt": "hi"},
    Endpoint.EMBEDDINGS: {"model": "echo", "input": "hi"},
}
ROLES = ("system", "developer", "user", "assistant", "tool")


def rows_of(table: str) -> set[str]:
    """The names in the first column: `.x` goes on where the first name of its cell left off."""
    text = GUIDE.read_text("utf-8").partition(f"| {table}")[2].partition("\n\n")[0]
    names = set()
    for line in text.splitlines()[2:]:
        first = ""
        for name in re.findall("`([^`]+)`", line.split("|")[1]):
            first = first or name
            base = first.rpartition(".")[0]
            names.add(base + name if name.startswith(".") else name)
    return names


def test_the_tables_of_the_guide_have_the_rows_that_are_tried_here() -> None:
    assert rows_of("in a request") == set(REQUESTS)
    assert rows_of("in an answer") == {*ANSWERS, "choices[].text", "error.message"}


CASES = [
    pytest.param(row, path, value, role, id=f"{row}-{role}-{number}")
    for row, given in REQUESTS.items()
    for number, (path, value) in enumerate(given)
    for role in (ROLES if row == "messages[].content" else ("assistant",))
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("row", "path", "value", "role"), CASES)
def test_what_a_request_holds_leaves_as_a_placeholder(
    row: str, path: Path, value: Any, role: str, stream: bool
) -> None:
    endpoint = OTHER_ENDPOINTS.get(row, Endpoint.CHAT)
    body = copy.deepcopy(BODIES[endpoint]) | ({"stream": True} if stream else {})
    if endpoint is Endpoint.CHAT:
        body["messages"][1]["role"] = role
        if role == "tool":
            body["messages"][1]["tool_call_id"] = "c"
    holder: Any = body
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    sent = sent_of(world := World(ROOMY), body, endpoint)
    assert MAIL not in json.dumps(sent)
    name = name_in(sent)
    for field, given in body.items():
        if field != "stream":
            assert json.dumps(sent[field]).replace(name, MAIL) == json.dumps(given), field
    assert world.journal.entries[-1].redactions == {"EMAIL_ADDRESS:placeholder": 1}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", ANSWERS)
def test_what_an_answer_holds_comes_back(row: str, stream: bool) -> None:
    assert told(chat(SAID), ANSWERS[row], stream) == ANSWERS[row]


@pytest.mark.parametrize("stream", [False, True])
def test_content_that_is_json_comes_back_as_json(stream: bool) -> None:
    body = chat(SAID, response_format={"type": "json_object"})
    assert told(body, {"content": ARGUMENTS}, stream) == {"content": ARGUMENTS}


@pytest.mark.parametrize("stream", [False, True])
def test_the_text_of_a_completion_comes_back(stream: bool) -> None:
    body = {"model": "echo", "prompt": SAID}
    assert told(body, SAID, stream, Endpoint.COMPLETIONS) == SAID


@pytest.mark.parametrize("stream", [False, True])
def test_the_message_of_an_error_comes_back(stream: bool) -> None:
    world = World(ROOMY)
    body = chat(SAID)
    name = name_in(sent_of(world, body, Endpoint.CHAT))
    error = json.dumps({"error": {"message": f"what is {name}?", "type": "x", "code": "y"}})
    world.upstream.status = 200 if stream else 400
    if stream:
        world.upstream.content_type = "text/event-stream"
        error = f"data: {error}\n\n"
    world.upstream.pieces = [error.encode()]
    answer = run(world, world.call(body | ({"stream": True} if stream else {})))
    assert f"what is {MAIL}?".encode() in answer


ROOMY = POLICY.replace(b"amount: 5, per: minute", b"amount: 500, per: minute")


def sent_of(world: World, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """What leaves of the body, whatever is answered."""
    world.upstream.content_type = "text/event-stream" if body.get("stream") else "application/json"
    world.upstream.pieces = [b"data: [DONE]\n\n" if body.get("stream") else b'{"choices": []}']
    run(world, world.call(body, endpoint=endpoint))
    return world.upstream.received[-1]


def name_in(sent: Any) -> str:
    (name,) = set(re.findall("EMAIL_ADDRESS_[A-Z2-7]{8}", json.dumps(sent)))
    return str(name)


def told(body: dict[str, Any], said: Any, stream: bool, endpoint: Endpoint = Endpoint.CHAT) -> Any:
    """What the caller reads where the model says `said`, with placeholders for values."""
    world = World(ROOMY)
    name = name_in(sent_of(world, body, endpoint))
    written = json.loads(json.dumps(said).replace(MAIL, name))
    key = "text" if endpoint is Endpoint.COMPLETIONS else "delta" if stream else "message"
    chosen = {"index": 0, "finish_reason": None}
    if not stream:
        world.upstream.content_type = "application/json"
        answer = {"choices": [{**chosen, key: written, "finish_reason": "stop"}]}
        world.upstream.pieces = [json.dumps(answer).encode()]
        raw = run(world, world.call(body, endpoint=endpoint))
        return json.loads(raw)["choices"][0][key]
    world.upstream.content_type = "text/event-stream"
    chunks = [{"choices": [{**chosen, key: piece}]} for piece in cut(written)]
    world.upstream.pieces = [
        *(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks),
        b"data: [DONE]\n\n",
    ]
    raw = run(world, world.call(body | {"stream": True}, endpoint=endpoint))
    lines = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: {")]
    pieces = [choice[key] for line in lines for choice in json.loads(line)["choices"]]
    return joined(pieces, said)


def leaf_of(value: Any) -> str:
    """The one text in `value` that is cut."""
    while not isinstance(value, str):
        value = value[0] if isinstance(value, list) else list(value.values())[-1]
    return value


def cut(value: Any) -> list[Any]:
    """`value` in many, each with one character of its text."""
    text = leaf_of(value)
    return [json.loads(json.dumps(value).replace(json.dumps(text), json.dumps(c))) for c in text]


def joined(pieces: list[Any], like: Any) -> Any:
    text = "".join(leaf_of(piece) for piece in pieces if piece)
    return json.loads(json.dumps(like).replace(json.dumps(leaf_of(like)), json.dumps(text)))
