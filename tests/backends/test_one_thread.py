"""A thread that does one thing after the other, and says what came of each."""

import asyncio
import queue
import threading

import pytest

from gateway.backends.one_thread import OneThread


@pytest.fixture
def one():
    thread = OneThread("a test", (LookupError,))
    yield thread
    thread.end()


def test_calls_are_done_in_their_order_on_one_thread(one):
    done = []

    def work(n):
        done.append((n, threading.current_thread().name))
        return n

    async def main():
        return await asyncio.gather(*(one.run(lambda n=n: work(n)) for n in range(50)))

    assert asyncio.run(main()) == list(range(50))
    assert done == [(n, "a test") for n in range(50)]


def test_an_error_that_is_expected_is_told_and_the_thread_goes_on(one):
    def fail():
        raise LookupError("not there")

    async def main():
        with pytest.raises(LookupError, match="not there"):
            await one.run(fail)
        return await one.run(threading.get_ident), await one.run(threading.get_ident)

    first, second = asyncio.run(main())
    assert first == second


def test_a_fault_is_told_and_shown_and_what_waits_is_done_all_the_same(one, monkeypatch):
    shown = queue.SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", shown.put)

    def fault():
        raise ZeroDivisionError

    async def main():
        told = await asyncio.gather(
            one.run(fault), one.run(fault), one.run(lambda: 7), return_exceptions=True
        )
        return [*told, await one.run(lambda: 8)]

    *faults, seven, eight = asyncio.run(main())
    assert [type(one) for one in faults] == [ZeroDivisionError] * 2
    assert (seven, eight) == (7, 8)
    assert [shown.get(timeout=10).exc_type for _ in range(2)] == [ZeroDivisionError] * 2


def test_what_nobody_waits_for_any_more_is_not_begun(one):
    gate, done = threading.Event(), []

    async def main():
        first = one.run(gate.wait)
        left, stayed = (one.run(lambda n=n: done.append(n)) for n in range(2))
        left.cancel()
        gate.set()
        await asyncio.gather(first, stayed)

    asyncio.run(main())
    assert done == [1]


def test_the_end_waits_for_all_that_was_asked_for():
    one, gate, done = OneThread("a test", ()), threading.Event(), []

    async def main():
        one.run(gate.wait)
        last = one.run(lambda: done.append("last"))
        ending = asyncio.create_task(asyncio.to_thread(one.end))
        await asyncio.sleep(0.01)
        assert not ending.done()
        gate.set()
        await ending
        await last

    asyncio.run(main())
    assert done == ["last"]


def test_an_answer_for_a_loop_that_is_closed_harms_nothing():
    one, gate = OneThread("a test", ()), threading.Event()

    async def main():
        one.run(gate.wait)

    asyncio.run(main())
    gate.set()
    one.end()

    async def again():
        return await OneThread("another", ()).run(lambda: 1)

    assert asyncio.run(again()) == 1
