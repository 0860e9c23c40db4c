"""The sentence as a whole: what leaves, what comes back, and one entry whatever happens."""

from __future__ import annotations

import asyncio
import json

import pytest
from world import POLICY, World, chat, events, plain_answer

from gateway.call import Call
from gateway.cohort import COHORT_MIN
from gateway.errors import (
    ApiError,
    BadRequest,
    ClientLeft,
    LimitReached,
    NotAllowed,
    NotFound,
    TextBlocked,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamFailed,
    UpstreamTooSlow,
)
from gateway.exchange import exchange
from gateway.keys.key import Role
from gateway.usage.entry import Outcome, Source

USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}


async def through(world: World, call: Call) -> bytes:
    async with exchange(call, world.parts) as answer:
        return b"".join([piece async for piece in answer.pieces()])


def run(world: World, call: Call) -> bytes:
    return asyncio.run(through(world, call))


def text_of(stream: bytes) -> str:
    data = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"] for each in data for choice in json.loads(each)["choices"]]
    return "".join(delta.get("content", "") for delta in deltas)


def test_private_text_leaves_as_a_placeholder_and_comes_back_as_itself() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("")]
    run(world, world.call(chat("mail ann@example.com")))
    (sent,) = world.upstream.received
    left = sent["messages"][0]["content"]
    assert "ann@example.com" not in left
    world.upstream.pieces = [plain_answer(f"done: {left}", USAGE)]
    body = run(world, world.call(chat("mail ann@example.com")))
    assert json.loads(body)["choices"][0]["message"]["content"] == "done: mail ann@example.com"


def test_a_stream_is_restored_across_its_pieces() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("")]
    run(world, world.call(chat("ann@example.com")))
    left = world.upstream.received[0]["messages"][0]["content"]
    world.upstream.content_type = "text/event-stream"
    world.upstream.pieces = events(*left, usage=USAGE)
    stream = run(world, world.call(chat("ann@example.com", stream=True)))
    assert text_of(stream) == "ann@example.com"
    assert world.journal.entries[-1].stream


def test_what_was_used_is_in_the_entry_and_nothing_stays_reserved() -> None:
    world = World()
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    run(world, world.call(chat(user="u-1")))
    (entry,) = world.journal.entries
    assert (entry.outcome, entry.status, entry.source) == (Outcome.OK, 200, Source.PROVIDER)
    assert (entry.tokens.input, entry.tokens.output) == (8, 3)
    assert entry.cost_nano == 8 * 1000 + 3 * 2000
    assert (entry.organization, entry.project, entry.end_user) == ("acme", "demo", "u-1")
    assert (entry.model, entry.served_model, entry.upstream) == ("echo", "echo-1", "provider")
    assert entry.policy_digest == world.parts.policies.current.digest
    assert asyncio.run(world.reserved()) == 0
    assert world.parts.state.inflight == 0


def test_the_cap_that_was_reserved_is_sent_and_the_usage_asked_for() -> None:
    world = World()
    world.upstream.content_type = "text/event-stream"
    world.upstream.pieces = events("ok")
    run(world, world.call(chat(stream=True)))
    (sent,) = world.upstream.received
    assert sent["max_completion_tokens"] == 10
    assert sent["stream_options"] == {"include_usage": True}


def test_a_request_keeps_the_policy_that_it_began_with() -> None:
    world = World()
    began = world.parts.policies.current.digest
    other = World(policy=b"# another\n" + POLICY).parts.policies.current
    world.upstream.pieces = [plain_answer("ok")]
    call = world.call(chat())

    async def read_body() -> bytes:
        world.parts.policies.replace(other)
        return json.dumps(chat()).encode()

    swapped = Call(
        call.id, call.now, call.endpoint, None, call.headers, read_body, call.caller_left
    )
    run(world, swapped)
    assert other.digest != began
    assert world.journal.entries[-1].policy_digest == began


REFUSED = {
    "wrong key": (lambda w: w.call(chat(), key="sk-x"), Unauthenticated, 401),
    "admin key": (lambda w: w.call(chat(), key=w.new_key("", Role.ADMIN)), NotAllowed, 403),
    "not JSON": (lambda w: w.call(b"{"), BadRequest, 400),
    "unknown model": (lambda w: w.call(chat() | {"model": "no"}), NotFound, 404),
    "endpoint scope": (
        lambda w: w.call(chat(), key=w.new_key(endpoints=("models",))),
        NotAllowed,
        403,
    ),
    "cap over the model's": (lambda w: w.call(chat(max_tokens=101)), BadRequest, 400),
    "blocked": (lambda w: w.call(chat("BEGIN PRIVATE KEY")), TextBlocked, 400),
    "body too large": (lambda w: w.call(TooLarge("too large")), TooLarge, 413),
}


