"""Answers as JSON objects, whole ones and the chunks of a stream: read, written, taken apart. Pure.

Source of the shapes: the OpenAI API reference, "The chat completion chunk object" and
"The completion object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.json_text import read
from gateway.openai.places import Path
from gateway.openai.texts import AnswerPlace

DONE = "[DONE]"
_HEAD = ("id", "object", "created", "model", "system_fingerprint")


def read_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object that `text` is, or None where it is none."""
    try:
        value = read(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def choices(chunk: Mapping[str, Any]) -> dict[int, bool]:
    """The index of each choice in the chunk, and whether it says that the choice is finished."""
    listed = chunk.get("choices")
    found: dict[int, bool] = {}
    if not isinstance(listed, list):
        return found
    for position, choice in enumerate(listed):
        if isinstance(choice, dict):
            index = choice.get("index")
            found[index if isinstance(index, int) else position] = bool(choice.get("finish_reason"))
    return found


def says_only_usage(chunk: Mapping[str, Any]) -> bool:
    """The chunk that `stream_options.include_usage` asks for."""
    return chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)


def text_at(chunk: Any, path: Path) -> str:
    for step in path:
        chunk = chunk[step]
    assert isinstance(chunk, str)
    return chunk


def put_text(chunk: Any, path: Path, text: str) -> None:
    for step in path[:-1]:
        chunk = chunk[step]
    chunk[path[-1]] = text


def continued(chunk: Mapping[str, Any], place: AnswerPlace, text: str) -> dict[str, Any]:
    """A chunk of the same answer as `chunk` that has `text`, and nothing else, at `place`."""
    head = {name: chunk[name] for name in _HEAD if name in chunk}
    extra: dict[str, Any] = head | _only(chunk, place.path, text)
    extra["choices"][0] |= {"index": place.choice, "finish_reason": None}
    return extra


def ended(chunk: Mapping[str, Any], index: int, reason: str) -> dict[str, Any]:
    """A chunk of the same answer as `chunk` that ends a choice, and says nothing else."""
    head = {name: chunk[name] for name in _HEAD if name in chunk}
    listed = chunk.get("choices")
    is_completion = chunk.get("object") == "text_completion" or any(
        isinstance(choice, dict) and "text" in choice
        for choice in (listed if isinstance(listed, list) else ())
    )
    said: dict[str, Any] = {"text": "", "logprobs": None} if is_completion else {"delta": {}}
    return {**head, "choices": [{"index": index, **said, "finish_reason": reason}]}


def usage_chunk(chunk: Mapping[str, Any], input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """The last chunk of the same answer as `chunk`, which tells its usage."""
    head = {name: chunk[name] for name in _HEAD if name in chunk}
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return {**head, "choices": [], "usage": usage}


def _only(value: Any, path: Path, text: str) -> Any:
    """`value` with what lies on the way to the end of `path`: of a list one item, of an item what
    says which one it is."""
    if not path:
        return text
    step, below = path[0], _only(value[path[0]], path[1:], text)
    if isinstance(step, str):
        return {step: below}
    return [_which(value[step]) | below if isinstance(below, dict) else below]


def _which(item: Mapping[str, Any]) -> dict[str, Any]:
    """A call is known by its index (its id, type and name were said once and are not said again),
    a part of a content by its type."""
    names = ("index",) if "index" in item else ("type",)
    return {name: item[name] for name in names if name in item}
