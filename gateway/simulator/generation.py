"""A request's whole answer before it is sent: the JSON body and the stream's events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from gateway.errors import BadRequest
from gateway.simulator import prompt, replies
from gateway.simulator.prompt import Ask
from gateway.simulator.replies import Choice
from gateway.simulator.usage import Counts, Event, shares, usage_object, with_usage

LEGACY_CAP = 16
"""What the API takes for a legacy completion without `max_tokens`."""


@dataclass(frozen=True, slots=True)
class Generation:
    """`events` is None for a JSON answer."""

    body: dict[str, Any]
    events: list[Event] | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes two answers to the same request differ. `created` is unix seconds."""

    id: str
    created: int


def chat(ask: Ask, stamp: Stamp) -> Generation:
    """Raises BadRequest."""
    choices = replies.chat_choices(ask)
    counts = _counts(ask, choices, prompt.chat_tokens(ask))
    older = "functions" in ask.body and "tools" not in ask.body
    base = {"id": f"chatcmpl-{stamp.id}", "created": stamp.created, "model": ask.model}
    answer = {
        **base,
        "object": "chat.completion",
        "choices": [_chat_choice(i, choice, older) for i, choice in enumerate(choices)],
    }
    chunk = {**base, "object": "chat.completion.chunk"}
    lanes = [_chat_lane(ask, i, choice, older) for i, choice in enumerate(choices)]
    return _generation(ask, answer, chunk, lanes, counts)


def legacy(ask: Ask, stamp: Stamp) -> Generation:
    """Raises BadRequest."""
    body = ask.body
    prompts = prompt.inputs_of(body, "prompt")
    cap = replies.whole_number(body, "max_tokens", LEGACY_CAP, 10**9)
    count = replies.whole_number(body, "n", 1, replies.CHOICES_MAX) or 1
    best_of = replies.whole_number(body, "best_of", count, replies.CHOICES_MAX) or count
    if best_of < count:
        raise BadRequest("'best_of' must not be less than 'n'", param="best_of")
    shown: list[Choice] = []
    made: list[Choice] = []
    for number, value in enumerate(prompts):
        text = prompt.input_text(value)
        for index in range(best_of):
            seed = number * best_of + index
            answer = replies.answer_text(ask, seed, text)
            made.append(replies.finished(ask, answer, (), cap))
        shown += made[-best_of:][:count]
    counts = _counts(ask, made, sum(prompt.input_tokens(ask, value) for value in prompts))
    echoes = [""] * len(shown)
    if body.get("echo") is True:
        echoes = [prompt.input_text(value) for value in prompts for _ in range(count)]
    base = {
        "id": f"cmpl-{stamp.id}",
        "object": "text_completion",
        "created": stamp.created,
        "model": ask.model,
    }
    texts = [
        _text_choice(i, echo + choice.text, choice.finish_reason)
        for i, (echo, choice) in enumerate(zip(echoes, shown, strict=True))
    ]
    lanes = [
        _text_lane(ask, i, echo, choice)
        for i, (echo, choice) in enumerate(zip(echoes, shown, strict=True))
    ]
    return _generation(ask, {**base, "choices": texts}, base, lanes, counts)


def _counts(ask: Ask, choices: Sequence[Choice], prompt_tokens: int) -> Counts:
    return Counts(
        prompt=prompt_tokens,
        completion=sum(choice.tokens for choice in choices),
        cached=min(ask.behaviour.cached_tokens, prompt_tokens),
        reasoning=sum(choice.reasoning for choice in choices),
    )


def _generation(
    ask: Ask,
    answer: dict[str, Any],
    chunk: dict[str, Any],
    lanes: Sequence[Sequence[Event]],
    counts: Counts,
) -> Generation:
    usage = usage_object(counts, ask.behaviour.usage)
    if usage is not None:
        answer = {**answer, "usage": usage}
    if ask.body.get("stream") is not True:
        return Generation(answer, None, counts)
    events = [Event({**chunk, "choices": [e.data]}, e.tokens) for e in _in_turns(lanes)]
    asked = ask.body.get("stream_options")
    wants_usage = isinstance(asked, dict) and asked.get("include_usage") is True
    told = with_usage(events, chunk, counts, ask.behaviour.usage, wants_usage)
    return Generation(answer, told, counts)


def _in_turns(lanes: Sequence[Sequence[Event]]) -> Iterable[Event]:
    """The choices' events in turns, as a server sends them that generates all at once."""
    for row in zip_longest(*lanes):
        yield from (event for event in row if event is not None)


def _chat_choice(index: int, choice: Choice, older: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.tool_calls:
        message["content"] = choice.text or None
        functions = [{"name": c.name, "arguments": c.arguments} for c in choice.tool_calls]
        if older:
            message["function_call"] = functions[0]
        else:
            message["tool_calls"] = [
                {"id": _call_id(index, at), "type": "function", "function": function}
                for at, function in enumerate(functions)
            ]
    return {
        "index": index,
        "message": message,
        "logprobs": None,
        "finish_reason": _reason(choice, older),
    }


def _reason(choice: Choice, older: bool) -> str:
    return (
        "function_call"
        if older and choice.finish_reason == "tool_calls"
        else (choice.finish_reason)
    )


def _call_id(choice: int, call: int) -> str:
    return f"call_simulated_{choice}_{call}"


def _chat_lane(ask: Ask, index: int, choice: Choice, older: bool) -> list[Event]:
    """One choice as events: the role, the text's pieces, tool calls in fragments, the reason."""
    texts = replies.pieces_of(choice.text, ask.behaviour.chunk_characters)
    deltas: list[tuple[dict[str, Any], str]] = [({"content": piece}, piece) for piece in texts]
    for at, call in enumerate(choice.tool_calls):
        start = {"name": call.name, "arguments": ""}
        opening = {"index": at, "id": _call_id(index, at), "type": "function", "function": start}
        deltas.append(({"function_call": start} if older else {"tool_calls": [opening]}, ""))
        size = ask.behaviour.chunk_characters or replies.ARGUMENT_CHARACTERS
        for piece in replies.pieces_of(call.arguments, size):
            part = {"arguments": piece}
            fragment = {"index": at, "function": part}
            deltas.append(({"function_call": part} if older else {"tool_calls": [fragment]}, piece))
    counted = [ask.count(piece) for _, piece in deltas]
    spread = shares([choice.reasoning, *counted], choice.tokens)
    role = {"role": "assistant", "content": None if choice.tool_calls else "", "refusal": None}
    events = [Event(_delta(index, role, None), spread[0])]
    events += [
        Event(_delta(index, delta, None), tokens)
        for (delta, _), tokens in zip(deltas, spread[1:], strict=True)
    ]
    return [*events, Event(_delta(index, {}, _reason(choice, older)))]


def _delta(index: int, delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _text_choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _text_lane(ask: Ask, index: int, echo: str, choice: Choice) -> list[Event]:
    pieces = replies.pieces_of(choice.text, ask.behaviour.chunk_characters)
    echoed = replies.pieces_of(echo, ask.behaviour.chunk_characters)
    counted = [ask.count(piece) for piece in pieces]
    spread = shares([choice.reasoning, *counted], choice.tokens)
    events = [Event(_text_choice(index, piece, None)) for piece in echoed]
    events.append(Event(_text_choice(index, "", None), spread[0]))
    events += [
        Event(_text_choice(index, piece, None), tokens)
        for piece, tokens in zip(pieces, spread[1:], strict=True)
    ]
    return [*events, Event(_text_choice(index, "", choice.finish_reason))]
