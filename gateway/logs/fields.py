"""What a log line can hold: a closed set of fields, each of a kind. What is not in it, or is of
another kind, is left out, and the line names the field.

A `word` is a name out of the policies, a code or an id of ours; a `sentence` is our own, about
the surroundings (database, Redis, models). None is ever made of what a caller sent, and should one
quote a secret of this process, that is blotted out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

WORD_MAX = 500
SENTENCE_MAX = 2000
ITEMS_MAX = 1000
BLOT = "***"

Kind = Callable[[Any], bool]


def word(value: Any) -> bool:
    return value is None or (
        isinstance(value, str) and len(value) <= WORD_MAX and value.isprintable()
    )


def number(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def sentence(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= SENTENCE_MAX


def words(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) <= ITEMS_MAX and all(map(word, value))


def counts(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) <= ITEMS_MAX
        and all(map(word, value))
        and all(map(number, value.values()))
    )


def rows(value: Any) -> bool:
    """Words and numbers by name, one mapping each."""
    return isinstance(value, Sequence) and len(value) <= ITEMS_MAX and all(map(_row, value))


def _row(value: Any) -> bool:
    return isinstance(value, Mapping) and all(word(v) or number(v) for v in value.values())


_NAMES: Final[Mapping[Kind, str]] = {
    word: "event request_id organization project key_id key endpoint model upstream outcome code "
    "source currency policy_digest part limit exception logger said_at digest kept replaced api "
    "ops place reason client signal partition",
    number: "time stream status duration_ms ttft_ms overhead_ms input_tokens output_tokens "
    "cost_nano sampled share amount used count found inflight worker exit_code quick_ends "
    "waited_seconds wait_seconds allowed needed",
    sentence: "text problem",
    words: "where problems",
    counts: "redactions",
    rows: "findings",
}
FIELDS: Final[Mapping[str, Kind]] = {
    name: kind for kind, names in _NAMES.items() for name in names.split()
}


def cleaned(line: MutableMapping[str, Any], secrets: Sequence[str]) -> MutableMapping[str, Any]:
    """The line without what it cannot hold."""
    left_out = []
    kept: dict[str, Any] = {}
    for name, value in line.items():
        kind = FIELDS.get(name)
        if kind is sentence and isinstance(value, str):
            value = _blotted(value, secrets)[:SENTENCE_MAX]
        if kind is not None and kind(value):
            kept[name] = value
        else:
            left_out.append(name)
    if left_out:
        kept["left_out"] = left_out
    return kept


def _blotted(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, BLOT)
    return text
