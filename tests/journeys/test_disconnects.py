"""A caller that leaves at chunk k, for every k, shape of usage, endpoint, form and policy, through
the whole of the gateway but its sockets: one entry, of what the upstream generated until then
within the error that docs/internals/bounds.md states, and nothing stays reserved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from world import World

from gateway.edge.completions import Completions
from gateway.errors import ApiError
from gateway.openai.tokens import count
from gateway.policy.match import claims_of, match
from gateway.policy.policy import Endpoint
from gateway.simulator.faults import event_bytes, json_bytes
from gateway.simulator.options import UsageShape
from gateway.simulator.usage import Counts, Event, usage_object, with_usage
from gateway.usage.entry import Entry, Outcome, Source

POLICY = b"""
upstreams:
  provider: {base_url: 'http://127.0.0.1:9/v1', on_client_left: LEAVING}
models:
  echo:
    upstream: provider
    endpoints: [chat, completions]
    price: {input: 1, output: 2}
    context: 1000
    max_output: 400
    default_output: 100
    tokenizer: o200k
redaction:
  open: {entities: {}}
organizations:
  acme:
    timezone: UTC
    currency: USD
    defaults: {redaction: open}
    limits:
      - {name: budget, measure: money, amount: 1 USD, per: month}
      - {name: slots, measure: concurrency, amount: 2, each: project}
    projects:
      demo: {models: [echo]}
