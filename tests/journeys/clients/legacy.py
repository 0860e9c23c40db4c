"""What a program does with openai-python 0.28. Runs in that SDK's own environment:

    python legacy.py BASE_URL KEY SCENARIO...

prints one JSON object: what each scenario saw.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import openai

PROMPT = "Write to ann.smith@example.com about the offer"
FUNCTION = {
    "name": "send_mail",
    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
}


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def tutorial() -> Any:
    """The line of the introductory tutorial, unchanged."""
    # fmt: off
    response = openai.Completion.create(engine='davinci-codex', prompt='Write a function that adds two numbers', max_tokens=50, temperature=0.5, n=1)  # noqa: E501
    # fmt: on
    return {"text": response.choices[0].text.strip(), "object": response.object}


def chat() -> Any:
    answer = openai.ChatCompletion.create(model="echo", messages=user(PROMPT))
    return {
        "text": answer["choices"][0]["message"]["content"],
        "finish_reason": answer["choices"][0]["finish_reason"],
        "tokens": [answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]],
    }


def chat_stream() -> Any:
    pieces, reasons = [], []
    for chunk in openai.ChatCompletion.create(model="echo", messages=user(PROMPT), stream=True):
        for choice in chunk["choices"]:
            pieces.append(choice["delta"].get("content") or "")
            reasons.append(choice["finish_reason"])
    return {"text": "".join(pieces), "pieces": len(pieces), "last": reasons[-1]}


def tools() -> Any:
    answer = openai.ChatCompletion.create(
        model="echo",
        messages=user(PROMPT),
        functions=[FUNCTION],
        function_call={"name": "send_mail"},
    )
    choice = answer["choices"][0]
    call = choice["message"]["function_call"]
    return {
        "name": call["name"],
        "arguments": json.loads(call["arguments"]),
        "finish_reason": choice["finish_reason"],
    }


def tools_stream() -> Any:
    fragments = [
        choice["delta"]["function_call"].get("arguments", "")
        for chunk in openai.ChatCompletion.create(
            model="echo",
            messages=user(PROMPT),
            functions=[FUNCTION],
            function_call={"name": "send_mail"},
            stream=True,
        )
        for choice in chunk["choices"]
        if "function_call" in choice["delta"]
    ]
    return {"arguments": json.loads("".join(fragments)), "fragments": len(fragments)}


def legacy() -> Any:
    answer = openai.Completion.create(
        model="davinci-codex", prompt=["def a():", "def b():"], n=2, max_tokens=8, temperature=0.5
    )
    usage = [answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]]
    return {"texts": [choice["text"] for choice in answer["choices"]], "tokens": usage}


def legacy_stream() -> Any:
    stream = openai.Completion.create(
        engine="echo", prompt=PROMPT, max_tokens=100, echo=True, stream=True
    )
    return "".join(choice["text"] for chunk in stream for choice in chunk["choices"])


def embeddings() -> Any:
    model = "text-embedding-3-small"
    packed = openai.Embedding.create(model=model, input=["one", "two"])
    plain = openai.Embedding.create(model=model, input="one", encoding_format="float")
    return {
        "sizes": [len(item["embedding"]) for item in packed["data"]],
        "same": packed["data"][0]["embedding"] == plain["data"][0]["embedding"],
        "tokens": packed["usage"]["prompt_tokens"],
    }


def models() -> Any:
    listed = [model["id"] for model in openai.Model.list()["data"]]
    return {"listed": listed, "retrieved": openai.Model.retrieve("echo")["id"]}


def _error(ask: Callable[[], Any]) -> Any:
    try:
        ask()
    except openai.error.OpenAIError as error:
        told = (error.json_body or {}).get("error", {})
        return {
            "class": type(error).__name__,
            "status": error.http_status,
            "code": told.get("code"),
            "param": told.get("param"),
            "type": told.get("type"),
            "message": str(error),
            "headers": {k.lower(): v for k, v in error.headers.items()},
        }
    return "no error"


def errors() -> Any:
    ask = openai.ChatCompletion.create
    wrong = "sk-wrong-0123456789"
    return {
        "wrong_key": _error(lambda: ask(model="echo", messages=user("x"), api_key=wrong)),
        "unknown_model": _error(lambda: ask(model="no-such-model", messages=user("x"))),
        "unknown_model_retrieved": _error(lambda: openai.Model.retrieve("no-such-model")),
        "no_messages": _error(lambda: ask(model="echo", messages=[])),
        "negative_n": _error(lambda: ask(model="echo", messages=user("x"), n=-1)),
    }


def one_chat() -> Any:
    return _error(lambda: openai.ChatCompletion.create(model="echo", messages=user("x")))


def main() -> None:
    openai.api_base, openai.api_key, *names = sys.argv[1:]
    print(json.dumps({name: globals()[name]() for name in names}))


if __name__ == "__main__":
    main()
