"""What a scrape looks at: how things stand just now, and whether ledger and schema are well."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from world import World, chat, plain_answer

from gateway import scrape
from gateway.errors import Unavailable
from gateway.exchange import exchange

UP = "provider"


def test_requests_in_work_and_their_reservations_are_shown() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok")]

    async def main() -> list[tuple[float | None, float | None]]:
        seen = []
        async with AsyncExitStack() as stack:
            for name in ("req_a", "req_b"):
                call = replace(world.call(chat()), id=name)
                await stack.enter_async_context(exchange(call, world.parts))
            await scrape.look(world.parts)
            seen.append(shown())
        await scrape.look(world.parts)
        return [*seen, shown()]

    def shown() -> tuple[float | None, float | None]:
        return world.metered("gateway_inflight_requests"), world.metered(
            "gateway_reservations_open"
        )

    assert asyncio.run(main()) == [(2, 2), (0, 0)]


def test_every_upstream_of_the_policy_has_a_state_from_the_start() -> None:
    world = World()

    async def main() -> list[float | None]:
        states = []
        for failures in (0, 20):
            for _ in range(failures):
                world.parts.circuits.failed(UP, asyncio.get_running_loop().time(), tries=False)
            await scrape.look(world.parts)
            states.append(world.metered("gateway_circuit_state", upstream=UP))
        return states

    assert asyncio.run(main()) == [0, 2]


@pytest.mark.parametrize("hangs", [False, True])
def test_a_ledger_and_a_schema_that_are_away_are_degraded_until_they_are_back(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "LOOK_SECONDS", 0.05)
    world = World()
    away = False

    async def schema() -> str | None:
        if away and hangs:
            await asyncio.Event().wait()
        return "The database is not migrated." if away else None

    async def generation() -> int:
        if await schema():
            raise Unavailable("away", code="ledger_unavailable")
        return 0

    world.parts.checks["schema"] = schema
    monkeypatch.setattr(world.ledger, "generation", generation)

    async def main() -> None:
        nonlocal away
        for away in (False, True, False):
            await scrape.look(world.parts)
            for part in ("ledger", "schema"):
                assert world.metered("gateway_degraded", part=part) == away

    asyncio.run(main())
