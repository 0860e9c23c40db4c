"""How tokens are spread over pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.usage import shares


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(0, 500))
def test_shares_add_up_to_the_total_and_none_is_negative(pieces: list[int], total: int) -> None:
    result = shares(pieces, total)
    assert len(result) == len(pieces)
    assert sum(result) == total
    assert min(result) >= 0


@given(st.lists(st.integers(0, 50), min_size=1))
def test_pieces_that_already_add_up_keep_their_own(pieces: list[int]) -> None:
    assert shares(pieces, sum(pieces)) == pieces
