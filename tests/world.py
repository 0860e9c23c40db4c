"""A gateway without sockets: real exchange, ledger and policy over fakes for what has a driver."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.access import Access
from gateway.backends.entities import SELECTABLE
from gateway.backends.examine import examine
from gateway.backends.memory_ledger import MemoryLedger
from gateway.call import Call
from gateway.errors import ClientLeft, Unavailable
from gateway.forward import Reply, Target
from gateway.keys.key import Key, Role, Secret, digest, mint
from gateway.meters.metrics import Meters
from gateway.parts import Parts
from gateway.policy.live import Live
from gateway.policy.match import claims_of, match
from gateway.policy.parse import parse
from gateway.policy.policy import Endpoint
from gateway.privacy.pictures import Picture, Unreadable, Word, text_of
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span
from gateway.quota.grant import Grant
from gateway.quota.ledger import Generations, Reservation
from gateway.quota.limit import Amounts
from gateway.settings import Settings
from gateway.usage.entry import Entry
from gateway.usage.record import JournalState

NOW = 1_795_456_800.0  # Monday 2026-11-23T18:00:00Z
PEPPER = b"p" * 32
MAIL = re.compile(r"[a-z]+@[a-z.]+")
POLICY = b"""
upstreams:
  provider: {base_url: 'http://127.0.0.1:9/v1'}
models:
  echo:
    upstream: provider
    endpoints: [chat, completions, embeddings]
    price: {input: 1, output: 2}
    context: 1000
    max_output: 100
    default_output: 10
    tokenizer: o200k
redaction:
  standard: {entities: {EMAIL_ADDRESS: placeholder, PRIVATE_KEY: block}}
organizations:
  acme:
    timezone: UTC
    currency: USD
    defaults: {redaction: standard}
    limits:
      - {name: budget, measure: money, amount: 1 USD, per: month}
    projects:
      demo:
        models: [echo]
        limits:
          - {name: rate, measure: requests, amount: 5, per: minute, each: key}
          - {name: slots, measure: concurrency, amount: 2, each: project}
"""


@dataclass
class FakeJournal:
    entries: list[Entry] = field(default_factory=list)
    full: bool = False
    held: dict[str, Reservation] = field(default_factory=dict)
    access: int = 0
    away: bool = False

    async def hold(self, reservation: Reservation) -> Generations:
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("no database", code="ledger_unavailable")
        self.held[reservation.id] = reservation
        return Generations(self.access)

    def forget(self, id: str) -> None:
        self.held.pop(id, None)

    async def generations(self) -> Generations:
        await asyncio.sleep(0)
        return Generations(self.access)

    def append(self, entry: Entry, /) -> None:
        self.held.pop(entry.id, None)
        self.entries.append(entry)

    def state(self, now: float) -> JournalState:
        return JournalState(0, 0.0, 0, self.full)

    def is_full(self) -> bool:
        return self.full

    async def spent(self, subject: Any, since: float, until: float | None = None) -> Amounts:
        await asyncio.sleep(0)
        return Amounts()


@dataclass
class FakeKeyring:
    """Also the store of grants."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    granted: tuple[Grant, ...] = ()

    async def grants(self) -> tuple[Grant, ...]:
        await asyncio.sleep(0)
        return self.granted

    async def find(self, prefix: str) -> Secret | None:
        await asyncio.sleep(0)
        return self.secrets.get(prefix)


@dataclass
class FakeReader:
    """A picture is its text, in which lines end; covered characters become `#`."""

    failure: type[DetectionFailed] | None = None
    read_so_far: int = 0

    async def read(self, pictures: Sequence[bytes]) -> list[list[Word]]:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure("broke")
        if b"noise" in pictures:
            raise Unreadable("is broken")
        self.read_so_far += len(pictures)
        return [
            [
                Word(word, 0, 0, 1, 1, not at)
                for line in picture.decode().splitlines()
                for at, word in enumerate(line.split())
            ]
            for picture in pictures
        ]

    async def cover(
        self,
        pictures: Sequence[bytes],
        words: Sequence[Sequence[Word]],
        spans: Sequence[Sequence[Span]],
    ) -> list[Picture]:
        await asyncio.sleep(0)
        covered = []
        for of_words, of_spans in zip(words, spans, strict=True):
            letters = list(text_of(of_words))
            for span in of_spans:
                letters[span.start : span.end] = "#" * (span.end - span.start)
            covered.append(Picture("image/png", "".join(letters).encode()))
        return covered


@dataclass
class FakeDetector:
    broken: bool = False

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *_: object
    ) -> list[list[Span]]:
        await asyncio.sleep(0)
        if self.broken:
            raise DetectionFailed("broke")
        shapes = {"EMAIL_ADDRESS": MAIL, "PRIVATE_KEY": re.compile("BEGIN PRIVATE KEY")}
        return [
            [
                Span(*found.span(), entity, 1.0)
                for entity, shape in shapes.items()
                for found in shape.finditer(text)
            ]
            for text in texts
        ]


