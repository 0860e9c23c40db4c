"""The end of an exchange: what cannot be settled any more, or not be posted, is told."""

from __future__ import annotations

import asyncio

from world import NOW, World, chat, plain_answer

from gateway.exchange import exchange
from gateway.settled import record_costless
from gateway.usage.entry import Entry, Outcome

USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}


def test_what_outlives_its_lease_is_in_the_book_once_and_not_counted_again() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok", USAGE)]

    async def main() -> None:
        async with exchange(world.call(chat()), world.parts):
            assert await world.ledger.sweep(NOW + 10_000) == 1

    asyncio.run(main())
    (entry,) = world.journal.entries
    assert entry.outcome is Outcome.ABANDONED
    assert "settled_too_late" in [event for event, _ in world.log.lines]
    assert b"gateway_tokens_total{" not in world.parts.meters.exposition()
    assert asyncio.run(world.reserved()) == 0


def test_more_used_than_reserved_is_booked_as_it_is_and_counted() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok", {"prompt_tokens": 8, "completion_tokens": 99})]

    async def main() -> None:
        async with exchange(world.call(chat()), world.parts):
            pass

    asyncio.run(main())
    assert world.journal.entries[0].tokens.output == 99
    assert world.parts.meters.overdrawn._value.get() == 1


def test_how_full_a_limit_is_is_what_was_used_once_the_request_is_over() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok", USAGE)]

    async def main() -> None:
        async with exchange(world.call(chat()), world.parts):
            pass

    asyncio.run(main())
    ratio = world.metered(
        "gateway_limit_used_ratio", organization="acme", project="", limit="budget"
    )
    assert ratio == (8 * 1000 + 3 * 2000) / 1_000_000_000


def test_what_cost_nothing_is_only_logged_and_counted_while_the_journal_is_full() -> None:
    world = World()
    world.journal.full = True
    record_costless(Entry("req_1", NOW, status=404, outcome=Outcome.REFUSED), world.parts)
    assert world.journal.entries == []
    assert world.log.lines[0][1]["request_id"] == "req_1"
    assert world.parts.meters.entries_dropped._value.get() == 1
