"""What a program does with openai-python 1.x or 3.x. Runs in that SDK's own environment:

    python modern.py BASE_URL KEY SCENARIO...

prints one JSON object: what each scenario saw.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import openai
from openai import OpenAI

TOOL = {
    "type": "function",
    "function": {
        "name": "send_mail",
        "description": "Send a mail.",
        "parameters": {
            "type": "object",
            "properties": {"to": {"type": "string"}, "urgent": {"type": "boolean"}},
        },
    },
}
PROMPT = "Write to ann.smith@example.com about the offer"


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def chat(client: OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(model="echo", messages=user(PROMPT))
    answer = raw.parse()
    return {
        "text": answer.choices[0].message.content,
        "finish_reason": answer.choices[0].finish_reason,
        "model": answer.model,
        "tokens": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
        "request_id": raw.headers.get("x-request-id"),
        "headers": {k.lower(): v for k, v in raw.headers.items()},
    }


def chat_stream(client: OpenAI) -> Any:
    pieces, usages, reasons = [], [], []
    with client.chat.completions.create(model="echo", messages=user(PROMPT), stream=True) as stream:
        for chunk in stream:
            usages.append(chunk.usage)
            for choice in chunk.choices:
                pieces.append(choice.delta.content or "")
                reasons.append(choice.finish_reason)
    return {"text": "".join(pieces), "pieces": len(pieces), "last": reasons[-1], "usages": usages}


def chat_stream_usage(client: OpenAI) -> Any:
    stream = client.chat.completions.create(
        model="echo",
        messages=user(PROMPT),
        n=2,
        stream=True,
        stream_options={"include_usage": True},
    )
    texts = {0: "", 1: ""}
    last = None
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
        last = chunk
    return {
        "texts": list(texts.values()),
        "last_choices": last.choices,
        "tokens": [last.usage.prompt_tokens, last.usage.completion_tokens],
    }


def tools(client: OpenAI) -> Any:
    answer = client.chat.completions.create(
        model="echo", messages=user(PROMPT), tools=[TOOL], tool_choice="required"
    )
    choice = answer.choices[0]
    call = choice.message.tool_calls[0]
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "finish_reason": choice.finish_reason,
        "id": call.id,
    }


def tools_stream(client: OpenAI) -> Any:
    stream = client.chat.completions.create(
        model="echo", messages=user(PROMPT), tools=[TOOL], tool_choice="required", stream=True
    )
    fragments = [
        call.function.arguments or ""
        for chunk in stream
        for choice in chunk.choices
        for call in choice.delta.tool_calls or []
    ]
    return {"arguments": json.loads("".join(fragments)), "fragments": len(fragments)}


def tool_result(client: OpenAI) -> Any:
    """The second turn: the call and its result lie in the history."""
    call = {"id": "call_1", "type": "function", "function": {"name": "send_mail"}}
    call["function"]["arguments"] = json.dumps({"to": "ann.smith@example.com"})
    messages = [
        *user(PROMPT),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sent"},
    ]
    answer = client.chat.completions.create(model="echo", messages=messages, tools=[TOOL])
    return answer.choices[0].message.content


def legacy(client: OpenAI) -> Any:
    answer = client.completions.create(
        model="davinci-codex", prompt=["def a():", "def b():"], n=2, max_tokens=8, temperature=0.5
    )
    usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    return {"texts": [choice.text for choice in answer.choices], "tokens": usage}


def legacy_stream(client: OpenAI) -> Any:
    stream = client.completions.create(
        model="echo", prompt=PROMPT, max_tokens=100, echo=True, stream=True
    )
    return "".join(choice.text for chunk in stream for choice in chunk.choices)


def embeddings(client: OpenAI) -> Any:
    model = "text-embedding-3-small"
    packed = client.embeddings.create(model=model, input=["one", "two"])
    plain = client.embeddings.create(model=model, input="one", encoding_format="float")
    return {
        "sizes": [len(item.embedding) for item in packed.data],
        "same": packed.data[0].embedding == plain.data[0].embedding,
        "tokens": packed.usage.prompt_tokens,
    }


def models(client: OpenAI) -> Any:
    listed = [model.id for model in client.models.list()]
    return {"listed": listed, "retrieved": client.models.retrieve("echo").id}


def _error(ask: Callable[[], Any]) -> Any:
    try:
        ask()
    except openai.APIStatusError as error:
        return {
            "class": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "param": error.param,
            "type": error.type,
            "message": error.message,
            "headers": {k.lower(): v for k, v in error.response.headers.items()},
        }
    return "no error"


def errors(client: OpenAI) -> Any:
    stranger = client.with_options(api_key="sk-wrong-0123456789")
    ask = client.chat.completions.create
    return {
        "wrong_key": _error(
            lambda: stranger.chat.completions.create(model="echo", messages=user("x"))
        ),
        "unknown_model": _error(lambda: ask(model="no-such-model", messages=user("x"))),
        "unknown_model_retrieved": _error(lambda: client.models.retrieve("no-such-model")),
        "no_messages": _error(lambda: ask(model="echo", messages=[])),
        "negative_n": _error(lambda: ask(model="echo", messages=user("x"), n=-1)),
        "unknown_url": _error(lambda: client.post("/no/such/url", body={}, cast_to=object)),
    }


def error_in_stream(client: OpenAI) -> Any:
    """An error after the first byte is a last event; the SDK raises APIError from it."""
    pieces = []
    try:
        for chunk in client.chat.completions.create(
            model="echo",
            messages=user(PROMPT),
            stream=True,
            extra_body={"simulate": {"error_after_chunks": 3}},
        ):
            pieces += [choice.delta.content for choice in chunk.choices]
    except openai.APIError as error:
        return {"class": type(error).__name__, "pieces": len(pieces), "message": error.message}
    return "no error"


def upstream_fails(client: OpenAI) -> Any:
    """How often the SDK tries when the answer is a 500 that says nothing about retries."""
    ask = client.with_options(max_retries=1).chat.completions.create
    return _error(
        lambda: ask(model="echo", messages=user("x"), extra_body={"simulate": {"error": 500}})
    )


def cut_stream(client: OpenAI) -> Any:
    """A stream whose upstream does not keep to the cap."""
    simulate = {"ignore_cap": True, "usage": "never", "chunk_delay_seconds": 0.01}
    stream = client.chat.completions.create(
        model="echo",
        messages=user("word " * 200),
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"simulate": simulate},
    )
    text, reasons, usage = "", [], None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    return {"text": text, "reasons": reasons, "tokens": usage.completion_tokens}


def one_chat(client: OpenAI) -> Any:
    return _error(lambda: client.chat.completions.create(model="echo", messages=user("x")))


def retried_chats(client: OpenAI) -> Any:
    """Three chats one after the other with the SDK's own retries."""
    ask = client.with_options(max_retries=4).chat.completions.with_raw_response.create
    return [ask(model="echo", messages=user("x")).retries_taken for _ in range(3)]


def main() -> None:
    base_url, key, *names = sys.argv[1:]
    client = OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60)
    print(json.dumps({name: globals()[name](client) for name in names}))


if __name__ == "__main__":
    main()
