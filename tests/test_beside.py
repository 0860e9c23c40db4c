"""What long work beside requests changes of the interpreter, and that it puts it back."""

import asyncio
import gc
import subprocess
import sys
from contextlib import suppress

import pytest

from gateway.beside import (
    GIVE_WAY_SECONDS,
    beside_requests,
    in_own_thread,
    keep_out_of_collections,
)


@pytest.mark.parametrize("error", [None, ValueError("a policy that nobody can read")])
def test_a_thread_gives_way_often_and_nothing_is_collected_until_the_work_is_over(error):
    before = sys.getswitchinterval()
    with suppress(ValueError), beside_requests():
        assert sys.getswitchinterval() == pytest.approx(GIVE_WAY_SECONDS)
        assert not gc.isenabled()
        if error:
            raise error
    assert sys.getswitchinterval() == pytest.approx(before)
    assert gc.isenabled()


@pytest.mark.parametrize("whole", [True, False])
def test_what_was_built_is_in_no_collection_any_more(whole):
    kept = [{} for _ in range(1000)]
    before = gc.get_freeze_count()
    try:
        keep_out_of_collections(whole=whole)
        assert gc.get_freeze_count() >= before + len(kept)
    finally:
        gc.unfreeze()


def test_a_thread_of_its_own_gives_what_the_work_gives():
    async def run():
        assert await in_own_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await in_own_thread(lambda: 1 // 0)
        with pytest.raises(SystemExit):
            await in_own_thread(sys.exit)

    asyncio.run(run())


HANGS = """
import asyncio, threading
from gateway.beside import in_own_thread

async def main():
    begun = threading.Event()
    task = asyncio.create_task(in_own_thread(lambda: (begun.set(), threading.Event().wait())))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    await asyncio.wait([task])
    print("cancelled:", task.cancelled())

asyncio.run(main())
"""


def test_a_thread_that_hangs_keeps_no_process_from_ending():
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "cancelled: True\n"), ended.stderr