"""
PIECES = [f" word{number}" for number in range(8)]
GENERATED = sum(count(piece, "o200k") for piece in PIECES)
JSON_PIECES = 6
SHAPES = list(UsageShape)
UNTOLD = (UsageShape.NEVER, UsageShape.ZERO, UsageShape.WRONG)
ASKED = {
    Endpoint.CHAT: {"model": "echo", "messages": [{"role": "user", "content": "hi there"}]},
    Endpoint.COMPLETIONS: {"model": "echo", "prompt": "hi there"},
}
PROMPT = {Endpoint.CHAT: 2 + 1 + 3 + 3, Endpoint.COMPLETIONS: 2}


def matrix(test: Any) -> Any:
    test = pytest.mark.parametrize("endpoint", list(ASKED))(test)
    return pytest.mark.parametrize("shape", SHAPES)(test)


@dataclass
class Case:
    """What the upstream sends, as writes and the tokens that were generated for each."""

    endpoint: Endpoint
    shape: UsageShape
    stream: bool

    def writes(self) -> list[tuple[bytes, int]]:
        counts = Counts(PROMPT[self.endpoint], GENERATED, 0, 0)
        if not self.stream:
            usage = usage_object(counts, self.shape)
            body = json_bytes({**self._said("".join(PIECES), "stop", "message"), "usage": usage})
            size = len(body) // JSON_PIECES + 1
            parts = [body[at : at + size] for at in range(0, len(body), size)]
            return [(part, 0 if at else GENERATED) for at, part in enumerate(parts)]
        events = [Event(self._said(piece, None), count(piece, "o200k")) for piece in PIECES]
        events.append(Event(self._said("", "stop")))
        told = with_usage(events, {}, counts, self.shape, asked=True)
        writes = [(event_bytes(event.data), event.tokens) for event in told]
        return [*writes, (b"data: [DONE]\n\n", 0)]

    def _said(self, text: str, finish: str | None, name: str = "delta") -> dict[str, Any]:
        is_chat = self.endpoint is Endpoint.CHAT
        said = {name: {"content": text}} if is_chat else {"text": text}
        return {"choices": [{"index": 0, **said, "finish_reason": finish}]}


class Left:
    """One request whose caller leaves as the upstream sends write number `chunk` (from 1)."""

    def __init__(self, world: World, case: Case, chunk: int) -> None:
        self.generated = 0
        self.on_its_way = 0
        self._world, self._case, self._chunk = world, case, chunk
        self._gone = asyncio.Event()
        body = {**ASKED[case.endpoint], "stream": case.stream}
        self._asked = [{"type": "http.request", "body": json.dumps(body).encode()}]

    def _pieces(self) -> Iterator[bytes]:
        for number, (data, tokens) in enumerate(self._case.writes(), 1):
            self.generated += tokens
            self.on_its_way = tokens
            if number == self._chunk:
                self._gone.set()
            yield data

    async def _receive(self) -> dict[str, Any]:
        if self._asked:
            return self._asked.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await asyncio.sleep(0)

    async def entry(self) -> Entry:
        world = self._world
        world.upstream.pieces = self._pieces()  # type: ignore[assignment]
        world.upstream.content_type = (
            "text/event-stream" if self._case.stream else "application/json"
        )
        scope = {
            "state": {"request_id": f"req_{len(world.journal.entries)}"},
            "headers": [(b"authorization", f"Bearer {world.key}".encode())],
        }
        known = len(world.journal.entries)
        try:
            await Completions(self._case.endpoint, world.parts)(scope, self._receive, self._send)
        except ApiError as error:
            raise AssertionError(f"{error.code}: {error}") from error
        assert len(world.journal.entries) == known + 1
        return world.journal.entries[-1]


async def used_money(world: World) -> int:
    """What the limit of money has booked."""
    secret = next(iter(world.keyring.secrets.values()))
    now = world.parts.clock()
    rules = match(world.parts.policies.current, secret.key, Endpoint.CHAT, "echo", now)
    standings = (await world.ledger.look(claims_of(rules, secret.key, ""), now)).standings
    (budget,) = [one for one in standings if one.claim.limit.name == "budget"]
    return budget.used


async def all_chunks(leaving: str, case: Case) -> list[tuple[Left, Entry]]:
    """The case once for every chunk, and what has to be true after each of them."""
    world = World(POLICY.replace(b"LEAVING", leaving.encode()))
    seen = []
    for chunk in range(1, len(case.writes()) + 1):
        left = Left(world, case, chunk)
        entry = await left.entry()
        seen.append((left, entry))
        assert await world.reserved() == 0
        assert await used_money(world) == sum(one.cost_nano for one in world.journal.entries)
        assert (world.parts.state.inflight, world.upstream.open) == (0, 0)
        assert world.journal.held == {}
        assert entry.tokens.input == PROMPT[case.endpoint]
        assert entry.cost_nano == entry.tokens.input * 1000 + entry.tokens.output * 2000
        assert entry.requests == 1
    return seen


@matrix
def test_a_stream_that_is_cancelled_is_booked_as_far_as_it_came(
    shape: UsageShape, endpoint: Endpoint
) -> None:
    case = Case(endpoint, shape, stream=True)
    seen = asyncio.run(all_chunks("cancel", case))
    for left, entry in seen:
        assert entry.tokens.output in (left.generated, left.generated - left.on_its_way)
    early = [(left, entry) for left, entry in seen if entry.outcome is Outcome.CLIENT_LEFT]
    assert len(early) >= len(PIECES) - 2
    assert all(entry.source is Source.ESTIMATED for _, entry in early)
    assert early[0][0].generated < GENERATED, "the upstream was stopped"
    assert [entry.tokens.output for _, entry in early[1:4]] == [2, 4, 6]


@matrix
def test_a_stream_that_is_drained_is_booked_whole(shape: UsageShape, endpoint: Endpoint) -> None:
    for left, entry in asyncio.run(all_chunks("drain", Case(endpoint, shape, stream=True))):
        assert entry.outcome is Outcome.OK
        assert entry.source is (Source.COUNTED if shape in UNTOLD else Source.PROVIDER)
        assert entry.tokens.output == left.generated == GENERATED


@matrix
def test_of_a_json_answer_that_is_cancelled_the_prompt_is_booked(
    shape: UsageShape, endpoint: Endpoint
) -> None:
    """Nothing of it can be read before its end, so the error is its whole output."""
    seen = asyncio.run(all_chunks("cancel", Case(endpoint, shape, stream=False)))
    assert len(seen) == JSON_PIECES
    for _, entry in seen:
        assert (entry.outcome, entry.source) == (Outcome.CLIENT_LEFT, Source.ESTIMATED)
        assert entry.tokens.output == 0


@matrix
def test_a_json_answer_that_is_drained_is_booked_whole(
    shape: UsageShape, endpoint: Endpoint
) -> None:
    for _, entry in asyncio.run(all_chunks("drain", Case(endpoint, shape, stream=False))):
        assert (entry.outcome, entry.status) == (Outcome.OK, 200)
        assert entry.source is (Source.COUNTED if shape in UNTOLD else Source.PROVIDER)
        assert entry.tokens.output == GENERATED
