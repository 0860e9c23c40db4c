"""Requests that are in work at once go from step to step together."""

from __future__ import annotations

import asyncio

from gateway.cohort import COHORT_MIN, abreast
from gateway.parts import State


async def _request(name: str, state: State, steps: list[str]) -> None:
    state.inflight += 1
    for step in range(3):
        steps.append(f"{name}{step}")
        await abreast(state)
    state.inflight -= 1


def _steps(*names: str) -> list[str]:
    """In the order in which requests of these names take theirs."""
    state, steps = State(), list[str]()

    async def together() -> None:
        state.inflight = COHORT_MIN  # as many came before these
        await asyncio.gather(*(_request(name, state, steps) for name in names))

    asyncio.run(together())
    return steps


def test_each_step_is_taken_by_all_before_any_goes_on() -> None:
    assert _steps("a", "b", "c") == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


def test_of_few_requests_none_waits_for_another() -> None:
    state, steps = State(inflight=COHORT_MIN - 2), list[str]()
    alone = _request("a", state, steps)
    try:
        alone.send(None)
    except StopIteration:
        pass
    else:
        raise AssertionError("it waited")
    assert steps == ["a0", "a1", "a2"]
