"""A log line is one JSON object; nothing that a caller sent can get into it."""

import ast
import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.logs.fields import FIELDS, cleaned
from gateway.logs.log import LibraryLog, build_log, log_everything_else, place_of, request_fields
from gateway.logs.secret_values import secret_values
from gateway.settings import Settings
from gateway.usage.entry import Entry, Outcome, Source, Tokens

GATEWAY = Path(__file__).parents[2] / "gateway"
SERVED = Entry("req_1", 0.0, outcome=Outcome.OK, status=200, duration_ms=50)


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object_with_its_level_and_time() -> None:
    stream = io.StringIO()
    build_log("info", stream).warning("started", text="zwei\nZeilen")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["text"]) == ("started", "warning", "zwei\nZeilen")
    assert line["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    log = build_log("warning", stream)
    log.info("request")
    log.error("failed")
    assert [line["event"] for line in lines(stream)] == ["failed"]


def test_the_line_of_a_request_has_what_operators_filter_by() -> None:
    entry = Entry("req_1", 0.0, tokens=Tokens(3, 0, 2, 0), source=Source.PROVIDER, first_token_ms=7)
    fields = request_fields(entry, 1.23456)
    assert fields["request_id"] == "req_1"
    assert (fields["input_tokens"], fields["output_tokens"], fields["ttft_ms"]) == (3, 2, 7)
    assert fields["overhead_ms"] == 1.235
    json.dumps(fields)


def test_a_failure_is_told_by_its_place_and_not_by_its_message() -> None:
    try:
        raise ValueError("4111 1111 1111 1111")
    except ValueError as error:
        told = place_of(error)
    assert told["exception"] == "ValueError"
    assert "test_logs.py" in told["where"][0]
    assert "4111" not in json.dumps(told)


def test_a_librarys_line_has_its_place_and_not_its_words() -> None:
    stream = io.StringIO()
    logger = logging.Logger("library")
    logger.addHandler(LibraryLog(build_log("info", stream)))
    logger.warning(f"cannot send {4111} %s", "ann@example.com", exc_info=ValueError("secret"))
    logger.info("sent")
    (line,) = lines(stream)
    assert (line["logger"], line["exception"]) == ("library", "ValueError")
    assert "test_logs.py" in line["said_at"]
    for text in ("4111", "ann@example.com", "secret"):
        assert text not in stream.getvalue()


def test_our_own_words_are_passed_on() -> None:
    stream = io.StringIO()
    logger = logging.Logger("gateway.journal")
    logger.addHandler(LibraryLog(build_log("info", stream)))
    logger.warning("Usage cannot be written now: %s", "locked")
    assert lines(stream)[0]["text"] == "Usage cannot be written now: locked"


def test_a_stream_that_breaks_decides_nothing() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    build_log("info", Broken()).info("request")


def test_a_field_that_is_not_listed_or_of_another_kind_is_left_out_and_named() -> None:
    line = {
        "event": "failed",
        "prompt": "my secret",
        "model": {"my": "secret"},
        "status": "secret",
        "code": "x" * 501,
        "where": ["a.py:1 f", 5],
        "redactions": {"EMAIL": "secret"},
        "count": 3,
    }
    kept = cleaned(line, ())
    left_out = ["prompt", "model", "status", "code", "where", "redactions"]
    assert kept == {"event": "failed", "count": 3, "left_out": left_out}


def test_a_sentence_that_quotes_a_secret_of_this_process_has_a_blot_there() -> None:
    stream = io.StringIO()
    environ = {
        "ACME_API_KEY": "sk-upstream-77",
        "DATABASE": "postgresql://me:hunter%4022@host/db",
        "SHORT_KEY": "ab",
    }
    secrets = secret_values(Settings(pepper="a pepper of 32 letters and more"), environ)
    log = build_log("info", stream, secrets=secrets)
    log.error(
        "x", text="sk-upstream-77, hunter%4022, hunter@22, a pepper of 32 letters and more, ab"
    )
    assert lines(stream)[0]["text"] == "***, ***, ***, ***, ab"


def test_every_field_that_the_code_logs_is_one_that_a_line_can_hold() -> None:
    """So that none is left out in earnest. Fields that are put together elsewhere are those of
    place_of, request_fields and subjects of limits."""
    logged = {
        (path.name, node.lineno, keyword.arg)
        for path in GATEWAY.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("info", "warning", "error")
        and "log" in ast.unparse(node.func.value).split(".")[-1].lower().replace("_log()", "")
        for keyword in node.keywords
        if keyword.arg and keyword.arg != "exc_info"
    }
    assert len(logged) > 20
    assert sorted(one for one in logged if one[2] not in FIELDS) == []
    for name in (*request_fields(SERVED, 0.0), *place_of(ValueError()), "organization", "key"):
        assert name in FIELDS


def test_the_line_of_a_request_holds_nothing_that_would_be_left_out() -> None:
    line = {"event": "request", **request_fields(SERVED, 0.5)}
    assert cleaned(line, ()) == line


def sampled(entries: list[Entry], share: float = 0.1) -> list[dict]:
    stream = io.StringIO()
    log = build_log("info", stream, sample=share, slow_seconds=1.0)
    for entry in entries:
        log.info("request", **request_fields(entry, 0.0))
    return lines(stream)


def test_a_share_of_what_went_well_has_its_line_and_the_line_says_which_share() -> None:
    entries = [replace(SERVED, id=f"req_{number}") for number in range(2000)]
    written = sampled(entries)
    assert {line["sampled"] for line in written} == {0.1}
    assert 140 < len(written) < 260
    assert sum(1 / line["sampled"] for line in written) == pytest.approx(2000, rel=0.3)
    again = sampled(list(reversed(entries)))
    assert {line["request_id"] for line in again} == {line["request_id"] for line in written}
    assert sampled(entries, share=0.0) == []
    assert len(sampled(entries[:50], share=1.0)) == 50


@pytest.mark.parametrize(
    "entry",
    [
        replace(SERVED, outcome=Outcome.REFUSED, status=429),
        replace(SERVED, outcome=Outcome.FAILED, status=502),
        replace(SERVED, outcome=Outcome.CLIENT_LEFT, status=200),
        replace(SERVED, duration_ms=1000),
    ],
)
def test_what_did_not_go_well_or_was_slow_always_has_its_line(entry: Entry) -> None:
    assert [line["sampled"] for line in sampled([entry], share=0.0)] == [1.0]


def test_other_lines_are_not_sampled() -> None:
    stream = io.StringIO()
    build_log("info", stream, sample=0.0).info("started")
    assert [line["event"] for line in lines(stream)] == ["started"]


def test_whatever_nobody_caught_is_a_line_without_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a task, in a thread, in a finalizer, at the end of the program; and warnings."""
    for owner, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    stream, root = io.StringIO(), logging.getLogger()
    before = list(root.handlers)
    log_everything_else(build_log("debug", stream))
    try:
        asyncio.run(leave_a_task())
        gc.collect()
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        Unfinished()
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("4111", stacklevel=1)
        error = ValueError("4111")
        sys.excepthook(ValueError, error, None)
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
    written = lines(stream)
    assert [line.get("exception") for line in written] == ["ValueError"] * 3 + [None, "ValueError"]
    assert [line["event"] for line in written] == [
        "library",
        *["uncaught"] * 2,
        "library",
        "uncaught",
    ]
    assert "4111" not in stream.getvalue()


async def leave_a_task() -> None:
    async def failing() -> None:
        fail()

    asyncio.create_task(failing())  # noqa: RUF006
    await asyncio.sleep(0)


def fail() -> None:
    raise ValueError("4111")


class Unfinished:
    def __del__(self) -> None:
        fail()
