"""Ids of requests are in the order of their times, and behind all ids that bear none."""

from __future__ import annotations

import os
import re
from itertools import pairwise

import pytest

from gateway.drawn_ahead import AHEAD_BYTES, DrawnAhead
from gateway.request_id import first_id, new_request_id, time_of

NOW = 1_800_000_000.25


def test_an_id_bears_its_time_and_eighty_random_bits() -> None:
    one, other = (new_request_id(NOW, os.urandom) for _ in range(2))
    assert re.fullmatch(r"req_t[0-9a-f]{32}", one)
    assert one[:17] == other[:17]
    assert one != other
    assert time_of(one) == 1_800_000_000_250


def test_ids_are_in_the_order_of_their_times_also_of_the_least_and_the_largest_bits() -> None:
    times = [0.0, 1.0, NOW - 0.001, NOW, NOW + 0.001, 7_258_118_400.0]
    for before, after in pairwise(times):
        largest = new_request_id(before, lambda size: b"\xff" * size)
        least = new_request_id(after, bytes)
        assert largest < first_id(round(after * 1000)) <= least
        assert time_of(first_id(round(after * 1000))) == round(after * 1000)


@pytest.mark.parametrize("id", ["req_" + "f" * 32, "cor_" + "f" * 32, "req_1", "", "new_1_2"])
def test_an_id_without_a_time_is_before_all_that_bear_one(id: str) -> None:
    assert time_of(id) is None
    assert id < first_id(0)


@pytest.mark.parametrize("id", ["req_t", "req_t0123", "req_t0123456789zz", "req_two_or_more_words"])
def test_what_only_looks_like_one_bears_no_time(id: str) -> None:
    assert time_of(id) is None


def test_bytes_that_are_drawn_ahead_are_each_given_once_and_in_order() -> None:
    drawn: list[bytes] = []

    def draw(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    ahead = DrawnAhead(draw)
    given = [ahead(10) for _ in range(AHEAD_BYTES // 10 + 1)]
    assert len(drawn) == 2
    assert b"".join(given[:-1]) == drawn[0][: AHEAD_BYTES // 10 * 10]
    assert given[-1] == drawn[1][:10]
    assert len(ahead(2 * AHEAD_BYTES)) == 2 * AHEAD_BYTES
