"""A stream that goes on past the output that was reserved for it: seen early, and ended. Pure.

Nothing that a model may write within its cap is ever called too long: text is counted with the
model's own vocabulary, and over the cap by a slack; where there is none, by the longest token
that any vocabulary has. docs/internals/bounds.md has the reasons.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.openai.chunks import ended, usage_chunk
from gateway.openai.tokens import BYTES, LONGEST_TOKEN_BYTES, least_tokens, utf8_length
from gateway.openai.usage import Told

SLACK_SHARE = 8
SLACK_TOKENS = 32
"""A choice is cut at its cap, an eighth of it and 32 tokens more: a model need not write a text
with the tokens that its vocabulary would choose."""


@dataclass(frozen=True, slots=True)
class Cap:
    """What one answer may have of output, in tokens: each of its choices, and all together, which
    includes what is charged without being shown. `input_tokens` is what its prompt was bounded by,
    and `tokenizer` the model's vocabulary."""

    choice: int
    total: int
    input_tokens: int
    tokenizer: str


@dataclass(slots=True)
class _Text:
    """One text of a choice. `counted` tokens stand for `parts`; `fresh` is not counted yet."""

    parts: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    counted: int = 0


class Overrun:
    """Watches the texts of one stream."""

    def __init__(self, cap: Cap) -> None:
        self._cap = cap
        self._choice_max = cap.choice + cap.choice // SLACK_SHARE + SLACK_TOKENS
        self._token_bytes = LONGEST_TOKEN_BYTES if cap.tokenizer == BYTES else 1
        self._texts: dict[int, dict[Hashable, _Text]] = {}
        self._bytes_to_look: dict[int, int] = {}
        self._is_over = False

    def add(self, choice: int, kind: Hashable, text: str) -> None:
        """`text` was added to the choice's text of this `kind`.

        Each text is counted once as it comes, and again only where it seems too long: a token is a
        byte at least, so there is nothing to look at before as many bytes as tokens are left."""
        texts = self._texts.setdefault(choice, {})
        texts.setdefault(kind, _Text()).fresh.append(text)
        left = self._bytes_to_look.get(choice, self._choice_max * self._token_bytes)
        left -= utf8_length(text)
        if left < 0:
            tokens = self._tokens(texts)
            if tokens >= self._choice_max:  # counted in pieces it can be more
                tokens = self._tokens(texts, anew=True)
            left = (self._choice_max - tokens) * self._token_bytes
            self._is_over |= tokens > self._choice_max
        self._bytes_to_look[choice] = left

    @property
    def room_bytes(self) -> int:
        """So much more text puts nothing past its cap."""
        return min(self._bytes_to_look.values(), default=0)

    def is_past(self, told: Told | None) -> bool:
        """Whether a choice is certainly over its cap, or the upstream told more output than all
        that was reserved."""
        return self._is_over or (told is not None and told.output > self._cap.total)

    def ending(
        self, chunk: Mapping[str, Any], running: Iterable[int], told: Told | None, wants_usage: bool
    ) -> Iterator[dict[str, Any]]:
        """The last chunks of an answer that does not end itself: each running choice ended, and the
        usage if it is wanted. `chunk` is the last one that came."""
        for index in running:
            yield ended(chunk, index, "length")
        if wants_usage:
            input_tokens = told.input if told and told.input else self._cap.input_tokens
            yield usage_chunk(chunk, input_tokens, max(told.output if told else 0, self._shown()))

    def _shown(self) -> int:
        """Tokens of all texts so far: their count, or their bytes up to what was reserved."""
        tokens = sum(self._tokens(texts, anew=True) for texts in self._texts.values())
        if self._cap.tokenizer != BYTES:
            return tokens
        all_texts = [text for texts in self._texts.values() for text in texts.values()]
        size = sum(utf8_length(part) for text in all_texts for part in text.parts)
        return max(tokens, min(size, self._cap.total))

    def _tokens(self, texts: Mapping[Hashable, _Text], anew: bool = False) -> int:
        """Of a text that a server sends twice, under two names, only the longer one counts."""
        for text in texts.values():
            fresh = "".join(text.fresh)
            text.parts.append(fresh)
            text.fresh.clear()
            if anew:
                text.parts = ["".join(text.parts)]
                text.counted = least_tokens(text.parts[0], self._cap.tokenizer)
            else:
                text.counted += least_tokens(fresh, self._cap.tokenizer)
        kept: list[str] = []
        tokens = 0
        for said, text in sorted((("".join(t.parts), t) for t in texts.values()), key=_longest):
            if not any(longer.startswith(said) for longer in kept):
                kept.append(said)
                tokens += text.counted
        return tokens


def _longest(pair: tuple[str, _Text]) -> int:
    return -len(pair[0])
