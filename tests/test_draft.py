"""What one exchange comes to: its outcome, its status, what was used and how we know."""

import asyncio
import itertools
from types import SimpleNamespace

import pytest

from gateway.call import Call
from gateway.draft import CLIENT_CLOSED_REQUEST, Draft
from gateway.errors import (
    ClientLeft,
    Failed,
    LimitReached,
    NotFound,
    Unavailable,
    UpstreamFailed,
    UpstreamTooSlow,
)
from gateway.keys.key import Key
from gateway.openai.tokens import LONGEST_TOKEN_BYTES, count
from gateway.openai.usage import Told
from gateway.policy.policy import Endpoint, Tokenizer
from gateway.quota.limit import Amounts
from gateway.usage.entry import Outcome, Price, Source, Tokens

PRICE = Price(input=1_000_000, cached_input=500_000, output=2_000_000, reasoning=2_000_000)


def draft_of(
    *, left=False, sent=True, answer=None, price=PRICE, exact=True, echoed=0, by=Tokenizer.BYTES
) -> Draft:
    call = Call("req_1", 100.0, Endpoint.CHAT, None, [], None, lambda: left)
    ticks = itertools.count()
    draft = Draft(call, lambda: next(ticks) / 1000)
    draft.key = Key("key_1", "acme", "demo", "k")
    rules = SimpleNamespace(
        model=SimpleNamespace(name="echo", tokenizer=by),
        price=price,
        upstream=SimpleNamespace(name="simulator"),
        organization=SimpleNamespace(currency="USD"),
        digest="abc",
    )
    draft.matched(rules)
    draft.ask = SimpleNamespace(
        input_tokens=50, output_tokens=70, input_is_exact=exact, echoed_tokens=echoed
    )
    if sent:
        draft.sending()
    draft.answer = answer
    return draft


def answer_of(
    status=200,
    told=None,
    text="",
    complete=True,
    replied=True,
    started=True,
    untold="",
    cut=False,
):
    return SimpleNamespace(
        status=status,
        told=told,
        output_text=[text] if text else [],
        watched={},
        untold_text=untold,
        cut=cut,
        complete=complete,
        replied=replied,
        started=started,
        served_model="echo-1",
    )


TOLD = Told(input=10, cached_input=4, output=6, reasoning=2)


@pytest.mark.parametrize(
    ("draft", "error", "outcome", "status"),
    [
        (draft_of(answer=answer_of(told=TOLD)), None, Outcome.OK, 200),
        (draft_of(sent=False), LimitReached("no"), Outcome.REFUSED, 429),
        (draft_of(sent=False), NotFound("no"), Outcome.REFUSED, 404),
        (draft_of(sent=False), Unavailable("no", code="redaction_failed"), Outcome.REFUSED, 503),
        (draft_of(sent=False), Failed("no"), Outcome.FAILED, 500),
        (draft_of(sent=False), ZeroDivisionError(), Outcome.FAILED, 500),
        (draft_of(), UpstreamFailed("no"), Outcome.UPSTREAM_ERROR, 502),
        (draft_of(), UpstreamTooSlow("no", code="upstream_timeout"), Outcome.TIMEOUT, 504),
        (
            draft_of(),
            Unavailable("no", code="upstream_key_refused"),
            Outcome.UPSTREAM_ERROR,
            503,
        ),
        (draft_of(answer=answer_of(status=400)), None, Outcome.UPSTREAM_ERROR, 400),
        (
            draft_of(answer=answer_of(complete=False)),
            UpstreamFailed("broke"),
            Outcome.UPSTREAM_ERROR,
            200,
        ),
        (draft_of(answer=answer_of(complete=False)), None, Outcome.UPSTREAM_ERROR, 200),
        (draft_of(sent=False), ClientLeft(), Outcome.CLIENT_LEFT, CLIENT_CLOSED_REQUEST),
        (
            draft_of(left=True),
            asyncio.CancelledError(),
            Outcome.CLIENT_LEFT,
            CLIENT_CLOSED_REQUEST,
        ),
        (
            draft_of(left=True, answer=answer_of(complete=False)),
            asyncio.CancelledError(),
            Outcome.CLIENT_LEFT,
            200,
        ),
        (
            draft_of(left=True, answer=answer_of(complete=True)),
            asyncio.CancelledError(),
            Outcome.OK,
            200,
        ),
        (draft_of(), asyncio.CancelledError(), Outcome.FAILED, 503),
    ],
)
def test_every_end_has_its_outcome_and_the_status_that_was_sent(draft, error, outcome, status):
    entry = draft.entry(error)
    assert (entry.outcome, entry.status) == (outcome, status)


