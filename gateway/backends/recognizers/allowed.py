"""Values that a policy says are none of an entity, whoever finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from gateway.backends.recognizers.plain import folded
from gateway.privacy.profile import Custom
from gateway.privacy.spans import Span

Allowed = Mapping[str, frozenset[str]]
"""Entity → its values that are none, folded."""


@lru_cache(64)
def allowed_by(customs: tuple[Custom, ...]) -> Allowed:
    return {
        custom.entity: frozenset(map(folded, custom.allow)) for custom in customs if custom.allow
    }


def without_allowed(text: str, spans: Iterable[Span], allowed: Allowed) -> list[Span]:
    return [
        span
        for span in spans
        if span.entity not in allowed
        or folded(text[span.start : span.end]) not in allowed[span.entity]
    ]
