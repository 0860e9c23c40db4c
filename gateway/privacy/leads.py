"""What detectors are shown of a text. Its lead, the key of the JSON object that it is a value of,
says what a bare value is (`"password": "…"`), and is never replaced. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.privacy.bare_numbers import without_point_zeros
from gateway.privacy.spans import Span

_LEAD_MAX = 48  # characters of a key, its last: one long key may lead a hundred thousand values
_QUOTES = "\"'`"


class Seen(NamedTuple):
    """`texts` that are redacted, and what a detector is given: each as it is `shown`, behind its
    key, whole numbers in JSON without their `.0`; and those that have a lead `bare`, without it,
    as an anchored pattern (`^E-[0-9]{6}$`) finds them so only. No `leads` are none for each."""

    texts: Sequence[str]
    leads: Sequence[str]
    shown: Sequence[str]
    bare: Sequence[str] = ()


def see(texts: Sequence[str], leads: Sequence[str]) -> Seen:
    seen = list(map(without_point_zeros, texts))
    if not any(leads):
        return Seen(texts, (), seen)
    shown = [
        _before(lead, text) + text + _quote(text) if lead else text
        for text, lead in zip(seen, leads, strict=True)
    ]
    bare = [text for text, lead in zip(texts, leads, strict=True) if lead]
    return Seen(texts, leads, shown, bare)


def in_texts(
    seen: Seen, in_shown: Sequence[Sequence[Span]], in_bare: Sequence[Sequence[Span]]
) -> Sequence[Sequence[Span]]:
    """The findings in what was shown as those in the texts: cut to them, and none of a lead. Beside
    them those in what was bare, if that was looked at."""
    if not seen.leads:
        return in_shown
    found = [
        _cut(spans, len(_before(lead, text)), len(text)) if lead and spans else spans
        for spans, text, lead in zip(in_shown, seen.texts, seen.leads, strict=True)
    ]
    if not in_bare:
        return found
    rest = iter(in_bare)
    return [
        [*spans, *next(rest)] if lead else spans
        for spans, lead in zip(found, seen.leads, strict=True)
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
