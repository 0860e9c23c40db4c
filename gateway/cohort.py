"""Cohort scheduling: requests that are in work at once go from verb to verb together.

After another request's whole way a verb's code is cold, and the processor predicts none of its
branches; right behind the same verb of another request it is warm. So where many are in work, each
ends its step of the event loop now and then, mostly between two verbs, and all that are as far take
the next one after each other. What that saves: docs/internals/speed.md.

After J. R. Larus and M. Parkes, Using Cohort Scheduling to Enhance Server Performance, USENIX 2002.
"""

from __future__ import annotations

from collections.abc import Generator
from types import coroutine

from gateway.parts import State

COHORT_MIN = 9
"""Fewer do not wait for each other: whoever came first would lose more than warm code saves."""


@coroutine
def abreast(state: State) -> Generator[None, None, None]:
    """Let the others that are in work come as far. It can be cancelled, as any wait."""
    if state.inflight >= COHORT_MIN:
        yield
