"""The tokens that a server says it used, out of every shape in which servers say it. Pure.

Sources: the OpenAI API reference, "The chat completion object" (`prompt_tokens`, …), "The response
object" (`input_tokens`, …) and "Create embeddings" (no output). Servers that follow it loosely give
null for what they do not count, floats for integers, or count reasoning beside the output. Accepted
and rejected tokens of a predicted output are in the output already and are not added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

TOKENS_MAX = 10**9  # of one request; more is nonsense


class Told(NamedTuple):
    """Tokens by kind. `cached_input` and `audio_input` are parts of `input` that do not overlap,
    `reasoning` and `audio_output` such parts of `output`."""

    input: int
    cached_input: int
    output: int
    reasoning: int
    audio_input: int = 0
    audio_output: int = 0


def tokens_told(usage: object) -> Told | None:
    """What a `usage` object says, or None where it says nothing, or nothing that can be believed.

    Output that is not mentioned at all is none (embeddings); output that is mentioned without a
    number is not known. A total that is larger than its parts has the difference in output, and
    reasoning that is larger than the output was counted beside it: such servers exist, and bill
    both as output. Details that cannot be right are left out, the sums still count."""
    if not isinstance(usage, dict):
        return None
    total = _tokens(usage.get("total_tokens"))
    told_input = _tokens(_first(usage, "prompt_tokens", "input_tokens"))
    told_output = _output(usage)
    if told_input is None and total is not None and told_output is not None:
        told_input = total - told_output
    if told_output is None and total is not None and told_input is not None:
        told_output = total - told_input
    if told_input is None or told_output is None or told_input + told_output == 0:
        return None
    if told_input < 0 or told_output < 0 or (total is not None and total < 0):
        return None
    of_input = _first(usage, "prompt_tokens_details", "input_tokens_details")
    of_output = _first(usage, "completion_tokens_details", "output_tokens_details")
    output = told_output
    if total is not None and total - told_input > output:
        output = total - told_input
    if of_input is None and of_output is None:
        return Told(told_input, 0, output, 0)
    cached, audio_input = _details(of_input, "cached_tokens")
    reasoning, audio_output = _details(of_output, "reasoning_tokens")
    if reasoning > output:
        output += reasoning
    cached = min(cached, told_input)
    return Told(
        input=told_input,
        cached_input=cached,
        output=output,
        reasoning=reasoning,
        audio_input=min(audio_input, told_input - cached),
        audio_output=min(audio_output, output - reasoning),
    )


def larger(before: Told | None, now: Told | None) -> Told | None:
    """What a stream told that tells its usage more than once: figures only grow, so that a later
    one that is smaller is a part, or wrong; of equal ones the later."""
    if before is None or now is None:
        return now or before
    return now if now.input + now.output >= before.input + before.output else before


def _output(usage: Mapping[str, object]) -> int | None:
    told = _first(usage, "completion_tokens", "output_tokens")
    if told is not None or "completion_tokens" in usage or "output_tokens" in usage:
        return _tokens(told)
    return None if "total_tokens" in usage else 0


def _details(details: object, kind: str) -> tuple[int, int]:
    """The tokens of `kind` and those of audio, 0 where the details do not say them."""
    if not isinstance(details, dict):
        return 0, 0
    told, audio = _tokens(details.get(kind)), _tokens(details.get("audio_tokens"))
    return max(told or 0, 0), max(audio or 0, 0)


def _first(usage: Mapping[str, object], chat: str, responses: str) -> object:
    told = usage.get(chat)
    return usage.get(responses) if told is None else told


def _tokens(value: object) -> int | None:
    """A count, None where there is none, and -1 for what cannot be one: text, a bool, a negative
    or an absurd number. A float that is a whole number is one: some languages have no other."""
    if value is None:
        return None
    if type(value) is int:  # as nearly all are
        return value if 0 <= value <= TOKENS_MAX else -1
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return -1
    return value if 0 <= value <= TOKENS_MAX else -1
