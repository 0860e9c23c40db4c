"""What is passed over without a pattern holds nothing that the patterns would find."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.privacy.mint import Vault
from gateway.privacy.restore import Restorer
from gateway.privacy.wording import Hit, wordings

NAMES = ["EMAIL_ADDRESS_ABCDEFGH", "A_AAAAAAAA", "PERSON_A_AAAAAAAA", "PERSON_AAAAAAAA"]
PADDING = [f"EMAIL_ADDRESS_Q2Q2Q2Q{one}" for one in "ABCDEFGH"]
"""So many names more that each text is searched as a whole."""
PIECES = st.sampled_from(
    [
        *NAMES,
        *(name.lower() for name in NAMES),
        *(name.replace("_", r"\_") for name in NAMES),
        *(name.replace("_", r"\\_") for name in NAMES),
        *(name.replace("_", " ").title() for name in NAMES),
        NAMES[0].replace("E", "É"),
        "EMAIL_ADDRESS_ABCDEFG",
        "EMAIL_ADDRESS_ABCDEFGH2",
        "EMAIL_ADDRESS_ZZZZZZZZ",
        "EMAIL_ADDRESS_",
        "ABCDEFGH",
        "aaaaaaaa",
        "AAAAAAAA",
        "ﬀ",
        "ŉß",
        "\ud800",
        "😀",
        *" _-\\x1卡,\n",
        r"\n",
    ]
)
TEXTS = st.lists(PIECES, max_size=10).map("".join)


def every_hit(names: list[str], text: str, is_json: bool) -> list[list[Hit]]:
    """Of each wording, one behind the other."""
    found: list[list[Hit]] = []
    for wording in wordings(dict.fromkeys(names).keys(), ()):
        hits: list[Hit] = []
        hit = wording.find(text, 0, is_json)
        while hit:
            hits.append(hit)
            hit = wording.find(text, hit[1], is_json)
        found.append(hits)
    return found


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[1:2], NAMES[:2], NAMES])
@settings(max_examples=400)
@given(TEXTS, st.booleans())
def test_looking_at_tokens_first_finds_what_the_pattern_finds(
    names: list[str], text: str, is_json: bool
) -> None:
    searched = every_hit([*names, *PADDING], text, is_json)
    assert sorted(filter(None, every_hit(names, text, is_json))) == sorted(filter(None, searched))


@given(TEXTS, st.data())
def test_where_a_search_begins_does_not_depend_on_the_one_before(
    text: str, data: st.DataObject
) -> None:
    (used,) = wordings(dict.fromkeys(NAMES[:1]).keys(), ())
    starts = data.draw(st.lists(st.integers(0, len(text)), max_size=5))
    for start in starts:
        (fresh,) = wordings(dict.fromkeys(NAMES[:1]).keys(), ())
        assert used.find(text, start, False) == fresh.find(text, start, False)


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[1:2], NAMES])
@settings(max_examples=300)
@given(TEXTS, st.booleans())
def test_a_letter_at_a_time_comes_back_as_all_at_once(
    names: list[str], text: str, is_json: bool
) -> None:
    """A kind may be one letter, and then a gap follows the first."""
    vault = Vault({name: f"<{name[-3:]}>" for name in names})
    restorer, whole = Restorer(vault), Restorer(vault).whole(text, is_json)
    told = [restorer.feed("lane", letter, is_json) for letter in text]
    assert "".join(told) + restorer.flush("lane") == whole
