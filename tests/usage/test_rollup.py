"""Which kept sums answer a question, and what of its time is left to the entries."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.usage.entry import Entry, Outcome, Tokens
from gateway.usage.rollup import DAY, HOUR, VIEWS, Piece, Span, cells_of, plan

YEAR_9998 = 253_370_764_800_000_000
moments = st.integers(0, YEAR_9998)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@given(moments)
def test_spans_start_at_utc_hours_midnights_and_firsts_of_months(time):
    for span in Span:
        start = span.start(time)
        assert start <= time < span.next(start)
        assert span.start(start) == span.first(start) == start
        moment = datetime.fromtimestamp(start / 1_000_000, UTC)
        assert (moment.minute, moment.second, moment.microsecond) == (0, 0, 0)
        assert span is Span.HOUR or moment.hour == 0
        assert span is not Span.MONTH or moment.day == 1


@given(
    st.sampled_from([None, *Span]), moments, st.none() | moments,
    st.sets(st.sampled_from(["model", "project", "key_id", "end_user", "status"])),
)  # fmt: skip
def test_the_pieces_of_a_question_tile_its_time_in_whole_spans(longest, since, until, fields):
    planned = plan(fields, longest, since, until)
    reached = since
    for piece in planned.pieces:
        assert piece.since == reached
        assert piece.until is None or piece.until > piece.since or planned.view is None
        if piece.span:
            assert planned.view is not None
            assert set(fields) <= set(planned.view.fields)
            assert piece.span.start(piece.since) == piece.since
            assert piece.until is None or piece.span.start(piece.until) == piece.until
            assert list(Span).index(piece.span) <= list(Span).index(longest)
        reached = piece.until
    if planned.pieces:
        assert reached == until
    else:
        assert until is not None
        assert since >= until


def test_months_are_read_in_the_middle_and_days_at_both_ends():
    planned = plan(["project"], Span.MONTH, at("2026-01-30"), at("2026-03-02T10:00"))
    assert planned.view.name == "projects"
    assert planned.pieces == [
        Piece(Span.DAY, at("2026-01-30"), at("2026-02-01")),
        Piece(Span.MONTH, at("2026-02-01"), at("2026-03-01")),
        Piece(Span.DAY, at("2026-03-01"), at("2026-03-02")),
        Piece(None, at("2026-03-02"), at("2026-03-02T10:00")),
    ]


@pytest.mark.parametrize(("fields", "longest"), [
    (["end_user"], Span.MONTH), (["project"], Span.HOUR), (["model"], None), (["id"], Span.DAY),
])  # fmt: skip
def test_what_no_view_tells_apart_is_asked_of_the_entries(fields, longest):
    planned = plan(fields, longest, 5, None)
    assert (planned.view, planned.pieces) == (None, [Piece(None, 5, None)])


def test_an_entry_is_in_one_cell_of_each_view_and_span_whole():
    some = [
        Entry("a", 0.5, project="p", outcome=Outcome.REFUSED, tokens=Tokens(1, 2, 3, 4, 5, 6)),
        Entry("b", 3601.0, project="p", requests=1, cost_nano=-7, outcome=Outcome.REFUSED),
    ]
    micros = {"a": 500_000, "b": HOUR + 1_000_000}
    cells = cells_of(some, micros)
    assert set(cells) == {(view, span) for view in VIEWS for span in view.spans}
    models, projects, _ = VIEWS
    assert sorted(cell[0] for cell in cells[models, Span.HOUR]) == [0, HOUR]
    both = [2, 1, 2, 1, 2, 3, 4, 5, 6, -7]
    assert list(cells[models, Span.DAY].values()) == [both]
    assert cells[projects, Span.MONTH] == {(0, "", "p", "", "", Outcome.REFUSED): both}
    assert Span.DAY.next(0) == DAY
