"""An upstream that fails too often in a row has a rest, and is tried before it is trusted again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from world import World, chat, plain_answer

from gateway.circuit import Bounds, Circuits, State
from gateway.errors import ApiError, Unavailable, UpstreamFailed, UpstreamTooSlow
from gateway.exchange import exchange
from gateway.forward import PATIENCE, Reply, Target, forward
from gateway.usage.entry import Outcome

UP = "provider"
BOUNDS = Bounds(failures_max=3, window_seconds=30, open_seconds=10)


class Seen:
    """Circuits, and what they told."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.told: list[State] = []
        self.circuits = Circuits(bounds, lambda name, whose, state: self.told.append(state))

    def ask(self, now: float, status: int | None) -> bool:
        """One request from its sending to its answer, or failure; whether it was the one that
        tries."""
        tries = self.circuits.enter(UP, now)
        if status is None:
            self.circuits.failed(UP, now, tries)
        else:
            self.circuits.answered(UP, status, now, tries)
        return tries

    def opened(self, at: float = 0.0) -> Seen:
        for _ in range(3):
            self.ask(at, None)
        assert self.circuits.state(UP, at) is State.OPEN
        return self


def refused(circuits: Circuits, now: float) -> float:
    """Seconds to wait, as the refusal says."""
    with pytest.raises(Unavailable) as refusal:
        circuits.enter(UP, now)
    assert refusal.value.code == "upstream_circuit_open"
    assert refusal.value.retry_after_seconds is not None
    return refusal.value.retry_after_seconds


def test_so_many_failures_in_a_row_open_it_and_fewer_do_not() -> None:
    seen = Seen()
    for status in (None, 503):
        seen.ask(0, status)
        assert seen.circuits.state(UP, 0) is State.CLOSED
    seen.ask(0, 500)
    assert seen.told == [State.OPEN]
    assert refused(seen.circuits, 4) == 6


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 499])
def test_any_answer_below_500_ends_the_row_also_one_that_refuses_the_caller(status: int) -> None:
    seen = Seen()
    for _ in range(20):
        seen.ask(0, 500)
        seen.ask(0, 502)
        seen.ask(0, status)
    assert seen.told == []


def test_failures_far_apart_are_in_no_row() -> None:
    seen = Seen()
    for n in range(10):
        seen.ask(n * 31.0, None)
    assert seen.told == []


def test_after_its_rest_one_request_tries_and_the_others_wait_for_it() -> None:
    seen = Seen().opened()
    assert seen.circuits.state(UP, 10) is State.HALF_OPEN
    assert seen.circuits.enter(UP, 10) is True
    assert refused(seen.circuits, 11) == 9
    seen.circuits.answered(UP, 200, 12, tries=True)
    assert seen.told == [State.OPEN, State.CLOSED]
    assert seen.ask(12, 200) is False


def test_a_try_that_fails_opens_it_again_at_once() -> None:
    seen = Seen().opened()
    assert seen.ask(10, 503) is True
    assert seen.told == [State.OPEN, State.OPEN]
    assert refused(seen.circuits, 11) == 9


def test_a_try_whose_caller_left_leaves_the_try_to_the_next() -> None:
    seen = Seen().opened()
    assert seen.circuits.enter(UP, 10) is True
    seen.circuits.left(UP, tries=True)
    assert seen.ask(10.5, 200) is True
    assert seen.told[-1] is State.CLOSED


def test_a_try_that_nobody_hears_of_is_given_up_after_a_while() -> None:
    seen = Seen().opened()
    assert seen.circuits.enter(UP, 10) is True
    assert seen.circuits.enter(UP, 20) is True


def test_requests_that_were_sent_before_it_opened_say_nothing_any_more() -> None:
    seen = Seen().opened()
    seen.circuits.answered(UP, 200, 5, tries=False)
    seen.circuits.failed(UP, 9, tries=False)
    assert seen.told == [State.OPEN]
    assert seen.circuits.state(UP, 10) is State.HALF_OPEN


def test_an_upstream_that_fails_costs_the_others_nothing() -> None:
    seen = Seen().opened()
    assert seen.circuits.enter("another", 1) is False


