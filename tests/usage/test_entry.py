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
PRICES = st.builds(Price, FIGURE, FIGURE, FIGURE, FIGURE)


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
    return Tokens(given, draw(st.integers(0, given)), told, draw(st.integers(0, told)))


@given(PRICES, tokens())
def test_a_cost_is_the_exact_sum_rounded_up_and_never_over_its_bound(price, used):
    exact = Fraction(
        (used.input - used.cached_input) * price.input + used.cached_input * price.cached_input
        + (used.output - used.reasoning) * price.output + used.reasoning * price.reasoning,
        MILLION,
    )  # fmt: skip
    assert 0 <= price.cost_nano(used) - exact < 1
    assert price.cost_nano(used) <= price.bound_nano(used.input, used.output)
