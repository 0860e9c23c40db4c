"""Waits time out as `asyncio.timeout` does, with one timer for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from gateway.waiting import Waits


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_a_wait_that_is_too_long_is_a_time_out_and_the_next_one_is_not() -> None:
    async def work() -> None:
        waits = Waits()
        with pytest.raises(TimeoutError), waits.at_most(0.02):
            await asyncio.sleep(5)
        with waits.at_most(5):
            await asyncio.sleep(0.05)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        waits.close()

    run(work())


def test_a_timer_of_an_earlier_wait_ends_no_later_one() -> None:
    async def work() -> None:
        waits = Waits()
        for _ in range(10):
            with waits.at_most(0.05):
                await asyncio.sleep(0.02)
        waits.close()

    run(work())


def test_a_shorter_wait_behind_a_longer_one_is_on_time() -> None:
    async def work() -> None:
        waits = Waits()
        with waits.at_most(60):
            pass
        began = time.monotonic()
        with pytest.raises(TimeoutError), waits.at_most(0.02):
            await asyncio.sleep(60)
        assert time.monotonic() - began < 5
        waits.close()

    run(work())


def test_who_is_cancelled_by_somebody_else_is_cancelled() -> None:
    async def wait(begun: asyncio.Event) -> None:
        with Waits().at_most(60):
            begun.set()
            await asyncio.sleep(60)

    async def work() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(wait(begun))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work())


def test_an_error_of_what_is_waited_for_passes() -> None:
    async def work() -> None:
        with pytest.raises(ValueError, match="no"), Waits().at_most(60):
            raise ValueError("no")

    run(work())


def test_only_one_timer_is_there_however_often_is_waited() -> None:
    class Counting(asyncio.SelectorEventLoop):
        timers = 0

        def call_at(self, *args: Any, **more: Any) -> asyncio.TimerHandle:
            self.timers += 1
            return super().call_at(*args, **more)

    async def work() -> None:
        waits = Waits()
        for _ in range(1000):
            with waits.at_most(60):
                pass
        waits.close()

    loop = Counting()
    loop.run_until_complete(work())
    loop.close()
    assert loop.timers == 1
