"""No key takes all of the gateway: its requests in work are bounded, from before their bodies."""

from __future__ import annotations

import asyncio
import json

import pytest
from world import World, chat, plain_answer

from gateway.errors import ApiError, ClientLeft, LimitReached
from gateway.exchange import exchange
from gateway.seats import Seats

USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}


async def answered(world: World, **call: object) -> int:
    async with exchange(world.call(chat(), **call), world.parts) as answer:
        async for _ in answer.pieces():
            pass
        return answer.status


def test_a_holder_has_as_many_as_it_may_and_others_have_theirs() -> None:
    seats = Seats()
    assert [seats.take("a", 2) for _ in range(3)] == [True, True, False]
    assert seats.take("b", 2)
    seats.leave("a")
    assert seats.take("a", 2)


def test_a_key_with_as_many_requests_in_work_as_it_may_have_is_refused_until_one_ends() -> None:
    world = World(requests_per_key_max=1)
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    other = world.new_key()

    async def main() -> None:
        body = asyncio.Event()
        call = world.call(chat())

        async def slow() -> bytes:
            await body.wait()
            return json.dumps(chat()).encode()

        object.__setattr__(call, "read_body", slow)

        async def first() -> int:
            async with exchange(call, world.parts) as answer:
                return answer.status

        in_work = asyncio.create_task(first())
        await asyncio.sleep(0.01)
        with pytest.raises(LimitReached, match="This key has 1 requests in work") as refused:
            await answered(world)
        assert refused.value.code == "rate_limit_exceeded"
        assert await answered(world, key=other) == 200
        body.set()
        assert await in_work == 200
        assert await answered(world) == 200

    asyncio.run(main())
    refusal = next(entry for entry in world.journal.entries if entry.status == 429)
    assert (refusal.requests, refusal.cost_nano, refusal.key_id) == (0, 0, "key_0")


def test_whatever_ends_a_request_its_place_is_free_again() -> None:
    world = World(requests_per_key_max=1)
    world.upstream.pieces = [plain_answer("ok", USAGE)]

    async def main() -> None:
        for body in (ClientLeft(), b"no JSON", RuntimeError("ours"), chat(model="none")):
            with pytest.raises((ClientLeft, ApiError, RuntimeError)):
                async with exchange(world.call(body), world.parts):
                    pass
        assert await answered(world) == 200

    asyncio.run(main())
