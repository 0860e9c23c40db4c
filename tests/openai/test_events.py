"""Server-sent events: what the standard says an event is, however its bytes were cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.events import Event, EventReader, EventTooLong, encode


def read(*pieces: bytes, most: int = 10_000) -> tuple[list[Event], Event | None]:
    """The events of the pieces, and what was cut off at the end."""
    reader = EventReader(most)
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events, reader.finish()


def data(*pieces: bytes) -> list[str | None]:
    return [event.data for event in read(*pieces)[0]]


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\r\n\rdata: b\n\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", ["a", None]),
        (b"data: a\ndata: b\ndata:\ndata: c\n\n", ["a\nb\n\nc"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a\n\n", [" a"]),
        (b"data\n\n", [""]),
        (b"data: a: b\n\n", ["a: b"]),
        (b": a comment\n\ndata: a\n\n", [None, "a"]),
        (b": a comment\ndata: a\n\n", ["a"]),
        (b"event: x\nid: 7\nretry: 10\ndata: a\n\n", ["a"]),
        (b"dataset: a\n data: b\nDATA: c\n\n", [None]),
        (b"\n\n\r\n\r\rdata: a\n\n\n\n", ["a"]),
        ("data: 我\u2028\x85\x0b\n\n".encode(), ["我\u2028\x85\x0b"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"", []),
    ],
)
def test_an_event_is_what_the_standard_says(stream: bytes, said: list[str | None]) -> None:
    assert data(stream) == said


def test_an_event_is_there_as_soon_as_its_blank_line_is() -> None:
    for ends in (b"\n\n", b"\r\r", b"\r\n\r"):
        reader = EventReader(100)
        assert [event.data for event in reader.feed(b"data: a" + ends)] == ["a"]


def test_an_lf_that_follows_the_cr_of_a_blank_line_is_no_line_of_its_own() -> None:
    events, cut = read(b"data: a\r\n\r", b"\ndata: b\r\n\r", b"\n")
    assert [event.data for event in events] == ["a", "b"]
    assert cut is None


@pytest.mark.parametrize("stream", [b"data: a", b"data: a\n", b"event: x\ndata: a\r"])
def test_lines_that_no_blank_line_closed_are_told_at_the_end(stream: bytes) -> None:
    events, cut = read(b"data: whole\n\n" + stream)
    assert [event.data for event in events] == ["whole"]
    assert cut is not None
    assert cut.data == "a"


def test_an_event_is_written_as_it_came_but_for_its_line_ends() -> None:
    (event,), _ = read(b": hi\r\nevent:x\r\nid: 1\r\nretry: 5\r\nother\r\ndata:a\r\n\r\n")
    assert event.encode() == b": hi\nevent:x\nid: 1\nretry: 5\nother\ndata:a\n\n"


def test_new_data_leaves_the_other_fields() -> None:
    (event,), _ = read(b": hi\nevent: x\ndata: old\nid: 1\ndata: older\n\n")
    assert event.with_data(b"new").encode() == b": hi\nevent: x\nid: 1\ndata: new\n\n"


def test_data_of_several_lines_is_written_as_several_fields() -> None:
    assert encode(b"a\nb\r\n\rc") == b"data: a\ndata: b\ndata: \ndata: c\n\n"
    assert data(encode(b"a\nb\r\n\rc")) == ["a\nb\n\nc"]


@pytest.mark.parametrize(
    "stream",
    [b"data: " + b"a" * 40, b"data: a\n" * 6, b"data: " + b"a" * 40 + b"\n\n", b": " + b"a" * 40],
)
def test_an_event_that_is_too_long_is_refused_after_those_before_it(stream: bytes) -> None:
    whole = b"data: ok\n\n" + stream
    for size in (1, 7, 1000):
        reader, seen = EventReader(40), list[str | None]()
        pieces = iter([whole[at : at + size] for at in range(0, len(whole), size)])
        with pytest.raises(EventTooLong):
            read_into(seen, reader, pieces)
        assert seen == ["ok"]


def read_into(seen: list[str | None], reader: EventReader, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        for event in reader.feed(piece):
            seen.append(event.data)


def test_many_events_together_may_be_longer_than_one_may_be() -> None:
    events, _ = read(b"data: 12345\n\n" * 1000, most=20)
    assert len(events) == 1000


STREAMS = st.lists(
    st.sampled_from(
        [b"data: ", b"data:", b"data", b"event: x", b"id: 1", b": c", b"\n", b"\r", b"\r\n",
         b"\n\n", b"\r\n\r\n", b"\r\r", b"\xef\xbb\xbf", "我😀".encode(), b"{}", b" ", b"[DONE]"]
    )
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)  # fmt: skip


@given(STREAMS, st.data())
def test_any_cut_of_the_bytes_gives_the_same_events(stream: bytes, drawn: st.DataObject) -> None:
    at = drawn.draw(st.lists(st.integers(0, len(stream))).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    assert read(*pieces) == read(stream)
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == read(stream)


@given(STREAMS)
def test_what_is_written_is_read_as_the_same(stream: bytes) -> None:
    events, _ = read(stream)
    assert read(b"\n" + b"".join(event.encode() for event in events)) == (events, None)


@given(st.text())
def test_any_text_comes_back_with_its_lines(text: str) -> None:
    written = text.encode("utf-8", "replace")
    lines = written.decode().replace("\r\n", "\n").replace("\r", "\n")
    assert data(encode(written)) == [lines]
