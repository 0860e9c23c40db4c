"""Damage on request: what is still sent, and how it ends."""

from __future__ import annotations

import json

import pytest

from gateway.simulator.faults import (
    Ending,
    Script,
    error_script,
    json_script,
    stream_script,
)
from gateway.simulator.options import Behaviour, ErrorBody
from gateway.simulator.usage import Event

EVENTS = [Event({"number": number}, 1) for number in range(5)]
ANSWER = {"text": "a whole answer"}
DONE = b"data: [DONE]\n\n"


def sent(script: Script) -> bytes:
    return b"".join(write.data for write in script.writes)


def test_a_whole_stream_ends_with_done() -> None:
    script = stream_script(EVENTS, Behaviour())
    assert sent(script).startswith(b'data: {"number":0}\n\n')
    assert sent(script).endswith(b'data: {"number":4}\n\n' + DONE)
    assert script.ending is Ending.COMPLETE
    assert sum(write.tokens for write in script.writes) == 5


@pytest.mark.parametrize(
    ("behaviour", "ending"),
    [
        (Behaviour(disconnect_after_chunks=2), Ending.CUT),
        (Behaviour(hang_after_chunks=2), Ending.HANG),
    ],
)
def test_a_broken_stream_keeps_its_first_events(behaviour: Behaviour, ending: Ending) -> None:
    script = stream_script(EVENTS, behaviour)
    assert sent(script) == b'data: {"number":0}\n\ndata: {"number":1}\n\n'
    assert script.ending is ending


def test_a_stream_can_break_before_its_first_event() -> None:
    script = stream_script(EVENTS, Behaviour(disconnect_after_chunks=0))
    assert (sent(script), script.ending) == (b"", Ending.CUT)


def test_an_error_can_be_the_last_event() -> None:
    script = stream_script(EVENTS, Behaviour(error_after_chunks=1))
    last = script.writes[-1].data.removeprefix(b"data: ")
    assert set(json.loads(last)["error"]) == {"message", "type", "param", "code"}
    assert DONE not in sent(script)


def test_half_an_event_is_the_end() -> None:
    script = stream_script(EVENTS, Behaviour(half_event=True))
    assert sent(script).endswith(b'data: {"number":1}\n\ndata: {"nu')
    assert script.ending is Ending.COMPLETE


def test_garbage_stands_between_good_events() -> None:
    data = sent(stream_script(EVENTS, Behaviour(garbage=True)))
    assert b"oops" in data
    assert data.endswith(b'data: {"number":4}\n\n' + DONE)
    with pytest.raises(UnicodeDecodeError):
        data.decode()


def test_a_json_answer_promises_its_length() -> None:
    script = json_script(ANSWER, 3, Behaviour())
    assert json.loads(sent(script)) == ANSWER
    assert script.length == len(sent(script))
    assert script.writes[0].tokens == 3


@pytest.mark.parametrize(
    ("behaviour", "ending", "promises_more"),
    [
        (Behaviour(disconnect_after_chunks=0), Ending.CUT, True),
        (Behaviour(hang_after_chunks=0), Ending.HANG, True),
        (Behaviour(half_event=True), Ending.COMPLETE, False),
    ],
)
def test_a_broken_json_answer_is_its_first_half(
    behaviour: Behaviour, ending: Ending, promises_more: bool
) -> None:
    script = json_script(ANSWER, 3, behaviour)
    assert json.dumps(ANSWER, separators=(",", ":")).encode().startswith(sent(script))
    assert script.ending is ending
    assert script.length is not None
    assert (script.length > len(sent(script))) == promises_more


def test_garbage_instead_of_json_is_no_json() -> None:
    with pytest.raises(ValueError):
        json.loads(sent(json_script(ANSWER, 3, Behaviour(garbage=True))))


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_an_error_has_its_status_and_all_four_fields(status: int) -> None:
    script = error_script(Behaviour(error=status), status)
    assert script.status == status
    assert set(json.loads(sent(script))["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (ErrorBody.HTML, "text/html"),
        (ErrorBody.TEXT, "text/plain"),
        (ErrorBody.EMPTY, "text/plain"),
    ],
)
def test_an_error_can_have_a_body_that_is_no_json(body: ErrorBody, content_type: str) -> None:
    script = error_script(Behaviour(error_body=body), 502)
    assert script.content_type == content_type
    assert script.length == len(sent(script))
    with pytest.raises(ValueError):
        json.loads(sent(script))


def test_an_error_can_say_when_to_come_back() -> None:
    script = error_script(Behaviour(retry_after_seconds=2.5), 429)
    assert script.headers == (("retry-after", "2.5"),)