@pytest.mark.parametrize(
    ("draft", "error", "tokens", "source"),
    [
        (
            draft_of(answer=answer_of(told=TOLD, text="abc")),
            None,
            Tokens(10, 4, 6, 2),
            Source.PROVIDER,
        ),
        (draft_of(answer=answer_of(text="abcde")), None, Tokens(50, 0, 5, 0), Source.COUNTED),
        (
            draft_of(answer=answer_of(text="abcde"), exact=False),
            None,
            Tokens(50, 0, 5, 0),
            Source.ESTIMATED,
        ),
        (
            draft_of(answer=answer_of(told=Told(0, 0, 0, 0), text="abcde")),
            None,
            Tokens(50, 0, 5, 0),
            Source.COUNTED,
        ),
        (
            draft_of(left=True, answer=answer_of(text="ab", complete=False)),
            asyncio.CancelledError(),
            Tokens(50, 0, 2, 0),
            Source.ESTIMATED,
        ),
        (draft_of(left=True), asyncio.CancelledError(), Tokens(50, 0, 0, 0), Source.ESTIMATED),
        (
            draft_of(),
            UpstreamTooSlow("no", code="upstream_timeout"),
            Tokens(50, 0, 0, 0),
            Source.ESTIMATED,
        ),
        (draft_of(), UpstreamTooSlow("no", code="upstream_unreachable"), Tokens(), Source.NONE),
        (draft_of(), UpstreamFailed("no"), Tokens(), Source.NONE),
        (draft_of(answer=answer_of(status=400)), None, Tokens(), Source.NONE),
        (draft_of(sent=False), LimitReached("no"), Tokens(), Source.NONE),
        (
            draft_of(answer=answer_of(told=Told(8, 0, 0, 0))),
            None,
            Tokens(8, 0, 0, 0),
            Source.PROVIDER,
        ),
    ],
)
def test_what_was_used_and_how_we_know(draft, error, tokens, source):
    entry = draft.entry(error)
    assert (entry.tokens, entry.source) == (tokens, source)
    assert entry.requests == (0 if source is Source.NONE else 1)
    assert entry.cost_nano == PRICE.cost_nano(tokens)


@pytest.mark.parametrize("by", [Tokenizer.BYTES, Tokenizer.O200K])
def test_a_text_too_long_to_be_counted_is_an_estimate_of_what_it_certainly_is(by):
    entry = draft_of(answer=answer_of(text="word " * 300_000), by=by).entry(None)
    certain = 1_500_000 // LONGEST_TOKEN_BYTES  # the cap of 70 was not kept
    assert (entry.tokens, entry.source) == (Tokens(50, 0, certain, 0), Source.ESTIMATED)


def test_without_a_price_nothing_costs():
    assert draft_of(answer=answer_of(told=TOLD), price=None).entry(None).cost_nano == 0


def test_a_bound_is_booked_as_abandoned():
    entry = draft_of().bound_entry(Amounts(1, 50, 20, 777, 1))
    assert entry.outcome is Outcome.ABANDONED
    assert entry.source is Source.ABANDONED
    assert (entry.tokens, entry.cost_nano, entry.requests) == (Tokens(50, 0, 20, 0), 777, 1)


def test_stages_add_up_and_waits_are_left_out():
    ticks = iter([0.0, 1.0, 5.0, 6.0, 8.0])
    draft = Draft(Call("r", 0.0, Endpoint.CHAT, None, [], None, lambda: False), lambda: next(ticks))
    draft.did("ask")
    draft.mark()
    draft.did("admit")
    draft.did("ask")
    assert draft.stage_seconds == {"ask": 3.0, "admit": 1.0}


def test_a_model_that_no_policy_has_is_not_kept_as_callers_can_write_anything_there():
    call = Call("r", 0.0, Endpoint.CHAT, None, [], None, lambda: False)
    assert Draft(call, lambda: 0.0).entry(NotFound("no")).model == ""


ENGLISH = "Nobody may leave without being counted. " * 20
FAR_TOO_FEW = Told(input=10, cached_input=4, output=9, reasoning=2)


@pytest.mark.parametrize(
    ("draft", "tokens", "source"),
    [
        (
            draft_of(answer=answer_of(told=Told(10, 2, 20, 4, 3, 5))),
            Tokens(10, 2, 20, 4, 3, 5),
            Source.PROVIDER,
        ),
        (
            draft_of(answer=answer_of(told=TOLD, text="abcde", untold="de", complete=False)),
            Tokens(10, 4, 8, 2),
            Source.ESTIMATED,
        ),
        (
            draft_of(answer=answer_of(told=Told(9, 0, 0, 0), text="abcde", untold="abcde")),
            Tokens(9, 0, 5, 0),
            Source.COUNTED,
        ),
        (
            draft_of(answer=answer_of(told=FAR_TOO_FEW, text=ENGLISH), by=Tokenizer.O200K),
            Tokens(10, 0, count(ENGLISH, "o200k"), 0),
            Source.COUNTED,
        ),
        (
            draft_of(answer=answer_of(told=FAR_TOO_FEW, text=ENGLISH)),
            Tokens(10, 4, 9, 2),
            Source.PROVIDER,
        ),
        (
            draft_of(answer=answer_of(text="x" * 90)),
            Tokens(50, 0, 70, 0),
            Source.COUNTED,
        ),
        (
            draft_of(answer=answer_of(text="x" * 60), echoed=50),
            Tokens(50, 0, 10, 0),
            Source.COUNTED,
        ),
        (
            draft_of(answer=answer_of(told=TOLD, text="abc", cut=True)),
            Tokens(10, 4, 6, 2),
            Source.ESTIMATED,
        ),
        (
            draft_of(answer=answer_of(status=500, told=Told(8, 0, 0, 0))),
            Tokens(8, 0, 0, 0),
            Source.PROVIDER,
        ),
    ],
    ids=[
        "audio",
        "text after usage was told is added to it",
        "usage told before the first text",
        "far too little was told, as the vocabulary shows",
        "without a vocabulary, only what is certain is held against it",
        "bytes are no more than the cap that was sent",
        "what is echoed is not charged",
        "a cut answer is what was told until then",
        "an error that tells usage",
    ],
)
def test_what_was_used_where_usage_is_odd(draft, tokens, source):
    entry = draft.entry(None)
    assert (entry.tokens, entry.source) == (tokens, source)


def test_a_cut_answer_is_well_and_says_so_in_its_code():
    entry = draft_of(answer=answer_of(told=TOLD, cut=True)).entry(None)
    assert (entry.outcome, entry.code) == (Outcome.OK, "cut_at_cap")