def test_who_makes_a_healthy_upstream_fail_shuts_no_other_organization_out() -> None:
    seen = Seen()
    for _ in range(50):
        with suppress(Unavailable):
            tries = seen.circuits.enter(UP, 0, "mallory")
            seen.circuits.answered(UP, 500, 0, tries, "mallory")
    assert seen.circuits.state(UP, 0) is State.OPEN
    with pytest.raises(Unavailable):
        seen.circuits.look(UP, 1, "mallory")
    seen.circuits.look(UP, 1, "acme")
    assert seen.circuits.enter(UP, 1, "acme") is False
    seen.circuits.answered(UP, 200, 1, False, "acme")
    assert seen.told == [State.OPEN]


def test_nothing_is_remembered_while_all_is_well() -> None:
    seen = Seen()
    seen.ask(0, 500)
    seen.ask(0, 200)
    assert seen.circuits._failing == {}


def test_without_a_bound_it_never_opens() -> None:
    seen = Seen(Bounds(failures_max=0))
    for _ in range(1000):
        seen.ask(0, None)
    assert seen.told == []


class Flaky:
    """An upstream whose state is `step`: a status, or what it raises."""

    def __init__(self, step: int | BaseException) -> None:
        self.step = step
        self.sent = 0

    @asynccontextmanager
    async def send(self, target: Target, path: str, headers: Any, body: bytes) -> Any:
        self.sent += 1
        if isinstance(self.step, BaseException):
            raise self.step
        yield Reply(self.step, [], self._pieces())

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield plain_answer("ok") if self.step == 200 else b"{}"


def send(upstream: Flaky, circuits: Circuits, retries: int = 0) -> str:
    target = Target(UP, "http://127.0.0.1:9/v1", None, 1, 2, 3, retries)

    async def main() -> str:
        try:
            async with forward(upstream, target, "/x", b"", [], "r", PATIENCE, circuits) as reply:
                return str(reply.status)
        except ApiError as error:
            return error.code or ""
        except asyncio.CancelledError:
            return "cancelled"

    return asyncio.run(main())


@pytest.mark.parametrize(
    "step",
    [
        500,
        503,
        529,
        UpstreamFailed("no", code="upstream_unreachable"),
        UpstreamFailed("no", code="upstream_invalid_answer"),
        UpstreamTooSlow("no", code="upstream_timeout"),
    ],
)
def test_every_attempt_that_fails_counts_and_an_open_one_is_not_sent(step: Any) -> None:
    circuits, upstream = Circuits(BOUNDS), Flaky(step)
    said = [send(upstream, circuits) for _ in range(5)]
    assert said[3:] == ["upstream_circuit_open"] * 2
    assert upstream.sent == 3


def test_retries_end_where_it_opens() -> None:
    upstream = Flaky(503)
    assert send(upstream, Circuits(BOUNDS), retries=5) == "upstream_circuit_open"
    assert upstream.sent == 3


def test_a_request_that_is_cancelled_is_no_failure_of_the_upstream() -> None:
    circuits, upstream = Circuits(BOUNDS), Flaky(asyncio.CancelledError())
    assert [send(upstream, circuits) for _ in range(5)] == ["cancelled"] * 5
    assert upstream.sent == 5


def test_a_refusal_costs_the_caller_nothing_and_is_no_request_of_the_upstream() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok")]
    parts, circuits = world.parts, world.parts.circuits

    async def main() -> None:
        now = asyncio.get_running_loop().time()
        for _ in range(20):
            circuits.failed(UP, now, tries=False, organization="acme")
        with pytest.raises(Unavailable, match="not asked for a moment"):
            async with exchange(world.call(chat("to ada@example.com")), parts):
                pass

    asyncio.run(main())
    (entry,) = world.journal.entries
    assert (entry.status, entry.outcome) == (503, Outcome.UPSTREAM_ERROR)
    assert (entry.requests, entry.cost_nano) == (0, 0)
    assert entry.redactions == {}  # refused before the text was looked at
    assert asyncio.run(world.reserved()) == 0
    assert parts.state.reserved == 0
    assert b"gateway_upstream_requests_total{" not in parts.meters.exposition()
