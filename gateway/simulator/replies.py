"""What the simulator answers: texts and tool calls, capped and cut as a model's would be. Pure.

The model `echo` (or a name that begins with `echo-`) repeats what it received. Every other model
gives a short text that depends on nothing but the request.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import BadRequest
from gateway.simulator.options import ToolCall
from gateway.simulator.prompt import Ask, Body, functions_of, last_user_text, messages_of

CHOICES_MAX = 128
ARGUMENT_CHARACTERS = 7
_WORDS = (
    "a the simulated upstream answers every request with words that carry no meaning so one can "
    "see quota usage and cost move while nothing leaves this machine and no model was asked here"
)
_PIECE = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class Choice:
    """One finished answer. `tokens` is all that was generated for it, `reasoning` included."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    tokens: int
    reasoning: int


def is_echo(model: str) -> bool:
    return model == "echo" or model.startswith("echo-")


def pieces_of(text: str, characters: int | None) -> list[str]:
    """The text in stream-sized pieces: words, or so many characters each."""
    if characters is None:
        return _PIECE.findall(text)
    return [text[at : at + characters] for at in range(0, len(text), characters)]


def whole_number(body: Body, field: str, default: int, maximum: int) -> int:
    """Raises BadRequest unless the field is absent, null, or a whole number from 0 to maximum."""
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
        raise BadRequest(f"'{field}' must be a whole number from 0 to {maximum}", param=field)
    return value


def pseudo_answer(body: Body, index: int) -> str:
    """A sentence or three of the word list, the same for the same request and index."""
    seen = {name: body.get(name) for name in ("model", "messages", "prompt", "seed")}
    text = json.dumps([seen, index], sort_keys=True, ensure_ascii=True)
    dice = random.Random(hashlib.sha256(text.encode()).digest())
    sentences = []
    for _ in range(dice.randint(1, 3)):
        words = dice.choices(_WORDS.split(), k=dice.randint(6, 14))
        sentences.append(" ".join(words).capitalize() + ".")
    return " ".join(sentences)


def cut_to(ask: Ask, text: str, tokens_max: int) -> str:
    """The longest beginning of the text that the bisection finds within so many tokens."""
    if ask.count(text) <= tokens_max:
        return text
    fits, over = 0, len(text)
    while over - fits > 1:
        middle = (fits + over) // 2
        if ask.count(text[:middle]) <= tokens_max:
            fits = middle
        else:
            over = middle
    return text[:fits]


def _stops(body: Body) -> list[str]:
    stop = body.get("stop")
    found = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    return [text for text in found if isinstance(text, str) and text]


def finished(ask: Ask, text: str, calls: Sequence[ToolCall], cap: int | None) -> Choice:
    """A choice within its cap, unless that is to be ignored. Reasoning comes first and takes its
    tokens from the same cap."""
    reason = "tool_calls" if calls else "stop"
    ends = [text.index(stop) for stop in _stops(ask.body) if stop in text]
    text = text[: min(ends)] if ends else text
    room = 10**9 if cap is None or ask.behaviour.ignore_cap else cap
    reasoning = min(ask.behaviour.reasoning_tokens, room)
    if reasoning < ask.behaviour.reasoning_tokens:
        return Choice("", (), "length", reasoning, reasoning)
    shown = cut_to(ask, text, room - reasoning)
    used = reasoning + ask.count(shown)
    if len(shown) < len(text):
        return Choice(shown, (), "length", used, reasoning)
    kept: list[ToolCall] = []
    for call in calls:
        arguments = cut_to(ask, call.arguments, room - used)
        used += ask.count(arguments)
        kept.append(ToolCall(call.name, arguments))
        if len(arguments) < len(call.arguments):
            return Choice(shown, tuple(kept), "length", used, reasoning)
    return Choice(shown, tuple(kept), reason, used, reasoning)


def chat_choices(ask: Ask) -> list[Choice]:
    """One Choice for each of `n`, within `max_completion_tokens` or `max_tokens`."""
    body, behaviour = ask.body, ask.behaviour
    prompt = last_user_text(messages_of(body))
    cap = whole_number(body, "max_tokens", -1, 10**9)
    cap = whole_number(body, "max_completion_tokens", cap, 10**9)
    calls = () if behaviour.answer is not None else behaviour.tool_calls or _calls_for(body)
    choices = []
    for index in range(whole_number(body, "n", 1, CHOICES_MAX) or 1):
        text = "" if calls else answer_text(ask, index, prompt)
        choices.append(finished(ask, text, calls, None if cap < 0 else cap))
    return choices


def answer_text(ask: Ask, index: int, prompt: str) -> str:
    if ask.behaviour.answer is not None:
        return ask.behaviour.answer
    return prompt if is_echo(ask.model) else pseudo_answer(ask.body, index)


def _calls_for(body: Body) -> tuple[ToolCall, ...]:
    """A call of a function that the request offers, if it demands one or its prompt asks for it:
    by `tool_choice`, or by naming the function or the word "tool" in the last message."""
    functions = {f["name"]: f for f in functions_of(body)}
    choice = body.get("tool_choice", body.get("function_call", "auto"))
    messages = messages_of(body)
    if not functions or choice == "none" or messages[-1].get("role") in ("tool", "function"):
        return ()
    prompt = last_user_text(messages)
    if isinstance(choice, dict):
        named = choice.get("function", choice)
        wanted = str(named.get("name")) if isinstance(named, dict) else ""
    elif choice == "required":
        wanted = next(iter(functions))
    else:
        mentioned = [name for name in functions if name in prompt]
        asked = mentioned or (list(functions) if "tool" in prompt.lower() else [])
        wanted = asked[0] if asked else ""
    if wanted not in functions:
        return ()
    schema = functions[wanted].get("parameters") or {}
    value = value_for(schema, prompt)
    arguments = json.dumps(value if isinstance(value, dict) else {}, ensure_ascii=False)
    return (ToolCall(wanted, arguments),)


def value_for(schema: Any, prompt: str) -> Any:
    """A value that fits a JSON schema well enough; texts are the prompt, so that one can see
    whether a gateway restores them inside the arguments."""
    if not isinstance(schema, Mapping):
        return prompt
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    properties = schema.get("properties")
    if kind == "object" or isinstance(properties, Mapping):
        fields = properties if isinstance(properties, Mapping) else {}
        return {name: value_for(inner, prompt) for name, inner in fields.items()}
    if kind == "array":
        return [value_for(schema.get("items"), prompt)]
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(str(kind), prompt)
