"""A log line is one JSON object; nothing that a caller sent can get into it."""

import io
import json
import logging

from gateway.logs import LibraryLog, build_log, place_of, request_fields
from gateway.usage.entry import Entry, Source, Tokens


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
