"""What a caller can make long is read once: eight times as much takes about eight times as long.
Reading it again for each of its parts would take sixty-four times as long."""

import time
from collections.abc import Callable

import pytest

from gateway.privacy.mint import Mint, Vault
from gateway.privacy.profile import Action
from gateway.privacy.restore import Restorer
from gateway.privacy.spans import Span

MAIL = "EMAIL_ADDRESS_ABCDEFGH"
KEY = b"k" * 32


def backslashes(size: int) -> None:
    Restorer(Vault({MAIL: "a"})).feed(0, "\\" * (100 * size) + "x", True)


def backslashes_in_pieces(size: int) -> None:
    restorer = Restorer(Vault({MAIL: "a"}))
    for _ in range(20 * size):
        restorer.feed(0, "\\" * 5, True)
    restorer.feed(0, "x", True)


def quotes_behind_a_document(size: int) -> None:
    inner = '"{}' + "1 " * 10 * size + '\\"' * 10 * size
    Restorer(Vault({MAIL: "a"})).feed(0, inner, True)


def made_up_beside_a_placeholder(size: int) -> None:
    names = {f"alex.ashby{number:06}@example.com": "u@x.de" for number in range(size)}
    Restorer(Vault({MAIL: "a"}, names)).feed(0, " ".join(names))


def made_up_of_many_lengths(size: int) -> None:
    names = {f"Maple{' x' * number} Street {number}": "Elm" for number in range(size)}
    Restorer(Vault({}, names)).feed(0, "Mary Mike Mo " * size)


def values_in_many_texts(size: int) -> None:
    texts = [f"user{number:06}@corp.com" for number in range(size)]
    changes = [[(Span(0, len(text), "EMAIL_ADDRESS", 1.0), Action.REPLACE, 0)] for text in texts]
    Mint(KEY, texts).stand_ins(texts, changes)


def more_values_than_made_up_ones(size: int) -> None:
    texts = [f"town {number:06}" for number in range(size)]
    changes = [[(Span(0, len(text), "LOCATION", 1.0), Action.REPLACE, 0)] for text in texts]
    Mint(KEY, texts).stand_ins(texts, changes)


def seconds(work: Callable[[int], None], size: int) -> float:
    """Of this thread, at the best of five."""
    least = float("inf")
    for _ in range(5):
        began = time.thread_time()
        work(size)
        least = min(least, time.thread_time() - began)
    return least


@pytest.mark.parametrize(
    ("work", "size"),
    [
        (backslashes, 40),
        (backslashes_in_pieces, 40),
        (quotes_behind_a_document, 100),
        (made_up_beside_a_placeholder, 400),
        (made_up_of_many_lengths, 50),
        (values_in_many_texts, 300),
        (more_values_than_made_up_ones, 300),
    ],
)
def test_the_time_grows_as_the_text_does(work: Callable[[int], None], size: int) -> None:
    assert seconds(work, 8 * size) < 25 * seconds(work, size)
