"""The verb admit in an exchange: reserve under the keys, grants and caps that hold at this moment.

What was decided under an older generation of keys and grants is decided again before it counts: a
key that was revoked is refused on its next request, and a raise holds from the next one. A request
that is too large for a limit that clamps asks again for less. While the ledger cannot be asked, the
organization's policy says what happens.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.ask import Ask, bound
from gateway.draft import Draft
from gateway.errors import Unavailable
from gateway.keys.authenticate import authenticate
from gateway.parts import Parts
from gateway.policy.match import match, whose
from gateway.policy.policy import OnLedgerOutage
from gateway.quota.admit import Refusal, admit, check_least, check_open, clamp_to
from gateway.quota.grant import raised
from gateway.quota.ledger import Claim, Reservation, Standing
from gateway.quota.limit import Amounts
from gateway.quota.settle import to_the_end
from gateway.usage.entry import Tokens


async def identify(draft: Draft, parts: Parts) -> None:
    """Whose request it is, by keys of the generation that the draft remembers."""
    draft.generation = parts.access.generation
    call = draft.call
    draft.key = await authenticate(call.authorization, parts.access, parts.pepper, call.now)


async def check_room(draft: Draft, parts: Parts) -> None:
    """Refuse a request that can have no room before anything costly is done for it.

    Raises Refusal, and Unavailable where the ledger cannot be asked and the policy says refuse."""
    rules = draft.rules
    assert rules is not None
    least = _least(draft)
    while True:
        claims = await _claims(draft, parts)
        try:
            await check_open(
                parts.ledger, claims, draft.call.now, rules.organization.currency, least
            )
        except Refusal:
            if not await _learn(draft, parts, await _newest(draft, parts)):
                raise
        except Unavailable as outage:
            _bear(outage, draft)
            return
        else:
            return


async def reserve(draft: Draft, ask: Ask, parts: Parts) -> tuple[Ask, tuple[Standing, ...]]:
    """The request with the cap that it was admitted with, and how its limits stand.

    Raises Refusal, and Unavailable where the ledger cannot be asked and the policy says refuse."""
    rules = draft.rules
    assert rules is not None
    while True:
        claims = await _claims(draft, parts)
        reservation = _reservation(draft, ask, claims, parts)
        try:
            verdict = await admit(
                parts.ledger, reservation, draft.call.now, rules.organization.currency
            )
        except Refusal as refusal:
            if not await _learn(draft, parts, await _newest(draft, parts)):
                ask = await _smaller(ask, draft, parts, refusal)
            continue
        except Unavailable as outage:
            _bear(outage, draft)
            draft.reservation, draft.is_reserved = reservation, False
            parts.meters.admitted_in_outage.inc()
            return ask, ()
        draft.reservation, draft.is_reserved, draft.now = reservation, True, verdict.now
        parts.state.reserved += 1
        if (
            verdict.generation != draft.generation
            and await _learn(draft, parts, verdict.generation)
            and await _claims(draft, parts) != claims
        ):
            await to_the_end(parts.ledger.release(reservation, None, parts.clock()))
            draft.reservation = None
            parts.state.reserved -= 1
            continue
        _count(claims, verdict.standings, parts)
        return ask, verdict.standings


def _count(claims: tuple[Claim, ...], standings: tuple[Standing, ...], parts: Parts) -> None:
    """What each limit said of a request that was admitted: mostly that it has room."""
    meters = parts.meters
    for standing in standings:
        if standing.refused:
            meters.later(meters.limits.decided, standings, True)
            return
    meters.often(claims, meters.limits.admitted)


async def _claims(draft: Draft, parts: Parts) -> tuple[Claim, ...]:
    rules, key = draft.rules, draft.key
    assert rules is not None
    assert key is not None
    claims = parts.matches.claims(rules, key, draft.end_user)
    grants = parts.access.granted(rules.organization.name)
    if grants is None:
        grants = await parts.access.grants_of(rules.organization.name)
    return raised(claims, grants, draft.call.now)


async def _newest(draft: Draft, parts: Parts) -> int:
    """The generation, before a refusal is final; where nobody can tell, none is newer."""
    try:
        return await parts.ledger.generation()
    except Unavailable:
        return draft.generation


async def _learn(draft: Draft, parts: Parts, generation: int) -> bool:
    """Whether keys or grants changed since they were read for this request; then it is identified
    anew, and refused if its key ended."""
    if generation == draft.generation:
        return False
    parts.access.follow(generation)
    await identify(draft, parts)
    rules, key = draft.rules, draft.key
    assert rules is not None
    assert key is not None
    match(parts.policies.current, key, draft.call.endpoint, rules.model.name, draft.call.now)
    return True


def _reservation(draft: Draft, ask: Ask, claims: tuple[Claim, ...], parts: Parts) -> Reservation:
    rules, key = draft.rules, draft.key
    assert rules is not None
    assert key is not None
    upstream = rules.upstream
    lease_seconds = (
        upstream.connect_timeout_seconds * (1 + upstream.retries)
        + upstream.total_timeout_seconds
        + parts.settings.write_timeout_seconds
        + parts.settings.reservation_margin_seconds
    )
    most = bound(ask, rules.price)
    whom = whose(rules, key, draft.end_user)
    expires_at = parts.clock() + lease_seconds
    return Reservation(draft.call.id, claims, whom, most, draft.bound_entry(most), expires_at)


def _least(draft: Draft) -> Amounts:
    """What any request comes to at least: one that has no room for this is refused at once."""
    price = draft.rules.price if draft.rules else None
    cost_nano = price.cost_nano(Tokens(input=1)) if price else 0
    return Amounts(requests=1, input_tokens=1, cost_nano=cost_nano, concurrency=1)


async def _smaller(ask: Ask, draft: Draft, parts: Parts, refusal: Refusal) -> Ask:
    """The request with the cap that still fits; as it was, where there is room again by now.

    Raises Refusal where no cap fits."""
    rules = draft.rules
    assert rules is not None
    answers = ask.request.prompts * ask.request.choices
    fixed = ask.output_tokens - ask.cap * answers  # predicted output

    def capped(cap: int) -> Ask:
        return replace(ask, cap=cap, output_tokens=cap * answers + fixed)

    cap = clamp_to(refusal.standings, ask.input_tokens, answers, rules.price, fixed)
    if cap is not None and cap < ask.cap:
        return capped(cap)
    full, least = bound(ask, rules.price), bound(capped(min(1, ask.cap)), rules.price)
    currency = rules.organization.currency
    await check_least(parts.ledger, refusal, least, draft.call.now, currency, full)
    return ask


def _bear(outage: Unavailable, draft: Draft) -> None:
    """Go on without the ledger where the policy says so; else raise."""
    assert draft.rules is not None
    is_admitted = draft.rules.organization.on_ledger_outage is OnLedgerOutage.ADMIT
    if outage.code != "ledger_unavailable" or not is_admitted:
        raise outage
