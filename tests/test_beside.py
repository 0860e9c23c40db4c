"""What long work beside requests changes of the interpreter, and that it puts it back."""

import gc
import sys
from contextlib import suppress

import pytest

from gateway.beside import GIVE_WAY_SECONDS, beside_requests, keep_out_of_collections


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
