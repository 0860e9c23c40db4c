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
        caller.close()

    run(work())


def test_a_body_may_be_as_large_as_the_bound_and_no_larger():
    async def work():
        caller = caller_of([piece(b"a" * 10, False)])
        assert len(await caller.body()) == 10
        caller.close()
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
        caller.close()

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
        caller.close()

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
        caller.close()
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


class Drained:
    """A caller whose answer goes on without it, and what was really sent to it. It leaves when
    `gone` is set, and takes nothing while `stuck`."""

    def __init__(self, *, stuck=False, write_timeout_seconds=5.0):
        self.gone = asyncio.Event()
        self.sent = []
        self.stuck = stuck
        self.caller = Caller(
            self._receive,
            self._send,
            body_bytes_max=10,
            body_timeout_seconds=5,
            write_timeout_seconds=write_timeout_seconds,
        )
        self._asked = [piece(b"a", False)]

    async def _receive(self):
        if self._asked:
            return self._asked.pop()
        await self.gone.wait()
        return LEFT

    async def _send(self, message):
        self.sent.append(message)
        if self.stuck:
            await asyncio.Event().wait()

    async def left(self):
        self.gone.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert self.caller.has_left()


def test_a_drained_caller_that_leaves_ends_nothing_and_hears_nothing():
    async def work():
        drained = Drained()
        await drained.caller.body()
        drained.caller.keep_on()
        await drained.caller.send({"number": 1})
        await drained.left()
        drained.stuck = True
        for number in (2, 3):
            await drained.caller.send({"number": number})
        assert drained.sent == [{"number": 1}]
        drained.caller.close()

    run(work())


def test_a_drained_caller_that_takes_nothing_is_waited_for_once():
    async def work():
        drained = Drained(stuck=True, write_timeout_seconds=0.05)
        await drained.caller.body()
        drained.caller.keep_on()
        read = []
        for number in range(100):
            read.append(number)
            await drained.caller.send({"number": number})
        assert len(read) == 100, "what the upstream sends is read to its end"
        assert drained.sent == [{"number": 0}]
        assert drained.caller.has_left()
        drained.caller.close()

    run(work())


@pytest.mark.parametrize("has_left", [False, True])
def test_a_stop_still_ends_the_work_for_a_drained_caller(has_left):
    async def work():
        drained = Drained()
        began = asyncio.Event()

        async def exchange():
            await drained.caller.body()
            drained.caller.keep_on()
            began.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(exchange())
        await began.wait()
        if has_left:
            await drained.left()
        assert not task.cancelling()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert drained.caller.has_left() is has_left
        drained.caller.close()

    run(work())


def test_who_left_before_it_was_to_be_drained_ends_the_work():
    async def work():
        drained = Drained()

        async def exchange():
            await drained.caller.body()
            drained.gone.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(exchange())
        await asyncio.wait([task])
        assert task.cancelled()
        drained.caller.close()

    run(work())
