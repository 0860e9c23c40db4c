"""Whether words shortly before a finding make it surer, as Presidio's context enhancer decides.

The rule is that of presidio-analyzer's `LemmaContextAwareEnhancer` over a blank spaCy pipeline: of
the token of the finding and those before it, up to six that are no stop words and no punctuation
are searched for the recognizer's context words. Stock tokenizes the whole text for that; here only
the words before a finding are, and only where a context word occurs at all.

Two differences: a run of more than 256 characters without a space is cut (spaCy's tokenizer is
worse than linear inside one), and stop words do not count because of a `word:stop` elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Token

_WORDS: Final = 6
_REACH: Final = 256  # characters that are looked at at once
_RUN_MAX: Final = 256
_INCREASE: Final = 0.35
_SCORE_MIN: Final = 0.4
_NO_KEYWORDS: Final = frozenset({"-PRON-", "be"})

_ONE_AT_A_TIME = Lock()  # a memory zone of the vocabulary is not shared


def raised(score: float) -> float:
    """The score of a finding with a context word."""
    return min(max(score + _INCREASE, _SCORE_MIN), 1.0)


def has_context(text: str, start: int, words: Sequence[str]) -> bool:
    """Whether one of `words`, all in lower case, stands shortly before `text[start]`, or in the
    token there. Where that one is dull, the next that is not counts too."""
    keywords = [*islice(_backwards(text, start), _WORDS), *islice(_forwards(text, start), 1)]
    return any(word in keyword for keyword in keywords for word in words)


def _backwards(text: str, start: int) -> Iterator[str]:
    """Keywords from the token at `start`, that one included, to the beginning of the text."""
    end = _run_end(text, start)
    while end > 0:
        begin = _run_start(text, min(start, end) - _REACH)
        yield from (word for at, word in reversed(_keywords(text, begin, end)) if at <= start)
        end = begin


def _forwards(text: str, start: int) -> Iterator[str]:
    """Keywords from the token at `start`, that one included, to the end of the text."""
    begin = _run_start(text, start)
    while begin < len(text):
        end = _run_end(text, max(start, begin) + _REACH)
        yield from (word for at, word in _keywords(text, begin, end) if at + len(word) > start)
        begin = end


def _keywords(text: str, begin: int, end: int) -> list[tuple[int, str]]:
    """Where each token of `text[begin:end]` begins that is not dull, and it in lower case."""
    with _ONE_AT_A_TIME, _blank().memory_zone():
        return [
            (begin + token.idx, token.text.lower())
            for token in _blank().tokenizer(text[begin:end])
            if not _is_dull(token)
        ]


def _is_dull(token: Token) -> bool:
    return token.is_stop or token.is_punct or token.text in _NO_KEYWORDS or ":" in token.text


def load() -> None:
    """Import spaCy, 86 MB and a second, before the first text asks for it."""
    _blank()


@lru_cache(1)
def _blank() -> Language:
    import spacy

    return spacy.blank("en")


def _run_start(text: str, at: int) -> int:
    """Where the run of characters without a space at `at` begins."""
    if at <= 0:
        return 0
    floor = max(0, at - _RUN_MAX)
    spaces = (one for one in range(at, floor, -1) if text[one - 1].isspace())
    return next(spaces, floor)


def _run_end(text: str, at: int) -> int:
    ceiling = min(len(text), at + _RUN_MAX)
    return next((one for one in range(at + 1, ceiling) if text[one].isspace()), ceiling)
