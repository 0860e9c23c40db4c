"""What an entry costs: each token priced once, rounded up once."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.usage.entry import MILLION, NANO, Price, Tokens

PRICE = Price(
    input=2 * NANO + NANO // 2, cached_input=NANO + NANO // 4, output=10 * NANO, reasoning=20 * NANO
)
FIGURE = st.integers(0, 10**9)
AUDIO = st.none() | FIGURE
PRICES = st.builds(Price, FIGURE, FIGURE, FIGURE, FIGURE, AUDIO, AUDIO)


@pytest.mark.parametrize(("tokens", "cost"), [
    (Tokens(), 0),
    (Tokens(input=1), 2500),
    (Tokens(input=1, cached_input=1), 1250),
    (Tokens(output=1), 10_000),
    (Tokens(output=1, reasoning=1), 20_000),
    (Tokens(input=MILLION, cached_input=MILLION // 2, output=MILLION, reasoning=MILLION // 2),
     1_250_000_000 + 625_000_000 + 5_000_000_000 + 10_000_000_000),
])  # fmt: skip
def test_cached_input_and_reasoning_are_priced_once_and_as_what_they_are(tokens, cost):
    assert PRICE.cost_nano(tokens) == cost


def test_a_part_of_a_nano_unit_is_rounded_up_once():
    cheap = Price(1, 1, 1, 1)
    assert cheap.cost_nano(Tokens(input=1)) == 1
    assert cheap.cost_nano(Tokens(input=1, output=1)) == 1
    assert cheap.cost_nano(Tokens(input=MILLION, output=1)) == 2


@st.composite
def tokens(draw):
    given, told = draw(FIGURE), draw(FIGURE)
    cached, reasoning = draw(st.integers(0, given)), draw(st.integers(0, told))
    heard, spoken = draw(st.integers(0, given - cached)), draw(st.integers(0, told - reasoning))
    return Tokens(given, cached, told, reasoning, heard, spoken)


@given(PRICES, tokens())
def test_a_cost_is_the_exact_sum_rounded_up_and_never_over_its_bound(price, used):
    heard = price.input if price.audio_input is None else price.audio_input
    spoken = price.output if price.audio_output is None else price.audio_output
    exact = Fraction(
        (used.input - used.cached_input - used.audio_input) * price.input
        + used.cached_input * price.cached_input + used.audio_input * heard
        + (used.output - used.reasoning - used.audio_output) * price.output
        + used.reasoning * price.reasoning + used.audio_output * spoken,
        MILLION,
    )  # fmt: skip
    assert 0 <= price.cost_nano(used) - exact < 1
    assert price.cost_nano(used) <= price.bound_nano(used.input, used.output)


def test_audio_is_priced_once_and_as_audio_and_without_a_price_as_text():
    used = Tokens(input=10, cached_input=2, output=8, reasoning=1, audio_input=5, audio_output=4)
    price = Price(MILLION, 0, 2 * MILLION, 3 * MILLION, 10 * MILLION, 20 * MILLION)
    assert price.cost_nano(used) == 3 * 1 + 2 * 0 + 5 * 10 + 3 * 2 + 1 * 3 + 4 * 20
    assert Price(MILLION, 0, 2 * MILLION, 3 * MILLION).cost_nano(used) == 8 + 7 * 2 + 3


WILD = st.integers(-(10**6), 10**6)


@given(PRICES, st.builds(Tokens, WILD, WILD, WILD, WILD, WILD, WILD))
def test_parts_that_are_more_than_their_whole_are_cut_to_it(price, used):
    cost = price.cost_nano(used)
    assert 0 <= cost <= price.bound_nano(max(used.input, 0), max(used.output, 0))


def test_of_parts_that_are_too_many_audio_is_cut_first():
    price = Price(MILLION, 2 * MILLION, 0, 0, audio_input=4 * MILLION)
    assert price.cost_nano(Tokens(input=10, cached_input=8, audio_input=9)) == 8 * 2 + 2 * 4