@pytest.mark.parametrize(("call", "error", "status"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_an_entry_and_nothing_leaves(call, error, status) -> None:
    world = World()
    with pytest.raises(error):
        run(world, call(world))
    (entry,) = world.journal.entries
    assert (entry.outcome, entry.status, entry.requests) == (Outcome.REFUSED, status, 0)
    assert world.upstream.received == []
    assert asyncio.run(world.reserved()) == 0


def test_blocked_text_is_counted_in_the_entry() -> None:
    world = World()
    with pytest.raises(TextBlocked):
        run(world, world.call(chat("BEGIN PRIVATE KEY")))
    assert world.journal.entries[0].redactions == {"PRIVATE_KEY:block": 1}


def test_a_detector_that_fails_refuses() -> None:
    world = World()
    world.detector.broken = True
    with pytest.raises(Unavailable) as refusal:
        run(world, world.call(chat("hi")))
    assert refusal.value.code == "redaction_failed"
    assert world.upstream.received == []


def test_a_full_journal_and_a_full_house_refuse() -> None:
    world = World(requests_max=1)
    for code, change in {
        "journal_full": lambda on: setattr(world.journal, "full", on),
        "overloaded": lambda on: setattr(world.parts.state, "inflight", int(on)),
    }.items():
        change(True)
        with pytest.raises(Unavailable) as refusal:
            run(world, world.call(chat()))
        assert refusal.value.code == code
        change(False)
    assert [entry.code for entry in world.journal.entries] == ["overloaded"]
    assert world.parts.meters.entries_dropped._value.get() == 1


def test_who_has_not_heard_of_a_drain_is_still_served() -> None:
    world = World()
    world.parts.state.draining = True
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    run(world, world.call(chat()))
    assert world.journal.entries[0].status == 200


WITH_NER = POLICY.replace(
    b"redaction:\n  standard: {",
    b"ner: {small: {kind: spacy, model: none}}\nredaction:\n  standard: {ner: small, ",
)


@pytest.mark.parametrize(
    ("policy", "text"), [(POLICY, "word " * 1000), (WITH_NER, "hi")], ids=["large", "with NER"]
)
def test_a_costly_sixth_request_of_five_a_minute_is_refused_before_its_text_is_looked_at(
    policy: bytes, text: str
) -> None:
    world = World(policy)
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    for _ in range(5):
        run(world, world.call(chat()))
    world.detector.broken = True
    with pytest.raises(LimitReached) as refusal:
        run(world, world.call(chat(text)))
    assert "rate" in refusal.value.message
    assert world.journal.entries[-1].status == 429
    assert (
        world.metered(
            "gateway_limit_decisions_total", organization="acme", limit="rate", decision="refused"
        )
        == 1
    )


FAILURES = {
    "no connection": ([UpstreamFailed("no", code="upstream_unreachable")], Outcome.UPSTREAM_ERROR),
    "too slow": ([UpstreamTooSlow("no", code="upstream_timeout")], Outcome.TIMEOUT),
    "not JSON": ([b"<html>"], Outcome.UPSTREAM_ERROR),
}


@pytest.mark.parametrize(("pieces", "outcome"), FAILURES.values(), ids=FAILURES)
def test_a_failing_upstream_is_an_entry_and_gives_the_reservation_back(pieces, outcome) -> None:
    world = World()
    world.upstream.pieces = pieces
    with pytest.raises(ApiError):
        run(world, world.call(chat()))
    (entry,) = world.journal.entries
    assert entry.outcome is outcome
    assert asyncio.run(world.reserved()) == 0
    assert world.upstream.open == 0


def test_a_caller_that_leaves_inside_its_body_is_an_entry() -> None:
    world = World()
    with pytest.raises(ClientLeft):
        run(world, world.call(ClientLeft()))
    (entry,) = world.journal.entries
    assert (entry.outcome, entry.status) == (Outcome.CLIENT_LEFT, 499)


def steps_until_done(world: World, call: Call, cancel_at: int) -> bool:
    """Run the exchange and cancel it after so many turns of the event loop; whether it was."""

    async def main() -> bool:
        task = asyncio.create_task(through(world, call))
        for _ in range(cancel_at):
            await asyncio.sleep(0)
            if task.done():
                break
        cancelled = task.cancel()
        await asyncio.wait([task])
        return cancelled

    return asyncio.run(main())


@pytest.mark.parametrize("beside", [0, COHORT_MIN])
@pytest.mark.parametrize("stream", [False, True])
def test_whenever_a_caller_leaves_there_is_one_entry_and_nothing_reserved(
    stream: bool, beside: int
) -> None:
    """Cancelled after each turn of the event loop, from the first to the last of an exchange, which
    has more of them where other requests are in work."""
    outcomes = set()
    for cancel_at in range(1, 200):
        world = World()
        world.parts.state.inflight = beside
        if stream:
            world.upstream.content_type = "text/event-stream"
            world.upstream.pieces = events("one ", "two ", "three", usage=USAGE)
        else:
            world.upstream.pieces = [plain_answer("one two three", USAGE)]
        call = world.call(chat("ann@example.com", stream=stream), left=True)
        cancelled = steps_until_done(world, call, cancel_at)
        assert len(world.journal.entries) == 1, cancel_at
        (entry,) = world.journal.entries
        outcomes.add(entry.outcome)
        counted = world.metered(
            "gateway_requests_total",
            route="chat",
            model=entry.model or "other",
            status=str(entry.status),
            outcome=entry.outcome.value,
        )
        assert counted == 1, cancel_at
        ratio = world.metered(
            "gateway_limit_used_ratio", organization="acme", project="", limit="budget"
        )
        assert (ratio or 0) == entry.cost_nano / 10**9, cancel_at
        assert asyncio.run(world.reserved()) == 0, cancel_at
        assert world.parts.state.inflight == beside
        assert world.upstream.open == 0
        if world.upstream.received and entry.outcome is Outcome.CLIENT_LEFT:
            assert entry.requests == 1
            assert entry.tokens.input > 0
        if not cancelled:
            break
    else:
        pytest.fail("the exchange never ended")
    assert outcomes == {Outcome.CLIENT_LEFT, Outcome.OK}
