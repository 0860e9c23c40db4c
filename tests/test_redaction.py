"""What a profile of redaction does in a whole exchange, beside replacing values in a request."""

import asyncio
import json
import re
from typing import Any

import pytest
from test_exchange import USAGE, run, text_of
from world import POLICY, FakeReader, World, chat, events, plain_answer

from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.cli.redact import Bench
from gateway.errors import BadRequest, TextBlocked, TooLarge
from gateway.openai.request import Request
from gateway.privacy.profile import Action, Profile, Rule
from gateway.redaction import redact_body
from gateway.settings import Settings
from gateway.usage.entry import Outcome

ENTITIES = "{EMAIL_ADDRESS: placeholder, PRIVATE_KEY: block}"


def world_with(profile: str, **settings: Any) -> World:
    standard = b"standard: {entities: " + ENTITIES.encode() + b"}"
    assert standard in POLICY
    return World(POLICY.replace(standard, f"standard: {{{profile}}}".encode()), **settings)


def sent_by(world: World, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    for body in bodies:
        world.upstream.pieces = [plain_answer("ok", USAGE)]
        run(world, world.call(body))
    return world.upstream.received


def content_of(sent: dict[str, Any], message: int = 0) -> str:
    return str(sent["messages"][message]["content"])


def test_what_the_model_writes_of_itself_is_masked_counted_and_charged() -> None:
    world = world_with(f"entities: {ENTITIES}, answer: {{EMAIL_ADDRESS: mask}}")
    world.upstream.pieces = [plain_answer("ask eve@leak.com", USAGE)]
    body = json.loads(run(world, world.call(chat("hi"))))
    assert body["choices"][0]["message"]["content"] == "ask ********"
    (entry,) = world.journal.entries
    assert entry.redactions == {"EMAIL_ADDRESS:mask:answer": 1}
    assert entry.tokens.output == 3


def test_in_a_stream_too_while_values_of_the_request_come_back() -> None:
    world = world_with(f"entities: {ENTITIES}, answer: {{EMAIL_ADDRESS: mask}}")
    (sent,) = sent_by(world, chat("mail ann@example.com"))
    left = content_of(sent)
    world.upstream.content_type = "text/event-stream"
    world.upstream.pieces = events(*f"{left} and eve@leak.com too", usage=USAGE)
    stream = run(world, world.call(chat("mail ann@example.com", stream=True)))
    assert text_of(stream) == "mail ann@example.com and ******** too"


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_request_reported_is_no_finding_of_its_answer(stream: bool) -> None:
    world = world_with("entities: {EMAIL_ADDRESS: report}, answer: {EMAIL_ADDRESS: mask}")
    says = "ask ann@example.com, not eve@leak.com, thanks"
    whole = [plain_answer(says, USAGE)]
    world.upstream.content_type = "text/event-stream" if stream else "application/json"
    world.upstream.pieces = events(*says, usage=USAGE) if stream else whole
    body = run(world, world.call(chat("mail ann@example.com", stream=stream)))
    told = text_of(body) if stream else json.loads(body)["choices"][0]["message"]["content"]
    assert told == "ask ann@example.com, not ********, thanks"
    assert world.journal.entries[-1].redactions == {
        "EMAIL_ADDRESS:report": 1,
        "EMAIL_ADDRESS:mask:answer": 1,
    }


@pytest.mark.parametrize("stream", [False, True])
def test_a_blocked_answer_is_an_error_is_not_told_and_is_charged(stream: bool) -> None:
    world = world_with(f"entities: {ENTITIES}, answer: {{EMAIL_ADDRESS: block}}")
    world.upstream.content_type = "text/event-stream" if stream else "application/json"
    whole = [plain_answer("it is eve@leak.com.", USAGE)]
    world.upstream.pieces = events(*"it is eve@leak.com.", usage=USAGE) if stream else whole
    with pytest.raises(TextBlocked) as refusal:
        run(world, world.call(chat("hi", stream=stream)))
    assert refusal.value.code == "answer_blocked"
    assert "eve" not in refusal.value.message
    (entry,) = world.journal.entries
    assert (entry.outcome, entry.code) == (Outcome.REFUSED, "answer_blocked")
    assert entry.tokens.output > 0
    assert entry.requests == 1


def test_pictures_can_be_refused() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    said = {"type": "text", "text": "hi"}
    body = chat()
    body["messages"][0]["content"] = [said, picture]
    world = world_with(f"entities: {ENTITIES}, images: refuse")
    with pytest.raises(BadRequest) as refusal:
        run(world, world.call(body))
    assert refusal.value.code == "images_refused"
    body["messages"][0]["content"] = [said]
    assert sent_by(world, body)


def test_a_note_is_told_only_where_placeholders_stand() -> None:
    world = world_with(f"entities: {ENTITIES}, note: 'Copy names such as X_ABCD2345 as they are.'")
    plain, noted = sent_by(world, chat("hi"), chat("ann@example.com"))
    assert len(plain["messages"]) == 1
    assert noted["messages"][0]["role"] == "system"
    assert content_of(noted).startswith("Copy names")
    assert content_of(noted, 1).startswith("EMAIL_ADDRESS_")


def test_placeholders_are_of_a_project_an_organization_or_a_conversation() -> None:
    first, second = chat("I am ann@example.com"), chat("Now ann@example.com")
    turn = chat("I am ann@example.com")
    turn["messages"] += [
        {"role": "assistant", "content": "Good."},
        {"role": "user", "content": "mail ann@example.com"},
    ]
    of_project = sent_by(world_with(f"entities: {ENTITIES}"), first, second)
    of_conversation = sent_by(
        world_with(f"entities: {ENTITIES}, placeholders_per: conversation"), first, second, turn
    )
    of_organization = sent_by(
        world_with(f"entities: {ENTITIES}, placeholders_per: organization"), first
    )
    names = [re.findall("EMAIL_ADDRESS_\\w+", json.dumps(sent)) for sent in of_conversation]
    assert names[0] == [names[2][0]] == [names[2][1]] != names[1]
    (project,) = {content_of(sent).split()[-1] for sent in of_project}
    assert project not in content_of(of_organization[0])


def test_a_replaced_value_comes_back_out_of_a_stream() -> None:
    world = world_with("entities: {EMAIL_ADDRESS: replace}")
    (sent,) = sent_by(world, chat("mail ann@example.com"))
    made = content_of(sent).split()[1]
    assert made.partition("@")[2].startswith("example.")
    world.upstream.content_type = "text/event-stream"
    world.upstream.pieces = events(*f"I wrote to {made}.", usage=USAGE)
    stream = run(world, world.call(chat("mail ann@example.com", stream=True)))
    assert text_of(stream) == "I wrote to ann@example.com."


def test_in_debug_mode_the_log_says_where_what_was_found_and_no_text() -> None:
    world = world_with(f"entities: {ENTITIES}", redaction_debug="on")
    body = chat("mail ann@example.com")
    body["metadata"] = [{"my secret name": "bob@example.com"}, {"user": "cat@example.com"}]
    sent_by(world, body)
    ((_, fields),) = [line for line in world.log.lines if line[0] == "redacted"]
    assert fields["found"] == 3
    assert fields["findings"][0] == {
        "place": "messages.0.content",
        "start": 5,
        "end": 20,
        "entity": "EMAIL_ADDRESS",
        "score": 1.0,
        "action": "placeholder",
    }
    places = [one["place"] for one in fields["findings"]]
    assert places[1:] == ["metadata.0.*", "metadata.1.user"]
    for private in ("ann", "bob", "secret"):
        assert private not in json.dumps(fields)


def test_it_says_so_too_where_that_is_refused_and_by_default_says_nothing() -> None:
    body = chat("ann@example.com")
    for debug, lines in (("on", 1), ("off", 0)):
        world = world_with("entities: {EMAIL_ADDRESS: block}", redaction_debug=debug)
        with pytest.raises(TextBlocked):
            run(world, world.call(body))
        assert [event for event, _ in world.log.lines].count("redacted") == lines


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_show_what_the_model_wrote_and_logit_bias_leaves_as_it_is(stream: bool) -> None:
    world = world_with(f"entities: {ENTITIES}")
    body = chat("mail ann@example.com", logprobs=True, logit_bias={"50256": -100})
    (sent,) = sent_by(world, body)
    assert sent["logit_bias"] == {"50256": -100}
    name = content_of(sent).split()[1]
    logprobs = {"content": [{"token": name, "logprob": -0.1, "bytes": [*name.encode()]}]}
    choice = {"index": 0, "logprobs": logprobs, "finish_reason": "stop"}
    key = "delta" if stream else "message"
    told = json.dumps({"choices": [choice | {key: {"content": name}}], "usage": USAGE})
    world.upstream.content_type = "text/event-stream" if stream else "application/json"
    world.upstream.pieces = [f"data: {told}\n\ndata: [DONE]\n\n" if stream else told]
    world.upstream.pieces = [str(piece).encode() for piece in world.upstream.pieces]
    answer = run(world, world.call(body | {"stream": stream})).decode()
    assert json.dumps(logprobs).replace(" ", "") in answer.replace(" ", "")
    assert "ann@example.com" in answer


def test_a_policy_that_looks_for_nothing_sends_the_body_as_it_is() -> None:
    world = world_with("entities: {}")
    (sent,) = sent_by(world, chat("mail ann@example.com"))
    assert content_of(sent) == "mail ann@example.com"
    assert world.journal.entries[0].redactions == {}


def test_too_many_texts_are_refused_where_they_would_be_looked_at() -> None:
    parts = [{"type": "text", "text": "a"} for _ in range(4)]
    body = {**chat(), "messages": [{"role": "user", "content": parts}]}
    world = world_with(f"entities: {ENTITIES}", redaction_texts_max=3)
    with pytest.raises(TooLarge, match=r"more than 3 texts.*GATEWAY_REDACTION_TEXTS_MAX"):
        sent_by(world, body)
    parts.pop()
    assert sent_by(world, body)
    assert sent_by(world_with("entities: {}", redaction_texts_max=1), body)


LED = {
    "password": ("PASSWORD", "Tr0ub4dor&3x"),
    "ssn": ("US_SSN", 123456789),
    "phone": ("PHONE_NUMBER", "5551234567"),
    "api_key": ("SECRET", "a8Fk29dkQ0zmP17x"),
    "date_of_birth": ("DATE_OF_BIRTH", "1985-03-12"),
}


async def leaving(profile: Profile, body: dict[str, Any]) -> Any:
    detector = PresidioDetector(1, Patience(60))
    await detector.warm()
    try:
        bench = Bench(detector, FakeReader(), Settings(), b"p" * 32)
        sent, _, _ = await redact_body(Request("chat", "m", body), profile, ("o", "p"), bench)
        return sent
    finally:
        await detector.aclose()


def test_a_bare_value_in_json_is_known_by_its_key() -> None:
    values = {key: value for key, (_, value) in LED.items()}
    call = {"id": "1", "function": {"name": "f", "arguments": json.dumps(values)}}
    properties = {key: {"type": "string", "default": value} for key, value in values.items()}
    function = {"name": "f", "parameters": {"properties": properties}}
    body = {
        "messages": [{"role": "assistant", "tool_calls": [call]}],
        "tools": [{"type": "function", "function": function}],
        "metadata": values,
    }
    rules = {entity: Rule(Action.HASH) for entity, _ in LED.values()}
    sent = asyncio.run(leaving(Profile("test", rules), body))
    arguments = json.loads(sent["messages"][0]["tool_calls"][0]["function"]["arguments"])
    defaults = sent["tools"][0]["function"]["parameters"]["properties"]
    for key, (entity, _) in LED.items():
        assert re.fullmatch(f"{entity}_[0-9a-f]{{16}}", arguments[key]), key
        assert arguments[key] == sent["metadata"][key] == defaults[key]["default"]
