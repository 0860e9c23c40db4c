"""Long texts in overlapping windows, so that no single step over one is long. Pure.

A finding belongs to the window in which it begins. Each window shows what stands before that and
behind it, and is widened where a finding, or a run of characters without a break, reaches its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway.privacy.spans import Span

OWN: Final = 32_768  # characters of which a window is asked
BEFORE: Final = 512  # characters shown before, in which cues may stand
BEHIND: Final = 1_024  # characters shown behind, into which a finding may reach
AT_ONCE: Final = OWN + BEHIND
"""A text that is no longer is one window."""
_NEAR = 256  # a finding that ends so near to the end of its window may have been cut off
_RUN_MAX = 65_536
_WIDEST = 8 * OWN
_RUN = re.compile(rf"[\w.+/=~$%:@-]{{0,{_RUN_MAX}}}+")


def find_in_windows(text: str, find: Callable[[str], list[Span]]) -> list[Span]:
    """What `find` finds in `text`: in all of it at once where it is short."""
    if len(text) <= AT_ONCE:
        return find(text)
    return [span for begin in range(0, len(text), OWN) for span in _beginning_in(text, begin, find)]


def _beginning_in(text: str, begin: int, find: Callable[[str], list[Span]]) -> list[Span]:
    start, end = _after_space(text, begin - BEFORE), _run_end(text, begin + OWN + BEHIND)
    while True:
        found = [
            Span(span.start + start, span.end + start, span.entity, span.score)
            for span in find(text[start:end])
            if begin <= span.start + start < begin + OWN
        ]
        is_whole = end == len(text) or all(span.end <= end - _NEAR for span in found)
        if is_whole or end - start > _WIDEST:
            return found
        end = _run_end(text, end + OWN)


def _after_space(text: str, at: int) -> int:
    """The beginning of a word at or shortly before `at`."""
    if at <= 0:
        return 0
    space = max(text.rfind(" ", at - BEFORE, at), text.rfind("\n", at - BEFORE, at))
    return space + 1 if space >= 0 else at


def _run_end(text: str, at: int) -> int:
    run = _RUN.match(text, min(at, len(text)))
    return run.end() if run else at
