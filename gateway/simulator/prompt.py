"""What a request says: its prompt as text, and how many tokens that is. Pure.

The prompt's count is that of its texts, plus 3 for each chat message and 3 for the answer's start
(OpenAI's cookbook, "How to count tokens with tiktoken"). A gateway that reserves before it sends
must reserve at least this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import BadRequest
from gateway.openai.tokens import count
from gateway.simulator.options import Behaviour

CL100K_MODELS = ("gpt-3.5", "gpt-4-", "text-embedding-", "davinci", "babbage")
"""Beginnings of the names of models with the older vocabulary. Source: tiktoken's model.py."""
MESSAGE_TOKENS = 3
ANSWER_START_TOKENS = 3
SEPARATOR_TOKEN = 199_999
"""<|endoftext|> of o200k, which is what the API takes for a missing prompt."""

Body = Mapping[str, Any]


def tokenizer_of(model: str) -> str:
    """The vocabulary that a model of this name counts with."""
    older = model == "gpt-4" or model.startswith(CL100K_MODELS)
    return "cl100k" if older else "o200k"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: its body, the model that it names, and how to behave."""

    body: Body
    model: str
    behaviour: Behaviour

    def count(self, text: str) -> int:
        """Tokens of the text, as the model counts."""
        return count(text, tokenizer_of(self.model))


def messages_of(body: Body) -> list[Body]:
    """Raises BadRequest unless `messages` is a list of objects with at least one in it."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list with at least one message", param="messages")
    if not all(isinstance(message, dict) for message in messages):
        raise BadRequest("each of 'messages' must be an object", param="messages")
    return messages


def content_text(message: Body) -> str:
    """The text of a message: its string, or its text parts one after the other."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in parts if isinstance(text, str))


def last_user_text(messages: list[Body]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            return content_text(message)
    return content_text(messages[-1])


def _call_texts(message: Body) -> list[str]:
    calls = message.get("tool_calls")
    functions = (
        [call.get("function") for call in calls if isinstance(call, dict)]
        if isinstance(calls, list)
        else []
    )
    functions.append(message.get("function_call"))
    found = [
        f.get(name) for f in functions if isinstance(f, dict) for name in ("name", "arguments")
    ]
    return [text for text in found if isinstance(text, str)]


def functions_of(body: Body) -> list[Body]:
    """The functions that a request offers, from `tools` or from the older `functions`."""
    tools = body.get("tools")
    if isinstance(tools, list):
        found = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    else:
        older = body.get("functions")
        found = list(older) if isinstance(older, list) else []
    return [f for f in found if isinstance(f, dict) and isinstance(f.get("name"), str)]


def chat_tokens(ask: Ask) -> int:
    total = ANSWER_START_TOKENS
    for message in messages_of(ask.body):
        texts = [content_text(message), *_call_texts(message)]
        total += MESSAGE_TOKENS + sum(ask.count(text) for text in texts)
    for function in functions_of(ask.body):
        texts = [function["name"], str(function.get("description") or "")]
        total += sum(ask.count(text) for text in texts)
    return total


Input = str | tuple[int, ...]
"""One prompt: text, or the numbers of its tokens."""


def inputs_of(body: Body, field: str) -> list[Input]:
    """Every prompt of `prompt` or `input`: a string, strings, tokens, or lists of tokens. No
    `prompt` at all is the token that separates documents.

    Raises BadRequest for anything else."""
    value = body.get(field)
    if value is None and field == "prompt":
        return [(SEPARATOR_TOKEN,)]
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return list(value)
        if _are_tokens(value):
            return [tuple(value)]
        if all(_are_tokens(item) for item in value):
            return [tuple(item) for item in value]
    expected = "a string, a list of strings, a list of tokens or a list of lists of tokens"
    raise BadRequest(f"'{field}' must be {expected}", param=field)


def _are_tokens(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    )


def input_tokens(ask: Ask, value: Input) -> int:
    return ask.count(value) if isinstance(value, str) else len(value)


def input_text(value: Input) -> str:
    """A prompt as text; one that came as tokens is shown by their numbers."""
    return value if isinstance(value, str) else " ".join(str(token) for token in value)
