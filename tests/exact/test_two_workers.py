"""Two workers of one gateway: each counts for itself, together they are the book, and exact."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from plant import GatewayProcess, Plant, running, until
from policy import policy_text
from test_replicas import BODY, ask, children_of, is_ready, two_free_ports

BUDGET, ASKED, AT_ONCE = 60, 100, 16
AMOUNTS = {"requests": BUDGET, "tokens": 10**6, "money": 10**12}
Samples = dict[str, float]
"""By name and labels, as they are scraped."""


@contextmanager
def two_workers() -> Iterator[tuple[Plant, GatewayProcess, list[str]]]:
    """The plant, its one gateway, and the operations ports of the two workers."""
    with running(policy_text(AMOUNTS), 1, shared=True) as plant:
        (gateway,) = plant.gateways
        gateway.end(signal.SIGTERM)
        port = two_free_ports()
        own = {"GATEWAY_WORKERS": "2", "GATEWAY_OPS_PORT": str(port)}
        gateway.environment = {**gateway.environment, **own}
        places = [f"http://127.0.0.1:{port + number}" for number in (0, 1)]
        gateway.start()
        until(lambda: all(map(is_ready, places)), "both workers")
        yield plant, gateway, places


def scraped(place: str) -> Samples:
    with urllib.request.urlopen(f"{place}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def total(samples: Samples, name: str, *labels: str) -> float:
    """Σ of those that have all of these labels."""
    return sum(
        value
        for one, value in samples.items()
        if re.match(rf"{name}(\{{|$)", one) and all(label in one for label in labels)
    )


def booked(gateway: GatewayProcess) -> dict[str, float]:
    """What the book says of model and project in all."""
    found: Counter[str] = Counter()
    for row in json.loads(gateway.command("usage", "--by", "status", "--json")):
        found[f"status {row['status']}"] += row["entries"]
        for name in ("input_tokens", "output_tokens", "cost"):
            found[name] += float(row[name])
    return dict(found)


def test_counters_of_all_workers_are_what_was_sent_and_a_budget_is_met_to_the_request() -> None:
    with two_workers() as (plant, gateway, places), ThreadPoolExecutor(AT_ONCE) as callers:
        key = plant.key("by-requests")
        statuses = Counter(callers.map(lambda _: ask(gateway.url, key), range(ASKED)))
        assert statuses == {200: BUDGET, 429: ASKED - BUDGET}
        each = [scraped(place) for place in places]
        served = [total(one, "gateway_requests_total", 'status="200"') for one in each]
        assert sum(served) == BUDGET
        assert min(served) > 0, "the kernel deals connections out to both"
        refused = [total(one, "gateway_requests_total", 'status="429"') for one in each]
        assert sum(refused) == ASKED - BUDGET
        served_upstream = plant.upstream.served()
        assert len(served_upstream) == BUDGET
        for name, kind in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            counted = sum(total(one, "gateway_tokens_total", f'type="{kind}"') for one in each)
            assert counted == sum(note[name] for note in served_upstream)
        words = [word for place in places for word in ("--metrics", place)]
        told = json.loads(gateway.command("usage", "reconcile", *words, "--json"))
        assert told["series"] >= 4
        assert told["differences"] == []
        until(lambda: booked(gateway).get("status 200") == BUDGET, "all is in the book")
        cost = sum(total(one, "gateway_cost_total") for one in each)
        assert abs(booked(gateway)["cost"] - cost) < 1e-9


def test_gauges_are_a_workers_own_and_one_that_is_killed_counts_from_zero_again() -> None:
    with two_workers() as (plant, gateway, places), ThreadPoolExecutor(AT_ONCE) as callers:
        key = plant.key("by-tokens")
        body = {**BODY, "model": "echo-tokens"}
        slow = {**body, "stream": True, "simulate": {"chunk_delay_seconds": 1}}
        request = urllib.request.Request(
            f"{gateway.url}/v1/chat/completions",
            json.dumps(slow).encode(),
            {"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as stream:
            each = [scraped(place) for place in places]
            for name in ("gateway_inflight_requests", "gateway_connections"):
                assert sorted(total(one, name) for one in each) == [0, 1]
            assert stream.read().endswith(b"data: [DONE]\n\n")
        other = plant.key("by-money")
        assert set(callers.map(lambda _: ask(gateway.url, other, "echo-money"), range(40))) == {200}
        until(lambda: booked(gateway).get("status 200") == 41, "all is in the book")
        before, book = [scraped(place) for place in places], booked(gateway)
        killed_at = time.time()
        first, second = children_of(gateway.pid)
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in children_of(gateway.pid), "it is noticed")
        until(lambda: all(map(is_ready, places)), "it is there again, on the same port")
        after = [scraped(place) for place in places]
        assert second in children_of(gateway.pid)
        restarted = [one["gateway_start_time_seconds"] >= killed_at - 1 for one in after]
        assert sorted(restarted) == [False, True]
        new, old = restarted.index(True), restarted.index(False)
        for name in ("gateway_requests_total", "gateway_tokens_total", "gateway_cost_total"):
            assert total(after[new], name) == 0
            assert total(after[old], name) == total(before[old], name) > 0
        assert booked(gateway) == book
