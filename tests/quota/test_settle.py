"""Settling is carried to its end, exactly once, whatever happens to the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gateway.quota.ledger import (
    AlreadyResolved,
    Claim,
    CounterState,
    Record,
    Reservation,
    Standing,
    Verdict,
)
from gateway.quota.limit import NOTHING, Amounts, Level, Limit, Measure, Window
from gateway.quota.settle import to_the_end


@dataclass(frozen=True)
class Posted:
    id: str = "r1"
    time: float = 0.5


RESERVATION = Reservation("r1", (), (), Amounts(requests=1), Posted(), 60.0)
CLAIM = Claim(Limit("l", Measure.TOKENS, 10, Window.DAY, Level.KEY), ())
AFTER = (Standing(CLAIM, 10, 7, 0, 0, False, None),)


@dataclass
class Slow:
    """A ledger that resolves in two steps, the second when the test lets it."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    steps: list[str] = field(default_factory=list)
    used: Amounts | None = None
    record: Record | None = None

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        return Verdict(True, (), 0, now)

    async def settle(
        self, reservation: Reservation, used: Amounts, record: Record, now: float
    ) -> tuple[Standing, ...]:
        if "end" in self.steps:
            raise AlreadyResolved(reservation.id)
        self.steps.append("begin")
        self.begun.set()
        await self.gate.wait()
        self.steps.append("end")
        self.used = used
        self.record = record
        return AFTER

    async def release(
        self, reservation: Reservation, record: Record | None, now: float
    ) -> tuple[Standing, ...]:
        return await self.settle(reservation, Amounts(), record or Posted("none"), now)

    def owe(self, reservation: Reservation, used: Amounts, record: Record, now: float) -> None:
        raise AssertionError("nobody owes here")

    async def sweep(self, now: float) -> int:
        return 0

    async def look(self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING) -> Verdict:
        return Verdict(True, (), 0, now)

    async def has_room(self, claims: Sequence[Claim], now: float, asked: Amounts) -> bool:
        return True

    async def generation(self) -> int:
        return 0

    async def counters(self) -> Sequence[CounterState]:
        return ()

    def owed(self) -> int:
        return 0


def test_settle_books_what_was_used_and_tells_how_the_claims_stand() -> None:
    async def scenario() -> None:
        ledger = Slow()
        ledger.gate.set()
        used = Amounts(requests=1, input_tokens=7)
        assert await to_the_end(ledger.settle(RESERVATION, used, Posted(), 1.0)) is AFTER
        assert ledger.used == used

    asyncio.run(scenario())


@pytest.mark.parametrize(("record", "appended"), [(Posted(), "r1"), (None, "none")])
def test_release_books_nothing_and_appends_the_record_if_there_is_one(
    record: Posted | None, appended: str
) -> None:
    async def scenario() -> None:
        ledger = Slow()
        ledger.gate.set()
        assert await to_the_end(ledger.release(RESERVATION, record, 1.0)) is AFTER
        assert ledger.used == Amounts()
        assert ledger.record == Posted(appended)

    asyncio.run(scenario())


@pytest.mark.parametrize("cancellations", [1, 3])
def test_a_cancelled_caller_waits_for_the_end_and_is_cancelled_then(cancellations: int) -> None:
    async def scenario() -> None:
        ledger = Slow()
        caller = asyncio.ensure_future(
            to_the_end(ledger.settle(RESERVATION, Amounts(), Posted(), 1.0))
        )
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
        await to_the_end(ledger.settle(RESERVATION, Amounts(), Posted(), 1.0))
        with pytest.raises(AlreadyResolved):
            await to_the_end(ledger.settle(RESERVATION, Amounts(), Posted(), 1.0))
        with pytest.raises(AlreadyResolved):
            await to_the_end(ledger.release(RESERVATION, Posted(), 1.0))
        assert ledger.steps == ["begin", "end"]

    asyncio.run(scenario())


def test_a_failure_under_cancellation_is_its_cause() -> None:
    @dataclass
    class Failing(Slow):
        async def settle(
            self, reservation: Reservation, used: Amounts, record: Record, now: float
        ) -> tuple[Standing, ...]:
            self.begun.set()
            await self.gate.wait()
            raise AlreadyResolved(reservation.id)

    async def scenario() -> None:
        ledger = Failing()
        caller = asyncio.ensure_future(
            to_the_end(ledger.settle(RESERVATION, Amounts(), Posted(), 1.0))
        )
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
