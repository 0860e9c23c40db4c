"""Admission under what holds at this moment: keys and grants that change, caps, and outages."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from world import NOW, POLICY, World, chat, plain_answer

from gateway.call import Call
from gateway.errors import ApiError, LimitReached, Unauthenticated, Unavailable
from gateway.exchange import exchange
from gateway.quota.admit import Refusal, rate_headers, retry_headers
from gateway.quota.grant import Grant
from gateway.quota.ledger import Reservation, Verdict
from gateway.quota.limit import Amounts
from gateway.usage.entry import Outcome

USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}
SUBJECT = (("organization", "acme"), ("project", "demo"))
RATE = b"- {name: rate, measure: requests, amount: 5, per: minute, each: key}"


def world_of(limit: str, more: bytes = b"") -> World:
    """The policy of the world, with this limit in place of the rate, and `more` on acme."""
    policy = POLICY.replace(RATE, f"- {limit}".encode())
    world = World(policy.replace(b"    timezone: UTC\n", b"    timezone: UTC\n" + more))
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    return world


PREPAID = "{name: balance, measure: requests, amount: 0, per: none, each: project}"


def grant(amount: int, **more: Any) -> Grant:
    return Grant("grant_1", "balance", SUBJECT, amount, 0.0, None, "ada", **more)


async def answered(world: World, call: Call | None = None) -> list[tuple[str, str]]:
    async with exchange(call or world.call(chat("hi")), world.parts) as answer:
        async for _ in answer.pieces():
            pass
        return answer.headers


def run(world: World) -> list[tuple[str, str]]:
    return asyncio.run(answered(world))


def revoke(world: World) -> None:
    (prefix,) = world.keyring.secrets
    secret = world.keyring.secrets[prefix]
    ended = dataclasses.replace(secret.key, revoked_at=NOW)
    world.keyring.secrets[prefix] = dataclasses.replace(secret, key=ended)
    world.journal.access += 1


def test_a_revoked_key_is_refused_on_its_next_request_though_it_is_kept() -> None:
    world = world_of(PREPAID.replace("amount: 0", "amount: 5"))
    run(world)
    revoke(world)
    with pytest.raises(Unauthenticated, match="revoked"):
        run(world)
    assert len(world.upstream.received) == 1
    refused = world.journal.entries[-1]
    assert (refused.outcome, refused.requests, refused.key_id) == (Outcome.REFUSED, 0, "key_0")
    assert asyncio.run(world.reserved()) == 0
    assert world.journal.held == {}


def test_a_key_that_stays_good_outlives_the_change_of_another() -> None:
    world = world_of(PREPAID.replace("amount: 0", "amount: 5"))
    run(world)
    world.new_key()
    world.journal.access += 1
    run(world)
    assert len(world.upstream.received) == 2


def test_a_top_up_holds_from_the_next_request() -> None:
    world = world_of(PREPAID)
    with pytest.raises(LimitReached):
        run(world)
    world.keyring.granted = (grant(1),)
    world.journal.access += 1
    run(world)
    with pytest.raises(LimitReached):
        run(world)
    assert len(world.upstream.received) == 1


def test_a_grant_that_was_taken_back_is_not_used_by_who_still_knows_it() -> None:
    world = world_of(PREPAID)
    world.keyring.granted = (grant(2),)
    run(world)
    world.keyring.granted = ()
    world.journal.access += 1
    with pytest.raises(LimitReached):
        run(world)
    assert len(world.upstream.received) == 1
    assert world.journal.held == {}
    assert asyncio.run(world.reserved()) == 0


def test_many_who_know_an_old_generation_all_learn_of_the_new_one() -> None:
    """One of them has the news first, and the others must not take it for known."""
    world = world_of("{name: rate, measure: requests, amount: 50, per: minute, each: project}")
    run(world)
    revoke(world)

    async def main() -> list[Any]:
        calls = [dataclasses.replace(world.call(chat("hi")), id=f"req_many_{n}") for n in range(8)]
        return await asyncio.gather(*(answered(world, c) for c in calls), return_exceptions=True)

    outcomes = asyncio.run(main())
    assert [type(outcome) for outcome in outcomes] == [Unauthenticated] * 8
    assert len(world.upstream.received) == 1


def test_a_limit_that_clamps_shrinks_the_cap_to_what_is_left() -> None:
    limit = "{name: t, measure: output_tokens, amount: 8, per: day, each: project, clamp: true}"
    world = world_of(limit)
    run(world)  # 10 by default, and 3 are used
    run(world)
    assert [sent["max_completion_tokens"] for sent in world.upstream.received] == [8, 5]
    assert asyncio.run(world.reserved()) == 0


CLAMPED = "{name: t, measure: tokens, amount: 19, per: WINDOW, each: project, clamp: true}"
LARGE = chat("hi", max_tokens=50)
"""8 of input; with the 50, more than CLAMPED ever has room for."""


@pytest.mark.parametrize(
    ("window", "retry_after", "told"),
    [
        ("day", "21600", "There is room again at 2026-11-24T00:00:00+00:00 (in 6h0m0s)."),
        ("minute", "4", "Please try again in 4s."),  # 1 of 19 a minute
    ],
)
def test_a_limit_that_clamps_and_is_nearly_full_says_when_there_is_room(
    window: str, retry_after: str, told: str
) -> None:
    world = world_of(CLAMPED.replace("WINDOW", window))
    asyncio.run(answered(world, world.call(LARGE)))  # uses 11
    with pytest.raises(LimitReached) as refused:
        asyncio.run(answered(world, world.call(LARGE)))
    message = refused.value.message
    assert message.endswith(f"Limit 19, Used 11, Reserved 0, Requested 9. {told}")
    assert dict(retry_headers(refused.value))["retry-after"] == retry_after


def test_a_prompt_that_is_larger_than_a_limit_that_clamps_never_fits() -> None:
    world = world_of(CLAMPED.replace("WINDOW", "day"))
    with pytest.raises(LimitReached, match=r"Limit 19, Requested 29\. Make the prompt shorter;"):
        asyncio.run(answered(world, world.call(chat("hi " * 20, max_tokens=50))))


def test_where_another_limit_is_full_one_that_could_clamp_is_not_blamed() -> None:
    other = "- {name: o, measure: output_tokens, amount: 60, per: minute, each: project}"
    clamps = CLAMPED.replace("WINDOW", "day").replace("19", "30")
    world = world_of(f"{clamps}\n          {other}")
    asyncio.run(answered(world, world.call(chat("hi", max_tokens=1))))
    with pytest.raises(LimitReached, match=r"limit o .*Please try again in 1s") as refused:
        asyncio.run(answered(world, world.call(chat("hi", max_tokens=58))))
    assert "either" not in refused.value.message


def test_what_came_free_while_a_refusal_was_weighed_is_taken() -> None:
    world = world_of(CLAMPED.replace("WINDOW", "day").replace("19", "30"))
    look = world.ledger.look

    async def main() -> None:
        first = exchange(world.call(LARGE), world.parts)
        await first.__aenter__()  # holds all of it

        async def look_later(claims: Any, now: float, least: Amounts) -> Verdict:
            if least.output_tokens:  # not the first look, which is at the prompt alone
                await first.__aexit__(None, None, None)
                return await look(claims, now, least)
            return await look((), now, least)

        world.ledger.look = look_later  # type: ignore[assignment]
        await answered(world, dataclasses.replace(world.call(LARGE), id="req_second"))

    asyncio.run(main())
    assert [sent["max_tokens"] for sent in world.upstream.received] == [22, 11]


def test_a_clamped_request_leaves_nothing_until_it_ends() -> None:
    world = world_of(CLAMPED.replace("WINDOW", "day").replace("19", "30"))
    left = "x-ratelimit-remaining-tokens"

    async def main() -> None:
        async with exchange(world.call(LARGE), world.parts) as answer:
            assert dict(answer.headers)[left] == "0"
            other = dataclasses.replace(world.call(chat("hi")), id="req_other")
            with pytest.raises(Refusal, match="Used 0, Reserved 30") as refused:
                await answered(world, other)
            assert dict(rate_headers(refused.value.standings, NOW))[left] == "0"
            async for _ in answer.pieces():
                pass
        headers = await answered(world, world.call(chat("hi", max_tokens=1)))
        assert dict(headers)[left] == str(30 - 11 - 9)

    asyncio.run(main())


def test_a_model_without_a_price_is_refused_where_money_is_limited_and_nothing_leaves() -> None:
    """No file says so: it is refused when it is read. This holds whatever a policy came from."""
    world = world_of(PREPAID.replace("amount: 0", "amount: 5"))
    policy = world.parts.policies.current
    echo = dataclasses.replace(policy.models["echo"], prices=())
    world.parts.policies.replace(dataclasses.replace(policy, models={"echo": echo}))
    with pytest.raises(ApiError, match="`echo` has no price, so limit budget") as refused:
        run(world)
    assert (refused.value.status, refused.value.code) == (403, "model_unpriced")
    assert world.upstream.received == []
    (entry,) = world.journal.entries
    assert (entry.outcome, entry.status, entry.requests) == (Outcome.REFUSED, 403, 0)


def test_a_soft_limit_lets_pass_and_says_so() -> None:
    world = world_of("{name: s, measure: requests, amount: 1, per: day, each: project, mode: soft}")
    assert "x-gateway-limit-exceeded" not in dict(run(world))
    assert dict(run(world))["x-gateway-limit-exceeded"] == "s"


def test_use_that_passes_a_share_is_told_once() -> None:
    world = world_of(
        "{name: w, measure: requests, amount: 4, per: day, each: project, warn_at: [0.5, 1]}"
    )
    for _ in range(4):
        run(world)
    warnings = [fields for event, fields in world.log.lines if event == "limit_nearly_used"]
    assert [(told["share"], told["used"]) for told in warnings] == [(0.5, 2), (1.0, 4)]
    counted = world.parts.meters.limit_warnings.labels("acme", "w", "0.5")
    assert counted._value.get() == 1


@pytest.mark.parametrize("before_the_first", [True, False])
def test_an_outage_is_borne_where_the_policy_says_so_and_booked_afterwards(
    before_the_first: bool,
) -> None:
    limit = "{name: day, measure: requests, amount: 2, per: day, each: project}"
    world = world_of(limit, b"    on_ledger_outage: admit\n")
    if not before_the_first:
        run(world)
    world.journal.away = True
    run(world)
    world.journal.away = False
    assert world.parts.meters.admitted_in_outage._value.get() == 1
    assert [entry.requests for entry in world.journal.entries].count(1) == 2 - before_the_first
    if before_the_first:
        run(world)
    with pytest.raises(LimitReached):
        run(world)


def test_an_outage_refuses_by_default_with_503_and_nothing_leaves() -> None:
    world = world_of(PREPAID.replace("amount: 0", "amount: 5"))
    world.journal.away = True
    with pytest.raises(Unavailable) as refused:
        run(world)
    assert (refused.value.status, refused.value.code) == (503, "ledger_unavailable")
    assert world.upstream.received == []
    world.journal.away = False
    assert asyncio.run(world.reserved()) == 0


def test_the_entry_is_booked_at_the_time_of_the_ledger() -> None:
    """A ledger with a clock of its own says in which window it booked."""
    world = world_of(PREPAID.replace("amount: 0", "amount: 5"))
    reserve = world.ledger.reserve

    async def with_its_own_clock(reservation: Reservation, now: float) -> Verdict:
        return (await reserve(reservation, now))._replace(now=now + 7)

    world.ledger.reserve = with_its_own_clock  # type: ignore[method-assign]
    run(world)
    assert world.journal.entries[-1].time == NOW + 7


def test_what_is_refused_while_nothing_is_known_of_grants_is_an_error_of_ours() -> None:
    world = world_of(PREPAID)

    async def away() -> tuple[Grant, ...]:
        raise Unavailable("no database", code="database_unavailable")

    world.keyring.grants = away  # type: ignore[method-assign]
    with pytest.raises(ApiError) as refused:
        run(world)
    assert refused.value.status == 503
