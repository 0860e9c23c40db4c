"""Questions to the book, and its answers as rows, decimals and CSV."""

import csv
import io
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.usage.entry import Entry, Outcome, Source, Tokens
from gateway.usage.report import (
    ENTRY_COLUMNS,
    SUMS,
    QuestionError,
    Row,
    bucket_name,
    columns_by,
    csv_line,
    decimal_of,
    duration_seconds,
    entry_row,
    iso,
    moment,
    sum_columns,
    sum_row,
    with_currency,
)

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("2w", 1209600), (" 1d ", 86400),
    ("0s", 0),
])  # fmt: skip
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert duration_seconds(text) == seconds
    assert moment(text, NOW) == NOW - seconds
    assert moment(text, NOW, ahead=True) == NOW + seconds


@pytest.mark.parametrize(
    "text", ["", "7", "d", "7 d", "-7d", "1.5h", "7D", "7dd", "٣d", "9999999d"]
)
def test_what_is_no_duration_is_refused_with_what_would_be_right(text):
    with pytest.raises(QuestionError, match="as 30m, 24h, 7d or 2w"):
        duration_seconds(text)


@pytest.mark.parametrize(("text", "seconds"), [
    ("2027-01-15", 1799971200), ("2027-01-15T08:00", NOW), ("2027-01-15 08:00:00", NOW),
    ("2027-01-15T08:00Z", NOW), ("2027-01-15T09:00+01:00", NOW), ("20270115T080000Z", NOW),
])  # fmt: skip
def test_an_iso_date_is_utc_unless_it_names_a_zone(text, seconds):
    assert moment(text, 0.0) == seconds


@given(st.text())
def test_no_text_makes_a_time_stumble(text):
    for ahead in (False, True):
        with suppress(QuestionError):
            assert isinstance(moment(text, NOW, ahead=ahead), float)


@pytest.mark.parametrize("text", ["0001-01-01T00:00+23:00", "9999-12-31T23:59-23:00", "yesterday"])
def test_a_time_beyond_the_calendar_is_refused(text):
    with pytest.raises(QuestionError):
        moment(text, NOW)


def test_columns_are_read_in_order_and_once():
    assert columns_by("project, model,project,day") == ("project", "model", "day")


@pytest.mark.parametrize("text", ["", ",", "colour", "project,colour", "key_id", "id; DROP TABLE"])
def test_an_unknown_column_is_refused_with_the_known_ones(text):
    with pytest.raises(QuestionError, match="expected some of organization, project, key"):
        columns_by(text)


@pytest.mark.parametrize(("nano", "text"), [
    (0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (2_000_000_000, "2"),
    (10**21, "1000000000000"), (-1, "-0.000000001"), (100 * 10**9, "100"),
])  # fmt: skip
def test_money_is_a_plain_decimal(nano, text):
    assert decimal_of(nano) == text


@given(st.integers(-(2**53), 2**53))
def test_no_nano_unit_is_lost_in_the_decimal(nano):
    assert Decimal(decimal_of(nano)) * 10**9 == nano
    assert "E" not in decimal_of(nano)


def test_times_and_buckets_are_utc():
    assert iso(NOW + 0.1234567) == "2027-01-15T08:00:00.123Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert bucket_name("day", 1_799_971_200) == "2027-01-15"
    assert bucket_name("hour", 1_800_000_000) == "2027-01-15T08:00Z"
    assert bucket_name("minute", 1_800_000_060) == "2027-01-15T08:01Z"


def test_an_entry_is_one_flat_row():
    entry = Entry(
        id="req_1", time=NOW, organization="acme", project="demo", key_id="key_1", end_user="ada",
        model="gpt-4o", served_model="gpt-4o-2024", upstream="openai", endpoint="chat",
        stream=True, status=200, outcome=Outcome.OK, requests=1, tokens=Tokens(4, 3, 2, 1),
        source=Source.PROVIDER, cost_nano=1_250_000_000, currency="USD", duration_ms=12,
        first_token_ms=None, redactions={"EMAIL_ADDRESS:mask": 2}, policy_digest="abc",
    )  # fmt: skip
    assert entry_row(entry) == {
        "id": "req_1", "time": "2027-01-15T08:00:00.000Z", "time_unix": NOW,
        "organization": "acme", "project": "demo", "key_id": "key_1", "end_user": "ada",
        "model": "gpt-4o", "served_model": "gpt-4o-2024", "upstream": "openai",
        "endpoint": "chat", "stream": True, "status": 200, "outcome": "ok", "code": "",
        "requests": 1, "input_tokens": 4, "cached_input_tokens": 3, "output_tokens": 2,
        "reasoning_tokens": 1, "audio_input_tokens": 0, "audio_output_tokens": 0,
        "source": "provider", "cost_nano": 1_250_000_000, "cost": "1.25", "corrects": "",
        "currency": "USD", "duration_ms": 12, "first_token_ms": None,
        "redactions": {"EMAIL_ADDRESS:mask": 2}, "policy_digest": "abc",
    }  # fmt: skip
    assert tuple(entry_row(entry)) == ENTRY_COLUMNS


def test_a_sum_always_names_its_currency_and_names_it_last():
    sums = dict.fromkeys(SUMS, 1) | {"cost_nano": 2_500_000_000}
    row = sum_row({"currency": "EUR", "project": "demo"}, sums)
    assert row == {"project": "demo", **sums, "cost": "2.5", "currency": "EUR"}
    assert tuple(row) == sum_columns(("currency", "project"))


def row(project: str, currency: str, entries: int, cost_nano: int = 0) -> Row:
    sums = dict.fromkeys(SUMS, 0) | {"entries": entries, "cost_nano": cost_nano}
    return sum_row({"project": project, "currency": currency}, sums)


def test_what_has_no_currency_is_counted_beside_what_has_one():
    rows = [
        row("demo", "", 2), row("demo", "USD", 3, 5),
        row("lost", "", 1),
        row("main", "EUR", 4, 7), row("main", "USD", 1, 1),
        row("two", "", 2), row("two", "EUR", 1, 1), row("two", "USD", 1, 2),
    ]  # fmt: skip
    assert with_currency(rows, ("project",)) == [
        row("demo", "USD", 5, 5),
        row("lost", "", 1),
        row("main", "EUR", 4, 7), row("main", "USD", 1, 1),
        row("two", "EUR", 3, 1), row("two", "USD", 1, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("text", [
    "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "|x", "%x",
    "＝1", "=HYPERLINK(\"http://x\")",
])  # fmt: skip
def test_a_text_that_a_spreadsheet_would_run_is_disarmed(text):
    cell = next(
        csv.reader(
            io.StringIO(
                csv_line(
                    [text],
                ),
                newline="",
            )
        )
    )[0]
    assert cell == "'" + text


def test_csv_keeps_numbers_words_and_marks():
    line = csv_line(["a,b", 'say "hi"', 1.5, -3, True, None, {"B:mask": 1, "A:hash": 2}, "ok\0"])
    assert line == '"a,b","say ""hi""",1.5,-3,true,,A:hash=2 B:mask=1,ok\ufffd\r\n'


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_every_csv_line_can_be_read_back(texts):
    (cells,) = csv.reader(io.StringIO(csv_line(texts), newline=""))
    for cell, text in zip(cells, texts, strict=True):
        assert cell.removeprefix("'") == text.replace("\0", "\ufffd").removeprefix("'")
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
