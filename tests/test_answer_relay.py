"""That a caller's side takes what it can as it comes changes nothing of what the caller gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_answer import DONE, EMPTY, FULL, MAIL, ROLE, SSE, Played, answer_of, end, play, said
from test_answer_alike import EVENTS, facts

from gateway.errors import ApiError
from gateway.forward import Reply, Take
from gateway.openai.overrun import Cap


class Arriving:
    """Pieces of a reply, each of which arrives while the one before is dealt with, or not."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = list(pieces)
        self._take: Take | None = None
        self.taken = 0

    def relay(self, take: Take) -> None:
        self._take = take

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(0)
            if self._take is not None and self._take(piece):
                self.taken += 1
            else:
                yield piece


class Outlet:
    """Ready by turns."""

    def __init__(self, give: Callable[[bytes], None], ready: Iterator[bool]) -> None:
        self.give = give
        self._ready = ready

    def is_ready(self) -> bool:
        return next(self._ready)


def relayed(
    pieces: Sequence[bytes], ready: Iterator[bool], **how: object
) -> tuple[Played, Arriving]:
    arriving = Arriving(pieces)

    async def main() -> Played:
        received = aiter(arriving)
        played = Played(answer_of(Reply(200, SSE, received, relay=arriving.relay), **how))
        try:
            await played.answer.begin()
            async for piece in played.answer.pieces(Outlet(played.sent.append, ready)):
                played.sent.append(piece)
        except ApiError as error:
            played.error = error
        return played

    return asyncio.run(main()), arriving


def by_turns(turns: Sequence[bool]) -> Iterator[bool]:
    while True:
        yield from turns


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(EVENTS, max_size=12),
    cuts=st.lists(st.integers(1, 300), max_size=6),
    turns=st.lists(st.booleans(), min_size=1, max_size=3),
    has_vault=st.booleans(),
    cap=st.sampled_from([None, Cap(5, 5, 9, "o200k"), Cap(40, 40, 9, "bytes")]),
    most=st.sampled_from([100_000, 150]),
)
def test_with_an_outlet_the_caller_gets_the_same(
    events: list[bytes],
    cuts: list[int],
    turns: list[bool],
    has_vault: bool,
    cap: Cap | None,
    most: int,
) -> None:
    whole = b"".join(events) + end() + DONE
    pieces, at = [], 0
    for size in cuts:
        pieces.append(whole[at : at + size])
        at += size
    pieces.append(whole[at:])
    for cut in ([*events, end(), DONE], [one for one in pieces if one]):
        how = {"vault": FULL if has_vault else EMPTY, "cap": cap, "answer_bytes_max": most}
        assert facts(relayed(cut, by_turns(turns), **how)[0]) == facts(play(cut, **how))


@pytest.mark.parametrize("is_ready", [True, False])
def test_of_a_usual_stream_nearly_everything_is_taken_if_the_caller_is_ready(
    is_ready: bool,
) -> None:
    words = [said(f" word{number}") for number in range(40)]
    played, arriving = relayed([ROLE, *words, end(), DONE], by_turns([is_ready]), vault=FULL)
    assert played.sent == [ROLE, *words, end(), DONE]
    assert arriving.taken == (39 if is_ready else 0)
    assert played.answer.output_text == ["".join(f" word{number}" for number in range(40))]


def test_what_is_restored_is_restored_where_it_is_taken() -> None:
    words = [said(text) for text in ("to ", "him ", MAIL[:5], MAIL[5:], " and", " so on")]
    played, arriving = relayed([ROLE, *words, end(), DONE], by_turns([True]), vault=FULL)
    assert played.content() == 'to him ann "a"@example.com and so on'
    assert arriving.taken == len(words) - 1


def test_the_upstreams_key_is_not_taken_through() -> None:
    pieces = [ROLE, *[said(f"{n} sk-upstream-0123456789") for n in range(9)], end(), DONE]
    played, arriving = relayed(pieces, by_turns([True]))
    assert arriving.taken > 5
    assert b"sk-upstream" not in played.body
