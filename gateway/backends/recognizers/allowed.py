"""Values that a policy says are none of an entity, whoever finds them. They leave as they are, so
what lies inside of one is none either: the domain of an address is no URL then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

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


def without_allowed(text: str, spans: Sequence[Span], allowed: Allowed) -> list[Span]:
    """Those that are not allowed and lie in none that is."""
    passed = sorted(
        (span.start, span.end)
        for span in spans
        if span.entity in allowed
        and folded(text[span.start : span.end]) in allowed[span.entity]
    )  # fmt: skip
    if not passed:
        return list(spans)
    starts = [start for start, _ in passed]
    reach = [0, *accumulate((end for _, end in passed), max)]
    return [span for span in spans if span.end > reach[bisect_right(starts, span.start)]]
