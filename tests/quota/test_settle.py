"""Settling is carried to its end, exactly once, whatever happens to the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gateway.quota.ledger import (
    AlreadyResolved,
    Claim,
    Record,
    Reservation,
    Standing,
    Verdict,
)
from gateway.quota.limit import NOTHING, Amounts
from gateway.quota.settle import release, settle


@dataclass(frozen=True)
class Posted:
    id: str = "r1"


RESERVATION = Reservation("r1", (), Amounts(requests=1), Posted(), 60.0)


@dataclass
class Slow:
    """A ledger that resolves in two steps, the second when the test lets it."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    steps: list[str] = field(default_factory=list)
    used: Amounts | None = None

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        return Verdict(True, ())

    async def settle(self, id: str, used: Amounts, record: Record, now: float) -> None:
        if "end" in self.steps:
            raise AlreadyResolved(id)
        self.steps.append("begin")
        self.begun.set()
        await self.gate.wait()
        self.steps.append("end")
        self.used = used

    async def release(self, id: str, record: Record, now: float) -> None:
        await self.settle(id, Amounts(), record, now)

    async def sweep(self, now: float) -> int:
        return 0

    async def standings(
        self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING
    ) -> tuple[Standing, ...]:
        return ()


def test_settle_books_what_was_used_and_release_nothing() -> None:
    async def scenario() -> None:
        for resolve, used in ((settle, Amounts(requests=1, input_tokens=7)), (release, None)):
            ledger = Slow()
            ledger.gate.set()
            arguments = (Posted(), 1.0) if used is None else (used, Posted(), 1.0)
            await resolve(ledger, RESERVATION, *arguments)  # type: ignore[operator]
            assert ledger.used == (used or Amounts())

    asyncio.run(scenario())


@pytest.mark.parametrize("cancellations", [1, 3])
def test_a_cancelled_caller_waits_for_the_end_and_is_cancelled_then(cancellations: int) -> None:
    async def scenario() -> None:
        ledger = Slow()
        caller = asyncio.ensure_future(settle(ledger, RESERVATION, Amounts(), Posted(), 1.0))
        await ledger.begun.wait()
        for _ in range(cancellations):
            caller.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not caller.done()
        assert ledger.steps == ["begin"]
        ledger.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ledger.steps == ["begin", "end"]

    asyncio.run(scenario())


def test_a_second_resolution_is_a_named_error() -> None:
    async def scenario() -> None:
        ledger = Slow()
        ledger.gate.set()
        await settle(ledger, RESERVATION, Amounts(), Posted(), 1.0)
        with pytest.raises(AlreadyResolved):
            await settle(ledger, RESERVATION, Amounts(), Posted(), 1.0)
        with pytest.raises(AlreadyResolved):
            await release(ledger, RESERVATION, Posted(), 1.0)
        assert ledger.steps == ["begin", "end"]

    asyncio.run(scenario())


def test_a_failure_under_cancellation_is_its_cause() -> None:
    @dataclass
    class Failing(Slow):
        async def settle(self, id: str, used: Amounts, record: Record, now: float) -> None:
            self.begun.set()
            await self.gate.wait()
            raise AlreadyResolved(id)

    async def scenario() -> None:
        ledger = Failing()
        caller = asyncio.ensure_future(settle(ledger, RESERVATION, Amounts(), Posted(), 1.0))
        await ledger.begun.wait()
        caller.cancel()
        await asyncio.sleep(0)
        ledger.gate.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await caller
        causes = []
        error: BaseException | None = caught.value
        while error is not None:
            causes.append(type(error))
            error = error.__cause__ or error.__context__
        assert AlreadyResolved in causes

    asyncio.run(scenario())
