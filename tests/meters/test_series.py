"""However many models, keys, paths, users and methods callers make up, the series stay few."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from typing import Any

from metrics_lint import faults, full
from prometheus_client.parser import text_string_to_metric_families
from world import POLICY, World, plain_answer

from gateway.edge.ops import build_ops
from gateway.edge.routes import build_api
from gateway.meters.metrics import Meters

REQUESTS = 10_000
SERIES_MAX = 1200
"""Of this test's policy: one model, organization and project, three limits and four routes."""
MARK = "hostile"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2}
BOUNDLESS = POLICY.replace(b"amount: 5,", b"amount: 1_000_000,")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE")


class Hostile:
    """Requests that have nothing in common but the word MARK, by a seed."""

    def __init__(self, keys: list[str], seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._keys = keys

    def made_up(self) -> str:
        return f"{MARK}-{self._random.getrandbits(80):x}"

    def requests(self) -> Iterator[tuple[str, str, list[tuple[str, str]], bytes]]:
        """Method, path, headers and body. Every fourth is one that is answered."""
        for n in range(REQUESTS):
            good = n % 4 == 0
            one = self._random
            path = one.choice(("/v1/chat/completions", "/v1/completions", "/v1/embeddings"))
            model = "echo" if good else one.choice(("echo", self.made_up()))
            if not good and one.random() < 0.3:
                path = one.choice(
                    (f"/v1/{self.made_up()}", f"/v1/engines/{self.made_up()}/completions",
                     f"/{self.made_up()}", f"/v1/models/{self.made_up()}")
                )  # fmt: skip
            method = "POST" if good or one.random() < 0.6 else one.choice((*METHODS, MARK.upper()))
            key = one.choice(self._keys) if good or one.random() < 0.5 else f"sk-{self.made_up()}"
            text = f"{self.made_up()}@example.com and {self.made_up()}"
            body: dict[str, Any] = {"model": model, "user": self.made_up()}
            match path.rsplit("/", 1)[1]:
                case "embeddings":
                    body |= {"input": text}
                case "completions" if "chat" in path:
                    body |= {"messages": [{"role": "user", "content": text}]}
                case _:
                    body |= {"prompt": text}
            if not good and one.random() < 0.3:
                body = {self.made_up(): self.made_up(), "messages": self.made_up()}
            headers = [("authorization", f"Bearer {key}"), ("user-agent", self.made_up()),
                       ("x-request-id", self.made_up()), (self.made_up(), self.made_up()),
                       ("traceparent", self.made_up())]  # fmt: skip
            yield method, path, headers, json.dumps(body).encode()


async def asked(app: Any, method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
    """Status and body of an answer of an ASGI app."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
             "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw,
             "scheme": "http", "server": ("127.0.0.1", 1), "client": None}  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_ten_thousand_hostile_requests_leave_few_series_and_nothing_of_a_caller_in_them() -> None:
    world = World(BOUNDLESS)
    keys = [world.new_key() for _ in range(100)]
    meters = Meters(genai=True)
    object.__setattr__(world.parts, "meters", meters)
    api, ops = build_api(world.parts), build_ops(world.parts)
    statuses: dict[int, int] = {}

    async def main() -> str:
        for method, path, headers, body in Hostile(keys).requests():
            answers = path.endswith("embeddings") and {"object": "list", "data": []}
            world.upstream.pieces = [
                json.dumps(answers | {"usage": USAGE}).encode() if answers
                else plain_answer(MARK, USAGE)
            ]  # fmt: skip
            status, _ = await asked(api, method, path, headers, body)
            statuses[status] = statuses.get(status, 0) + 1
            await asyncio.sleep(0)
        _, told = await asked(ops, "GET", "/metrics", [], b"")
        return told.decode()

    exposition = asyncio.run(main())
    series = sum(len(one.samples) for one in text_string_to_metric_families(exposition))
    assert sum(statuses.values()) == REQUESTS
    assert statuses[200] >= REQUESTS / 4
    assert {400, 401, 404, 405} <= statuses.keys()
    assert MARK not in exposition.lower()
    assert "sk-" not in exposition
    assert not re.search(r"\bkey_\d", exposition)  # no id of a key
    assert series <= SERIES_MAX, series


def test_meters_are_named_as_the_conventions_want_and_each_has_a_series() -> None:
    meters = full()
    exposition = meters.exposition().decode()
    assert list(faults(exposition)) == []
    families = text_string_to_metric_families(exposition)
    assert [one.name for one in families if not one.samples] == []


def test_the_rules_of_names_find_what_is_wrong() -> None:
    wrong = "# HELP gateway_a_total x\n# TYPE gateway_a_total gauge\ngateway_a_total 1\n"
    wrong += "# HELP gateway_wait_ms x\n# TYPE gateway_wait_ms gauge\ngateway_wait_ms 1\n"
    assert list(faults(wrong)) == ["gateway_a_total: _total is for counters",
                                   "gateway_wait_ms: unit ms"]  # fmt: skip