@dataclass
class FakeUpstream:
    """Answers with `pieces`; an exception among them is raised there. Keeps what it received."""

    pieces: Sequence[bytes | Exception] = ()
    status: int = 200
    content_type: str = "application/json"
    received: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0

    @asynccontextmanager
    async def send(
        self, target: Target, path: str, headers: Any, body: bytes
    ) -> AsyncIterator[Reply]:
        self.received.append(json.loads(body))
        self.open += 1
        try:
            await asyncio.sleep(0)
            yield Reply(self.status, [("content-type", self.content_type)], self._pieces())
        finally:
            self.open -= 1

    async def _pieces(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            if isinstance(piece, Exception):
                raise piece
            yield piece


@dataclass
class FakeLog:
    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    warning = error = info


class World:
    """Parts over fakes, a key of the project demo, and short words for what a caller does."""

    def __init__(self, policy: bytes = POLICY, **settings: Any) -> None:
        parsed = parse({"p.yaml": policy}, SELECTABLE, {}, examine)
        assert parsed.policy is not None, [str(problem) for problem in parsed.problems]
        self.journal, self.keyring = FakeJournal(), FakeKeyring()
        self.detector, self.upstream, self.log = FakeDetector(), FakeUpstream(), FakeLog()
        self.reader = FakeReader()
        self.ledger = MemoryLedger(self.journal)
        ids = itertools.count(1)
        self.parts = Parts(
            settings=Settings(**settings),
            policies=Live(parsed.policy),
            access=Access(self.keyring, self.keyring, 1000),
            ledger=self.ledger,
            journal=self.journal,
            detector=self.detector,
            watching=self.detector,
            reader=self.reader,
            upstream=self.upstream,
            resolve=lambda up: Target(up.name, up.base_url, "sk-of-the-upstream", 1, 1, 1),
            pepper=PEPPER,
            meters=Meters(),
            log=self.log,
            clock=lambda: NOW,
            stopwatch=lambda: 0.0,
            id_bytes=lambda size: next(ids).to_bytes(size, "big"),
            workbench=ThreadPoolExecutor(1),
        )
        self.key = self.new_key()

    def metered(self, name: str, **labels: str) -> float | None:
        """What a meter says at a scrape."""
        return self.parts.meters.registry.get_sample_value(name, labels)

    def new_key(self, project: str = "demo", role: Role = Role.MEMBER, **scopes: Any) -> str:
        minted = mint(lambda size: bytes([len(self.keyring.secrets)]) * size)
        key = Key(f"key_{len(self.keyring.secrets)}", "acme", project, "k", role, **scopes)
        self.keyring.secrets[minted.prefix] = Secret(
            minted.prefix, digest(minted.text, PEPPER), key
        )
        return minted.text

    def call(
        self,
        body: dict[str, Any] | bytes | Exception,
        *,
        key: str | None = None,
        endpoint: Endpoint = Endpoint.CHAT,
        left: bool = False,
    ) -> Call:
        async def read_body() -> bytes:
            await asyncio.sleep(0)
            if isinstance(body, Exception):
                raise body
            return body if isinstance(body, bytes) else json.dumps(body).encode()

        return Call(
            id=f"req_{len(self.journal.entries)}",
            now=NOW,
            endpoint=endpoint,
            engine=None,
            headers=[("authorization", f"Bearer {key or self.key}")],
            read_body=read_body,
            caller_left=lambda: left or isinstance(body, ClientLeft),
        )

    async def reserved(self) -> int:
        """Σ of everything that is reserved, over all limits of the key."""
        secret = next(iter(self.keyring.secrets.values()))
        rules = match(self.parts.policies.current, secret.key, Endpoint.CHAT, "echo", NOW)
        claims = claims_of(rules, secret.key, "")
        return sum(one.reserved for one in (await self.ledger.look(claims, NOW)).standings)


def chat(text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": [{"role": "user", "content": text}], **fields}


def plain_answer(text: str, usage: dict[str, Any] | None = None) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"object": "chat.completion", "model": "echo-1", "choices": [choice]}
    return json.dumps(answer | ({"usage": usage} if usage else {})).encode()


def events(*texts: str, usage: dict[str, Any] | None = None, done: bool = True) -> list[bytes]:
    """A stream: one event a text, then the finish, the usage and [DONE]."""
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        for text in texts
    ]
    if done:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage:
        chunks.append({"choices": [], "usage": usage})
    sent = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return [*sent, b"data: [DONE]\n\n"] if done else sent
