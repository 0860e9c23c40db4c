"""Answers as playbooks: what an upstream said, in pieces, and what the caller got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.answer import Answer
from gateway.errors import ApiError, Unavailable, UpstreamFailed, UpstreamTooSlow
from gateway.forward import Headers, Reply
from gateway.openai.usage import Told
from gateway.privacy.mint import Vault

MAIL, CARD = "EMAIL_ADDRESS_ABCDEFGH", "CREDIT_CARD_QRSTUVWX"
VALUES = {MAIL: 'ann "a"@example.com', CARD: "4111 1111 1111 1111"}
EMPTY, FULL = Vault(), Vault(VALUES)
KEY = "sk-upstream-0123456789"
SSE: Headers = [("content-type", "text/event-stream; charset=utf-8")]
JSON: Headers = [("content-type", "application/json")]
HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-x"}
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
TOLD = Told(9, 0, 2, 0)


def sse(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"


def chunk(
    delta: dict[str, Any] | None, finish: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **more}


def said(text: str, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    return sse(chunk({"content": text}, finish, index, **more))


def call(arguments: str, index: int = 0, **more: Any) -> bytes:
    fragment = {"index": index, **more, "function": {"arguments": arguments}}
    return sse(chunk({"tool_calls": [fragment]}))


def end(index: int = 0, **more: Any) -> bytes:
    return sse(chunk({}, "stop", index, **more))


@dataclass
class Played:
    answer: Answer
    sent: list[bytes] = field(default_factory=list)
    error: ApiError | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.sent)

    def events(self) -> list[Any]:
        lines = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [json.loads(line) for line in lines if line != b"[DONE]"]

    def content(self, index: int = 0) -> str:
        """What a client puts together."""
        return "".join(
            choice["delta"].get("content") or ""
            for event in self.events()
            for choice in event.get("choices", ())
            if choice["index"] == index
        )


def answer_of(reply: Reply, **how: Any) -> Answer:
    defaults: dict[str, Any] = {
        "wants_usage": False,
        "content_is_json": False,
        "vault": EMPTY,
        "answer_bytes_max": 100_000,
        "upstream_key": KEY,
    }
    return Answer(reply, **(defaults | how))


def play(
    pieces: Sequence[bytes | ApiError], headers: Headers = SSE, status: int = 200, **how: Any
) -> Played:
    """All of an exchange: begin, then every piece, then perhaps an error."""

    async def received() -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, ApiError):
                raise piece
            yield piece

    async def main() -> Played:
        played = Played(answer_of(Reply(status, headers, received()), **how))
        try:
            await played.answer.begin()
            async for piece in played.answer.pieces():
                played.sent.append(piece)
        except ApiError as error:
            played.error = error
        return played

    return asyncio.run(main())


def broken() -> UpstreamFailed:
    return UpstreamFailed("It broke.", code="upstream_unreachable")


# Usage: asked of every upstream, told to the callers that asked.

ROLE, HI, STOP = sse(chunk({"role": "assistant"})), said("hi"), end()
LAST = sse({**HEAD, "choices": [], "usage": USAGE})
WITH_USAGE = {
    "in a chunk of its own": ([ROLE, HI, STOP, LAST, DONE], [ROLE, HI, STOP, DONE]),
    "in a chunk of its own, nulls before": (
        [said("hi", usage=None), end(usage=None), LAST, DONE],
        [said("hi", usage=None), end(usage=None), DONE],
    ),
    "with the last choices": ([HI, end(usage=USAGE), DONE], [HI, STOP, DONE]),
    "in every chunk": (
        [
            said("h", usage={"prompt_tokens": 9, "completion_tokens": 1}),
            said("i", usage=USAGE),
            end(usage=USAGE),
            DONE,
        ],
        [said("h"), said("i"), STOP, DONE],
    ),
    "first, then never again": ([said("hi", usage=USAGE), STOP, DONE], [HI, STOP, DONE]),
    "twice at the end": ([HI, end(usage=USAGE), LAST, DONE], [HI, STOP, DONE]),
    "without [DONE]": ([HI, STOP, LAST], [HI, STOP]),
    "last, and nonsense": (
        [HI, end(usage=USAGE), sse({**HEAD, "choices": [], "usage": {"prompt_tokens": -1}}), DONE],
        [HI, STOP, DONE],
    ),
}


@pytest.mark.parametrize(("received", "sent"), WITH_USAGE.values(), ids=WITH_USAGE)
def test_usage_is_seen_and_taken_out_if_the_caller_did_not_ask(
    received: list[bytes], sent: list[bytes]
) -> None:
    played = play(received)
    assert played.sent == sent
    assert (played.answer.told, played.answer.complete, played.error) == (TOLD, True, None)


@pytest.mark.parametrize("received", [case[0] for case in WITH_USAGE.values()], ids=WITH_USAGE)
def test_usage_passes_as_it_is_to_a_caller_that_asked(received: list[bytes]) -> None:
    played = play(received, wants_usage=True)
    assert played.sent == received
    assert played.answer.told == TOLD


def test_no_usage_at_all_is_told_as_none() -> None:
    played = play([HI, STOP, DONE])
    assert played.sent == [HI, STOP, DONE]
    assert played.answer.told is None


def test_an_empty_choices_list_without_usage_passes() -> None:
    first = sse({**HEAD, "choices": [], "prompt_filter_results": []})
    assert play([first, HI, STOP, DONE]).sent == [first, HI, STOP, DONE]


# What is not ours to touch.


@pytest.mark.parametrize("vault", [EMPTY, FULL], ids=["empty vault", "full vault"])
@pytest.mark.parametrize(
    "event",
    [
        b'data:{"id" : 1.50, "choices":[ ]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\u6211"}}],"n":1e2}\n\n',
        b'event: x\nid: 1\ndata: {"type":"ping","big":12345678901234567890123}\n\n',
        b": keep-alive\n\n",
        b"data: not json\n\n",
        b"data: [1, 2]\n\n",
        b"data: \n\n",
        b'data: {"choices":[{"index":0,"delta":{"content":null}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
        b'data: {"choices":{"index":0},"usage":7}\n\n',
    ],
)
def test_an_event_without_placeholder_and_usage_passes_byte_by_byte(
    vault: Vault, event: bytes
) -> None:
    assert play([event, STOP, DONE], vault=vault).sent == [event, STOP, DONE]


def test_line_ends_are_made_uniform() -> None:
    crlf = [event.replace(b"\n", b"\r\n") for event in (HI, STOP, DONE)]
    assert play(crlf).sent == [HI, STOP, DONE]


def test_numbers_and_unknown_fields_survive_a_change_of_the_event() -> None:
    text = (
        '{"id":"c","big":12345678901234567890123,"f":[0.1,-0.00020256353,1e+300],'
        '"s":"\\ud83d","x":{"y":null},"choices":[{"index":0,"delta":{"content":"%s"},"z":true}]}'
    )
    (changed, *_) = play([b"data: %s\n\n" % (text % (MAIL + " ")).encode()], vault=FULL).sent
    restored = text % json.dumps(VALUES[MAIL] + " ")[1:-1]
    assert changed.decode() == f"data: {restored}\n\n"


# Values put back.


def test_a_placeholder_in_one_event_comes_back() -> None:
    played = play([said(f"to {MAIL}, now"), STOP, DONE], vault=FULL)
    assert played.sent == [said(f"to {VALUES[MAIL]}, now"), STOP, DONE]
    assert played.answer.output_text == [f"to {MAIL}, now"]


@pytest.mark.parametrize("at", range(len(MAIL) + 1))
def test_a_placeholder_cut_anywhere_comes_back(at: int) -> None:
    received = [said("to " + MAIL[:at]), said(MAIL[at:] + "!"), STOP, DONE]
    assert play(received, vault=FULL).content() == f"to {VALUES[MAIL]}!"


def test_a_placeholder_in_single_characters_comes_back() -> None:
    received = [said(character) for character in f"{MAIL} {CARD}."]
    played = play([*received, STOP, DONE], vault=FULL)
    assert played.content() == f"{VALUES[MAIL]} {VALUES[CARD]}."


def test_an_empty_vault_holds_nothing_back() -> None:
    received = [said(character) for character in MAIL]
    assert play([*received, STOP, DONE]).sent == [*received, STOP, DONE]


HELD = CARD[:-1]  # not a placeholder yet


def test_what_is_held_back_goes_out_before_the_choice_is_finished() -> None:
    played = play([said("a " + HELD), STOP, DONE], vault=FULL)
    assert played.sent == [said("a "), said(HELD) + STOP, DONE]


def test_what_is_held_back_goes_out_with_text_that_comes_with_the_end() -> None:
    played = play([said("a " + CARD[:5]), said(CARD[5:], "stop"), DONE], vault=FULL)
    assert played.sent == [said("a "), said(VALUES[CARD], "stop"), DONE]


def test_what_is_held_back_goes_out_at_done() -> None:
    assert play([said("a " + HELD), DONE], vault=FULL).sent == [said("a "), said(HELD) + DONE]


def test_what_is_held_back_goes_out_at_the_end_without_done() -> None:
    played = play([said("a " + HELD)], vault=FULL)
    assert played.sent == [said("a "), said(HELD)]
    assert (played.answer.complete, played.error) == (False, None)


def test_what_is_held_back_goes_out_before_an_error() -> None:
    error = sse({"error": {"message": f"no {MAIL}", "type": "server_error"}})
    played = play([said("a " + HELD), error, DONE], vault=FULL)
    restored = sse({"error": {"message": f"no {VALUES[MAIL]}", "type": "server_error"}})
    assert played.sent == [said("a "), said(HELD) + restored, DONE]
    assert not played.answer.complete


def test_choices_do_not_get_each_others_text() -> None:
    first = [said(MAIL[:6]), said(CARD[:4], index=1), said(MAIL[6:])]
    played = play([*first, end(0), said(CARD[4:], index=1), end(1), DONE], vault=FULL)
    assert played.content(0) == VALUES[MAIL]
    assert played.content(1) == VALUES[CARD]
    assert played.answer.complete
    assert played.answer.output_text == [MAIL, CARD]


def test_the_end_of_one_choice_leaves_the_others_held_back() -> None:
    received = [said(HELD, index=0), said(HELD, index=1), end(index=0), DONE]
    sent = play(received, vault=FULL).sent
    assert sent[2:] == [said(HELD) + end(), said(HELD, index=1) + DONE]


def test_arguments_of_a_tool_call_come_back_as_good_json() -> None:
    arguments = json.dumps({"to": MAIL, "cc": [CARD]})
    first = call("", id="call_1", type="function")
    received = [first, *(call(character) for character in arguments)]
    finish = sse(chunk({}, "tool_calls"))
    played = play([*received, finish, DONE], vault=FULL)
    assert played.sent[0] == first
    deltas = [event["choices"][0]["delta"] for event in played.events()[:-1]]
    together = [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas]
    assert json.loads("".join(together)) == {"to": VALUES[MAIL], "cc": [VALUES[CARD]]}


def test_held_back_arguments_go_out_to_their_own_call_without_saying_its_name_again() -> None:
    received = [
        call(MAIL[:6], index=0, id="call_1", type="function"),
        call(CARD[:5], index=1, id="call_2", type="function"),
        sse(chunk({}, "tool_calls")),
    ]
    sent = play(received, vault=FULL).sent
    assert sent[:2] == [
        call("", index=0, id="call_1", type="function"),
        call("", index=1, id="call_2", type="function"),
    ]
    assert sent[2] == call(MAIL[:6], index=0) + call(CARD[:5], index=1) + received[2]


def test_content_that_is_json_comes_back_as_good_json() -> None:
    pieces = [said(character) for character in json.dumps({"a": MAIL})]
    played = play([*pieces, STOP, DONE], vault=FULL, content_is_json=True)
    assert json.loads(played.content()) == {"a": VALUES[MAIL]}


def test_legacy_completions_come_back() -> None:
    def text(value: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": value, "finish_reason": finish}
        return sse({"id": "cmpl-1", "object": "text_completion", "choices": [choice]})

    received = [text("to " + MAIL[:9]), text(f"{MAIL[9:]} {HELD}"), text("", "stop"), DONE]
    assert play(received, vault=FULL).sent == [
        text("to "), text(VALUES[MAIL] + " "), text(HELD, "stop"), DONE]  # fmt: skip


def test_an_event_that_is_not_json_is_a_text_of_its_own() -> None:
    received = [f"data: {MAIL}\ndata: b\n\n".encode(), f"data: {HELD}\n\n".encode(), DONE]
    sent = play(received, vault=FULL).sent
    assert sent == [f"data: {VALUES[MAIL]}\ndata: b\n\n".encode(), *received[1:]]


# Streams that end otherwise.


def test_without_done_a_stream_is_complete_if_all_its_choices_are_finished() -> None:
    assert play([HI, STOP]).answer.complete
    assert not play([HI, said("x", index=1), end(index=1)]).answer.complete


def test_done_without_its_blank_line_is_done() -> None:
    played = play([HI, STOP, b"data: [DONE]"])
    assert played.sent == [HI, STOP, DONE]
    assert played.answer.complete


def test_after_done_nothing_is_sent_but_the_upstream_is_read_to_its_end() -> None:
    seen: list[bytes] = []

    class Pieces(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            for piece in super().__iter__():
                yield piece
                seen.append(piece)

    played = play(Pieces([HI, STOP, DONE + HI, HI]))
    assert played.sent == [HI, STOP, DONE]
    assert seen == [HI, STOP, DONE + HI, HI]


def test_a_failure_after_done_is_none() -> None:
    played = play([HI, STOP, DONE, broken()])
    assert played.sent == [HI, STOP, DONE]
    assert (played.answer.complete, played.error) == (True, None)


def test_an_upstream_that_hangs_after_done_does_not_hold_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.answer.DRAIN_SECONDS", 0.01)

    async def received() -> AsyncIterator[bytes]:
        yield HI + STOP + DONE
        await asyncio.Event().wait()

    async def main() -> list[bytes]:
        answer = answer_of(Reply(200, SSE, received()))
        await answer.begin()
        return [piece async for piece in answer.pieces()]

    assert asyncio.run(main()) == [HI + STOP + DONE]


@pytest.mark.parametrize(
    "failure", [broken(), UpstreamTooSlow("Late.", code="upstream_timeout")], ids=repr
)
def test_a_failure_on_the_way_is_told_after_what_was_held_back(failure: ApiError) -> None:
    played = play([said("a " + HELD), failure], vault=FULL)
    assert played.sent == [said("a "), said(HELD)]
    assert played.error is failure
    assert not played.answer.complete


def test_half_an_event_is_an_invalid_answer_after_what_was_held_back() -> None:
    played = play([said("a " + HELD), b'data: {"id'], vault=FULL)
    assert played.sent == [said("a "), said(HELD)]
    assert isinstance(played.error, UpstreamFailed)


def test_an_event_that_is_too_long_is_an_invalid_answer_after_those_before_it() -> None:
    played = play([ROLE, HI + said("x" * 500)], answer_bytes_max=400)
    assert played.sent == [ROLE, HI]
    assert isinstance(played.error, UpstreamFailed)


def test_text_without_an_end_is_an_invalid_answer() -> None:
    played = play([said("x" * 100) for _ in range(100)], answer_bytes_max=1000)
    assert len(played.sent) == 10
    assert isinstance(played.error, UpstreamFailed)


@pytest.mark.parametrize(
    "pieces",
    [[], [b""], [b"\n\n"], [b'data: {"id'], [broken()], [HI[:-2]], [HI + b"data: " + b"x" * 999]],
    ids=["nothing", "no bytes", "blank lines", "half", "broken", "no blank line", "too long"],
)
def test_a_failure_before_the_first_event_is_a_real_status(pieces: list[Any]) -> None:
    played = play(pieces, vault=FULL, answer_bytes_max=400)
    assert played.sent == []
    assert isinstance(played.error, UpstreamFailed)
    assert not played.answer.started


def test_facts_are_right_after_a_caller_left() -> None:
    closed: list[str] = []

    async def received() -> AsyncIterator[bytes]:
        try:
            for piece in (said("a"), said("b", usage=USAGE), said("c"), STOP, DONE):
                yield piece
        finally:
            closed.append("closed")

    async def main() -> Answer:
        reply = Reply(200, SSE, received())
        answer = answer_of(reply)
        await answer.begin()
        pieces = answer.pieces()
        assert [await anext(pieces), await anext(pieces)] == [said("a"), said("b")]
        await pieces.aclose()
        await reply.pieces.aclose()  # type: ignore[attr-defined]
        return answer

    answer = asyncio.run(main())
    assert (answer.output_text, answer.told, answer.served_model) == (["ab"], TOLD, "gpt-x")
    assert (answer.replied, answer.started, answer.complete) == (True, True, False)
    assert closed == ["closed"]


# Plain JSON, by the same way.

MESSAGE = {
    "id": "c-1",
    "model": "gpt-x",
    "choices": [{"index": 0, "message": {"content": f"to {MAIL}"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


def test_a_plain_reply_is_a_stream_of_one_piece() -> None:
    body = json.dumps(MESSAGE).encode()
    played = play([body[:9], body[9:]], JSON)
    assert played.sent == [body]
    answer = played.answer
    assert (answer.status, answer.told, answer.complete) == (200, TOLD, True)
    assert (answer.served_model, answer.output_text) == ("gpt-x", [f"to {MAIL}"])


def test_values_come_back_in_every_text_of_a_plain_reply() -> None:
    made = {"id": MAIL, "function": {"name": "f", "arguments": json.dumps({"a": MAIL})}}
    message = {"content": f"{MAIL} {HELD}", "refusal": CARD, "tool_calls": [made]}
    sent = play([json.dumps({"choices": [{"message": message}]}).encode()], JSON, vault=FULL).body
    got = json.loads(sent)["choices"][0]["message"]
    assert (got["content"], got["refusal"]) == (f"{VALUES[MAIL]} {HELD}", VALUES[CARD])
    (asked,) = got["tool_calls"]
    assert asked["id"] == MAIL
    assert json.loads(asked["function"]["arguments"]) == {"a": VALUES[MAIL]}


PLAIN_HEADERS = [("content-type", "application/json"), ("content-length", "7")]


def test_the_content_type_decides_and_not_what_was_asked() -> None:
    assert play([HI, STOP, DONE], SSE).answer.headers[0][1].startswith("text/event-stream")
    for header in ("application/json; charset=utf-8", "text/plain", "application/octet-stream"):
        played = play([b'{"a":1}'], [("content-type", header)])
        assert played.sent == [b'{"a":1}']
        assert played.answer.headers == PLAIN_HEADERS
    assert play([b'{"a":1}'], []).answer.headers == PLAIN_HEADERS


@pytest.mark.parametrize("body", [b"", b"<html>secret", b"[]", b'{"a":', b"null", b"\xff"])
def test_a_success_that_is_no_json_object_is_an_invalid_answer(body: bytes) -> None:
    for headers, replied in ((JSON, True), ([("content-type", "text/html")], False)):
        played = play([body], headers)
        assert played.error
        assert (played.error.status, played.error.code) == (502, "upstream_invalid_answer")
        assert "secret" not in played.error.message
        assert played.answer.replied is replied


def test_a_reply_that_is_too_large_is_an_invalid_answer() -> None:
    played = play([b'{"a":"', b"x" * 1000, b'"}'], JSON, answer_bytes_max=1000)
    assert isinstance(played.error, UpstreamFailed)


def test_an_error_with_status_200_is_not_complete() -> None:
    assert not play([b'{"error":{"message":"m"}}'], JSON).answer.complete
    assert not play([HI, sse({"error": "m"}), STOP, DONE]).answer.complete


# Errors and the gateway's own secrets.


def test_an_error_that_is_the_callers_passes_with_its_status_and_values() -> None:
    body = json.dumps({"error": {"message": f"bad {MAIL}", "type": "t", "hint": 1}}).encode()
    played = play([body], JSON, 400, vault=FULL)
    assert played.answer.status == 400
    message = f"bad {VALUES[MAIL]}"
    assert json.loads(played.body) == {
        "error": {"message": message, "type": "t", "param": None, "code": None, "hint": 1}
    }
    assert (played.answer.replied, played.answer.started) == (True, True)
    assert (played.answer.told, played.answer.output_text) == (None, [])


@pytest.mark.parametrize("status", [401, 403, 429])
def test_trouble_with_our_account_is_unavailable(status: int) -> None:
    played = play([b'{"error":{"message":"sk-upstream"}}'], JSON, status)
    assert isinstance(played.error, Unavailable)
    assert not played.answer.replied


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_error_in_html_is_an_invalid_answer(status: int) -> None:
    played = play([b"<html>"], [("content-type", "text/html")], status)
    assert isinstance(played.error, UpstreamFailed)
    assert not played.answer.replied


def test_our_key_is_in_no_answer() -> None:
    error = {"error": {"message": f"with {KEY}!"}}
    for played in (
        play([json.dumps(error).encode()], JSON, 400),
        play([json.dumps({"headers": {"authorization": KEY}}).encode()], JSON),
        play([HI, sse(error), DONE]),
        play([HI, f"data: {KEY}\n\n".encode(), DONE]),
    ):
        assert KEY.encode() not in played.body
        assert b"***" in played.body
    assert play([b"{}"], [*JSON, ("openai-model", KEY)]).answer.headers[1][1] == "***"


def test_a_word_that_stands_for_no_key_is_left_alone() -> None:
    assert play([b'{"a":"EMPTY"}'], JSON, upstream_key="EMPTY").body == b'{"a":"EMPTY"}'


@pytest.mark.parametrize("model", [7, None, "", "a\nb"])
def test_a_model_that_is_no_name_is_not_told(model: Any) -> None:
    played = play([sse({**HEAD, "choices": []}), sse({"model": model, "choices": []}), DONE])
    assert played.answer.served_model == "gpt-x"


# Any cut.

TEXTS = st.lists(
    st.sampled_from(
        [MAIL, CARD, MAIL[:9], CARD[3:], "EMAIL", "_", " ", "a", "我", '"', "\\", "😀", "\n"]
    ),
    max_size=12,
)


def restored(text: str) -> Any:
    whole = json.dumps({"choices": [{"text": text}]}).encode()
    return json.loads(play([whole], JSON, vault=FULL).body)["choices"][0]["text"]


@settings(deadline=None)
@given(TEXTS, st.data())
def test_any_cut_of_text_and_bytes_gives_the_same_answer(
    words: list[str], drawn: st.DataObject
) -> None:
    text = "".join(words)
    ends = drawn.draw(st.lists(st.integers(0, len(text))).map(sorted))
    deltas = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    stream = b"".join([*(said(delta, usage=USAGE) for delta in deltas), STOP, DONE])
    at = drawn.draw(st.lists(st.integers(0, len(stream))).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    whole, cut = play([stream], vault=FULL), play(pieces, vault=FULL)
    assert cut.body == whole.body
    assert cut.content() == restored(text)
    assert cut.answer.output_text == whole.answer.output_text == [text]
    assert cut.answer.told == TOLD
