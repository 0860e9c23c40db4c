"""The largest output cap with which a refused request fits: not a token less, not one more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.quota.admit import clamp_to
from gateway.quota.ledger import Claim, Standing
from gateway.quota.limit import Level, Limit, Measure, Mode, Window
from gateway.usage.entry import Price

PRICE = Price(input=2_500_000_000, cached_input=1_250_000_000, output=10**10, reasoning=10**10)


def stands(
    measure: Measure = Measure.TOKENS,
    remaining: int = 100,
    used: int = 0,
    refused: bool = True,
    clamp: bool = True,
    mode: Mode = Mode.ENFORCE,
) -> Standing:
    limit = Limit("one", measure, used + remaining, Window.DAY, Level.PROJECT, mode=mode)
    claim = Claim(replace(limit, clamp=clamp), ())
    return Standing(claim, used + remaining, used, 0, 10**12, refused, None)


def test_the_cap_takes_what_the_prompt_leaves() -> None:
    assert clamp_to([stands(remaining=100)], 30, 1, PRICE) == 70
    assert clamp_to([stands(Measure.OUTPUT_TOKENS, 100)], 30, 1, PRICE) == 100
    # a prompt of 30 costs 75,000 nano, a token of output 10,000
    assert clamp_to([stands(Measure.MONEY, 1_000_000)], 30, 1, PRICE) == 92


def test_answers_share_what_is_left() -> None:
    assert clamp_to([stands(remaining=100)], 30, 4, PRICE) == 17
    assert clamp_to([stands(remaining=100)], 30, 4, PRICE, uncapped_output=20) == 12


def test_of_several_limits_the_tightest_decides() -> None:
    several = [stands(remaining=100), stands(Measure.OUTPUT_TOKENS, 50), stands(remaining=90)]
    assert clamp_to(several, 30, 1, PRICE) == 50


@pytest.mark.parametrize(
    "standings",
    [
        [stands(remaining=30)],
        [stands(remaining=0, used=500)],
        [stands(Measure.OUTPUT_TOKENS, 0)],
        [stands(), stands(clamp=False)],
        [stands(), stands(Measure.REQUESTS)],
        [stands(refused=False)],
        [],
    ],
)
def test_no_cap_helps_where_nothing_is_left_or_something_else_refused(
    standings: list[Standing],
) -> None:
    assert clamp_to(standings, 30, 1, PRICE) is None


def test_money_without_a_price_is_not_guessed() -> None:
    assert clamp_to([stands(Measure.MONEY, 10**9)], 30, 1, None) is None


def test_limits_that_do_not_refuse_do_not_clamp() -> None:
    watched = [stands(remaining=5, mode=Mode.OBSERVE), stands(remaining=5, mode=Mode.SOFT)]
    assert clamp_to([*watched, stands(remaining=100)], 30, 1, PRICE) == 70


prices = st.integers(0, 10**14)


def bound(measure: Measure, price: Price, input_tokens: int, output_tokens: int) -> int:
    if measure is Measure.MONEY:
        return price.bound_nano(input_tokens, output_tokens)
    return output_tokens + (input_tokens if measure is Measure.TOKENS else 0)


@given(
    lefts=st.lists(
        st.tuples(
            st.sampled_from([Measure.TOKENS, Measure.OUTPUT_TOKENS, Measure.MONEY]),
            st.integers(0, 10**6) | st.integers(0, 10**17),
        ),
        min_size=1,
        max_size=3,
    ),
    input_tokens=st.integers(0, 10**6),
    answers=st.integers(1, 128),
    uncapped=st.integers(0, 1000),
    price=st.builds(
        lambda *four: Price(input=four[0], cached_input=four[1], output=four[2], reasoning=four[3]),
        *[prices] * 4,
    ),
    wanted=st.integers(1, 10**9),
)
def test_the_clamped_request_fits_and_one_token_more_does_not(
    lefts: list[tuple[Measure, int]],
    input_tokens: int,
    answers: int,
    uncapped: int,
    price: Price,
    wanted: int,
) -> None:
    def fits(cap: int) -> bool:
        output = uncapped + cap * answers
        return all(bound(m, price, input_tokens, output) <= left for m, left in lefts)

    assume(not fits(wanted))
    refused = [
        (measure, left)
        for measure, left in lefts
        if bound(measure, price, input_tokens, uncapped + wanted * answers) > left
    ]
    standings = [stands(measure, left) for measure, left in refused]
    cap = clamp_to(standings, input_tokens, answers, price, uncapped)
    if cap is None:
        assert not fits(1)
    else:
        assert cap < wanted
        assert fits(cap)
        assert not fits(cap + 1)
