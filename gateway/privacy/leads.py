"""What detectors are shown of a text. Its lead, the key of the JSON object that it is a value of,
says what a bare value is (`"password": "…"`), and is never replaced. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.privacy.bare_numbers import without_point_zeros
from gateway.privacy.spans import Span

_LEAD_MAX = 48  # characters of a key, its last: one long key may lead a hundred thousand values
_QUOTES = "\"'`"


def shown(texts: Sequence[str], leads: Sequence[str]) -> list[str]:
    """What a detector is given: each text behind its key, but for those without a lead; whole
    numbers in JSON without their `.0`. No `leads` at all are none for each."""
    seen = list(map(without_point_zeros, texts))
    if not any(leads):
        return seen
    return [
        _before(lead, text) + text + _quote(text) if lead else text
        for text, lead in zip(seen, leads, strict=True)
    ]


def in_texts(
    found: Sequence[Sequence[Span]], texts: Sequence[str], leads: Sequence[str]
) -> list[Sequence[Span]]:
    """The findings in what was shown as those in the texts: cut to them, and none of a lead."""
    if not any(leads):
        return list(found)
    return [
        _cut(spans, len(_before(lead, text)), len(text)) if lead and spans else spans
        for spans, text, lead in zip(found, texts, leads, strict=True)
    ]


def bare(texts: Sequence[str], leads: Sequence[str]) -> list[str]:
    """The texts that have a lead, without it: an anchored pattern (`^E-[0-9]{6}$`) finds them so
    only."""
    return [text for text, lead in zip(texts, leads, strict=True) if lead] if any(leads) else []


def with_bare(
    found: Sequence[Sequence[Span]], in_bare: Sequence[Sequence[Span]], leads: Sequence[str]
) -> list[Sequence[Span]]:
    """The findings in texts, and beside them those in what `bare` gave, if that was looked at."""
    if not in_bare:
        return list(found)
    rest = iter(in_bare)
    return [
        [*spans, *next(rest)] if lead else spans for spans, lead in zip(found, leads, strict=True)
    ]


def _before(lead: str, text: str) -> str:
    return f'"{lead[-_LEAD_MAX:]}": {_quote(text)}'


def _quote(text: str) -> str:
    """One that the text does not hold, so that none in it seems to end it; none where it holds all
    of them."""
    return next((quote for quote in _QUOTES if quote not in text), "")


def _cut(spans: Sequence[Span], begin: int, length: int) -> list[Span]:
    moved = (
        span._replace(start=max(0, span.start - begin), end=min(length, span.end - begin))
        for span in spans
    )
    return [span for span in moved if span.start < span.end]
