"""A caller that leaves at chunk k, for every k, shape of usage, endpoint, form, policy, and number
of answers, through the whole of the gateway but its sockets: one entry, of what the upstream
generated until then within the error that docs/internals/bounds.md states, and nothing stays
reserved."""

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
    endpoints: [chat, completions, embeddings]
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
    Endpoint.EMBEDDINGS: {"model": "echo", "input": "hi there"},
}
PROMPT = {Endpoint.CHAT: 2 + 1 + 3 + 3, Endpoint.COMPLETIONS: 2, Endpoint.EMBEDDINGS: 2}
TALKS = [
    (Endpoint.CHAT, 1),
    (Endpoint.CHAT, 2),
    (Endpoint.COMPLETIONS, 1),
    (Endpoint.COMPLETIONS, 2),
]
"""Endpoints that stream, and how many answers (`n`) are asked for."""


def matrix(*kinds: tuple[Endpoint, int]) -> Any:
    def over_all(test: Any) -> Any:
        test = pytest.mark.parametrize(("endpoint", "answers"), kinds)(test)
        return pytest.mark.parametrize("shape", SHAPES)(test)

    return over_all


@dataclass
class Case:
    """What the upstream sends, as writes and the tokens that were generated for each."""

    endpoint: Endpoint
    answers: int
    shape: UsageShape
    stream: bool

    @property
    def generated(self) -> int:
        """Tokens of all answers together, when they are whole."""
        return 0 if self.endpoint is Endpoint.EMBEDDINGS else GENERATED * self.answers

    def asked(self) -> dict[str, Any]:
        more = {} if self.endpoint is Endpoint.EMBEDDINGS else {"n": self.answers}
        return {**ASKED[self.endpoint], **more, "stream": self.stream}

    def writes(self) -> list[tuple[bytes, int]]:
        counts = Counts(PROMPT[self.endpoint], self.generated, 0, 0)
        if not self.stream:
            body = json_bytes({**self._whole(), "usage": self._usage(counts)})
            size = len(body) // JSON_PIECES + 1
            parts = [body[at : at + size] for at in range(0, len(body), size)]
            return [(part, 0 if at else self.generated) for at, part in enumerate(parts)]
        events = [
            Event({"choices": [self._choice(index, piece, None)]}, count(piece, "o200k"))
            for piece in PIECES
            for index in range(self.answers)
        ]
        events += [
            Event({"choices": [self._choice(index, "", "stop")]}) for index in range(self.answers)
        ]
        told = with_usage(events, {}, counts, self.shape, asked=True)
        writes = [(event_bytes(event.data), event.tokens) for event in told]
        return [*writes, (b"data: [DONE]\n\n", 0)]

    def _usage(self, counts: Counts) -> dict[str, Any] | None:
        """Of embeddings nothing is said of output."""
        usage = usage_object(counts, self.shape)
        if usage and self.endpoint is Endpoint.EMBEDDINGS:
            return {name: usage[name] for name in ("prompt_tokens", "total_tokens")}
        return usage

    def _whole(self) -> dict[str, Any]:
        if self.endpoint is Endpoint.EMBEDDINGS:
            vector = {"object": "embedding", "index": 0, "embedding": [0.5, -0.25, 1e-3]}
            return {"object": "list", "data": [vector]}
        text = "".join(PIECES)
        return {"choices": [self._choice(n, text, "stop", "message") for n in range(self.answers)]}

    def _choice(
        self, index: int, text: str, finish: str | None, name: str = "delta"
    ) -> dict[str, Any]:
        is_chat = self.endpoint is Endpoint.CHAT
        said = {name: {"content": text}} if is_chat else {"text": text}
        return {"index": index, **said, "finish_reason": finish}


class Left:
    """One request whose caller leaves as the upstream sends write number `chunk` (from 1)."""

    def __init__(self, world: World, case: Case, chunk: int) -> None:
        self.generated = 0
        self.on_its_way = 0
        self._world, self._case, self._chunk = world, case, chunk
        self._gone = asyncio.Event()
        self._asked = [{"type": "http.request", "body": json.dumps(case.asked()).encode()}]

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


@matrix(*TALKS)
def test_a_stream_that_is_cancelled_is_booked_as_far_as_it_came(
    shape: UsageShape, endpoint: Endpoint, answers: int
) -> None:
    case = Case(endpoint, answers, shape, stream=True)
    seen = asyncio.run(all_chunks("cancel", case))
    for left, entry in seen:
        assert entry.tokens.output in (left.generated, left.generated - left.on_its_way)
    early = [(left, entry) for left, entry in seen if entry.outcome is Outcome.CLIENT_LEFT]
    assert len(early) >= len(PIECES) - 2
    assert all(entry.source is Source.ESTIMATED for _, entry in early)
    assert early[0][0].generated < case.generated, "the upstream was stopped"
    assert [entry.tokens.output for _, entry in early[1:4]] == [2, 4, 6]


@matrix(*TALKS)
def test_a_stream_that_is_drained_is_booked_whole(
    shape: UsageShape, endpoint: Endpoint, answers: int
) -> None:
    case = Case(endpoint, answers, shape, stream=True)
    for left, entry in asyncio.run(all_chunks("drain", case)):
        assert entry.outcome is Outcome.OK
        assert entry.source is (Source.COUNTED if shape in UNTOLD else Source.PROVIDER)
        assert entry.tokens.output == left.generated == case.generated


@matrix(*TALKS, (Endpoint.EMBEDDINGS, 1))
def test_of_a_json_answer_that_is_cancelled_the_prompt_is_booked(
    shape: UsageShape, endpoint: Endpoint, answers: int
) -> None:
    """Nothing of it can be read before its end, so the error is its whole output."""
    seen = asyncio.run(all_chunks("cancel", Case(endpoint, answers, shape, stream=False)))
    assert len(seen) == JSON_PIECES
    for _, entry in seen:
        assert (entry.outcome, entry.source) == (Outcome.CLIENT_LEFT, Source.ESTIMATED)
        assert entry.tokens.output == 0


@matrix(*TALKS, (Endpoint.EMBEDDINGS, 1))
def test_a_json_answer_that_is_drained_is_booked_whole(
    shape: UsageShape, endpoint: Endpoint, answers: int
) -> None:
    case = Case(endpoint, answers, shape, stream=False)
    for _, entry in asyncio.run(all_chunks("drain", case)):
        assert (entry.outcome, entry.status) == (Outcome.OK, 200)
        assert entry.source is (Source.COUNTED if shape in UNTOLD else Source.PROVIDER)
        assert entry.tokens.output == case.generated
