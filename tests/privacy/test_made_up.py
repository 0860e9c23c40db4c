"""No text holds a made-up value, each value has one of its own, and a later turn changes none."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.privacy.made_up import MadeUp
from gateway.privacy.synthetic import synthetic
from gateway.privacy.wording import Literals

KEY = b"k" * 32
NAMES = ["Ada Byron", "Grace Hopper", "Alan Turing", "Kurt Gödel"]


def test_what_a_text_holds_is_not_made_up_again() -> None:
    first = [synthetic(KEY, "PERSON", "Ada Byron", salt) for salt in range(5)]
    texts = [f"Hello {name}, it is me" for name in first]
    made = MadeUp(KEY, ["Ada Byron", *texts]).of("PERSON", "Ada Byron")
    assert made
    assert not any(made in text for text in texts)


def test_values_that_come_later_change_nothing() -> None:
    values = [("LOCATION", f"town {number}") for number in range(30)]
    before, later = MadeUp(KEY, []), MadeUp(KEY, [])
    before.choose(values[:5])
    later.choose(values)
    assert [later.of(*one) for one in values[:5]] == [before.of(*one) for one in values[:5]]
    made = [name for one in values if (name := later.of(*one))]
    assert len(set(made)) == len(made) == len(later.values) <= 8
    assert later.of(*values[-1]) is None


@given(st.lists(st.sampled_from(NAMES)), st.lists(st.integers(0, 30), max_size=20))
def test_each_stands_for_one_value_and_is_in_no_text(values: list[str], salts: list[int]) -> None:
    texts = [f"({synthetic(KEY, 'PERSON', NAMES[salt % 4], salt)})" for salt in salts]
    made_up = MadeUp(KEY, texts)
    made_up.choose(("PERSON", value) for value in values)
    for made, value in made_up.values.items():
        assert made_up.of("PERSON", value) == made
        assert not any(made in text for text in texts)


WORDS = st.lists(st.sampled_from(["a", "ab", "b", " ", "-", "号"]), min_size=1, max_size=6)
KNOWN = st.lists(WORDS.map("".join).filter(lambda name: name[0] in "ab"), min_size=1, max_size=9)


@given(KNOWN, WORDS.map("".join))
def test_the_first_and_longest_name_is_found(known: list[str], text: str) -> None:
    """Against the plainest thing that could work: every name, at every position."""

    def is_letter(at: int) -> bool:
        return 0 <= at < len(text) and text[at] in "ab"

    every = [
        (at, at + len(name), name)
        for at in range(len(text))
        for name in known
        if text.startswith(name, at) and not is_letter(at - 1) and not is_letter(at + len(name))
    ]
    expected = min(every, key=lambda hit: (hit[0], -hit[1]), default=None)
    assert Literals(set(known)).find(text, 0, False) == expected
