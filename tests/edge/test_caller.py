"""A caller's body is bounded in size and time; a caller that leaves stops the work for it."""

import asyncio

import pytest

from gateway.edge.caller import Caller
from gateway.errors import ClientLeft, TooLarge, TooSlow

LEFT = {"type": "http.disconnect"}


def piece(body: bytes, more: bool) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


def caller_of(messages, *, send=None, then_silent=True, **bounds) -> Caller:
    queue = list(messages)

    async def receive():
        if queue:
            return queue.pop(0)
        assert then_silent
        return await asyncio.Event().wait()

    async def send_nothing(message):
        pass

    settings = {
        "body_bytes_max": 10,
        "body_timeout_seconds": 5.0,
        "write_timeout_seconds": 5.0,
        **bounds,
    }
    return Caller(receive, send or send_nothing, **settings)


def run(work):
    return asyncio.run(asyncio.wait_for(work, 10))


def test_a_body_is_the_sum_of_its_pieces():
    async def work():
        caller = caller_of([piece(b"abc", True), piece(b"", True), piece(b"def", False)])
        assert await caller.body() == b"abcdef"
        assert not caller.has_left()
        await caller.aclose()

    run(work())


def test_a_body_may_be_as_large_as_the_bound_and_no_larger():
    async def work():
        caller = caller_of([piece(b"a" * 10, False)])
        assert len(await caller.body()) == 10
        await caller.aclose()
        with pytest.raises(TooLarge, match="10 bytes"):
            await caller_of([piece(b"a" * 6, True), piece(b"a" * 5, True)]).body()

    run(work())


def test_a_body_that_does_not_come_is_refused():
    async def work():
        with pytest.raises(TooSlow, match=r"0\.05 seconds"):
            await caller_of([piece(b"a", True)], body_timeout_seconds=0.05).body()

    run(work())


def test_a_caller_that_leaves_inside_its_body_is_gone():
    async def work():
        caller = caller_of([piece(b"a", True), LEFT])
        with pytest.raises(ClientLeft):
            await caller.body()
        assert caller.has_left()
        await caller.aclose()

    run(work())


def test_a_caller_that_leaves_later_cancels_the_work():
    async def work():
        caller = caller_of([piece(b"a", False), LEFT])

        async def exchange():
            await caller.body()
            await asyncio.Event().wait()

        task = asyncio.create_task(exchange())
        await asyncio.wait([task])
        assert task.cancelled()
        assert caller.has_left()
        await caller.aclose()

    run(work())


def test_closing_ends_the_watch_so_that_nothing_is_cancelled_afterwards():
    async def work():
        left = asyncio.Event()
        messages = [piece(b"a", False)]

        async def receive():
            if messages:
                return messages.pop()
            await left.wait()
            return LEFT

        async def send(message):
            pass

        caller = Caller(
            receive, send, body_bytes_max=10, body_timeout_seconds=5, write_timeout_seconds=5
        )
        await caller.body()
        await caller.aclose()
        left.set()
        await asyncio.sleep(0)
        assert not caller.has_left()

    run(work())


def test_a_caller_that_takes_nothing_of_its_answer_is_gone():
    async def work():
        async def stuck(message):
            await asyncio.Event().wait()

        caller = caller_of([], send=stuck, write_timeout_seconds=0.05)
        with pytest.raises(ClientLeft):
            await caller.send({"type": "http.response.start"})
        assert caller.has_left()
        assert caller.started

    run(work())
