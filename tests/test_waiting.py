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


async def slept(seconds: float, told: str = "") -> str:
    await asyncio.sleep(seconds)
    return told


def test_work_is_awaited_whether_it_waits_or_not() -> None:
    async def at_once() -> str:
        return "done"

    async def twice() -> str:
        return await slept(0) + await slept(0.01, "waited") + await slept(0)

    async def work() -> None:
        waits = Waits()
        assert await waits.within(5, at_once()) == "done"
        assert await waits.within(5, twice()) == "waited"
        assert await waits.within(5, asyncio.sleep(0.01, "future")) == "future"
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, ready.set_result, "later")
        assert await waits.within(5, ready) == "later"
        assert await waits.within(5, ready) == "later"
        waits.close()

    run(work())


def test_work_that_takes_too_long_is_a_time_out_and_is_told() -> None:
    seen: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)  # it may wait while it ends
            seen.append("ended")
            raise

    async def work() -> None:
        waits = Waits()
        with pytest.raises(TimeoutError):
            await waits.within(0.02, stubborn())
        await waits.within(5, slept(0.01))
        waits.close()

    run(work())
    assert seen == ["cancelled", "ended"]


def test_an_error_of_work_passes_at_once_and_later() -> None:
    async def failing(seconds: float | None) -> None:
        if seconds is not None:
            await asyncio.sleep(seconds)
        raise ValueError("no")

    async def work() -> None:
        waits = Waits()
        for seconds in (None, 0, 0.01):
            with pytest.raises(ValueError, match="no"):
                await waits.within(5, failing(seconds))
        waits.close()

    run(work())


def test_work_of_a_task_that_is_cancelled_or_dropped_is_ended() -> None:
    seen: list[str] = []

    async def busy() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("ended")

    async def work() -> None:
        waits = Waits()
        task = asyncio.create_task(waits.within(60, busy()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        dropped = waits.within(60, busy())
        dropped.send(None)
        dropped.close()
        waits.close()

    run(work())
    assert seen == ["ended", "ended"]


def test_work_that_does_not_wait_needs_no_timer() -> None:
    async def at_once() -> None:
        pass

    async def work() -> None:
        waits = Waits()
        await waits.within(60, at_once())
        assert waits._timer is None

    run(work())
