"""Several gateways on one Redis: workers on one port, and replicas that hear of each other."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from plant import GatewayProcess, Plant, free_port, running, until
from policy import MODELS, amounts, policy_text

ROOMY = amounts(10**6)
BODY = {"model": MODELS["requests"], "messages": [{"role": "user", "content": "hi"}]}


def ask(url: str, key: str, model: str = MODELS["requests"]) -> int:
    """The status of one chat completion."""
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps({**BODY, "model": model}).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """Two replicas, whose backstop is too slow to help a test."""
    with running(policy_text(ROOMY), 2, shared=True, generation_seconds="3600") as plant:
        yield plant


def test_a_revoked_key_is_refused_on_its_next_request_at_every_replica(plant: Plant) -> None:
    made = json.loads(
        plant.gateways[0].command(
            "key", "create", "--project", "by-requests", "--name", "short", "--json"
        )
    )
    assert [ask(url, made["key"]) for url in plant.urls * 2] == [200] * 4
    plant.gateways[0].command("key", "revoke", made["id"])
    assert [ask(url, made["key"]) for url in plant.urls] == [401, 401]


def test_the_meters_of_all_replicas_are_the_book_together(plant: Plant) -> None:
    key = plant.key("by-requests")
    assert [ask(url, key) for url in plant.urls * 3] == [200] * 6
    assert [ask(url, "no-key") for url in plant.urls] == [401, 401]
    places = [word for gateway in plant.gateways for word in ("--metrics", gateway.ops_url)]
    told = json.loads(plant.gateways[0].command("usage", "reconcile", *places, "--json"))
    assert told["series"] >= 4
    assert told["differences"] == []


def test_a_raise_holds_from_the_next_request_at_every_replica_and_so_does_its_end() -> None:
    with running(policy_text(amounts(1)), 2, shared=True, generation_seconds="3600") as plant:
        key, first = plant.key("by-requests"), plant.gateways[0]
        assert [ask(url, key) for url in plant.urls] == [200, 429]
        words = ("--organization", "acme", "--project", "by-requests", "--by", "ada")
        first.command("grant", "add", "requests", "2", *words)
        assert ask(plant.urls[1], key) == 200
        (granted,) = json.loads(first.command("grant", "list", "--json"))
        first.command("grant", "end", granted["id"], "--by", "ada")
        assert [ask(url, key) for url in plant.urls] == [429, 429]


def test_workers_share_a_port_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    with running(policy_text(amounts(5)), 1, shared=True) as plant:
        (gateway,) = plant.gateways
        gateway.end(signal.SIGTERM)
        gateway.environment = {
            **gateway.environment,
            "GATEWAY_WORKERS": "2",
            "GATEWAY_OPS_PORT": str(two_free_ports()),
        }
        first, second = (
            f"http://127.0.0.1:{int(gateway.environment['GATEWAY_OPS_PORT']) + n}" for n in (0, 1)
        )
        gateway.start()
        until(lambda: is_ready(first) and is_ready(second), "both workers")
        key = plant.key("by-requests")
        assert sorted(ask(gateway.url, key) for _ in range(8)) == [200] * 5 + [429] * 3
        worker, *_ = children_of(gateway.pid)
        os.kill(worker, signal.SIGKILL)
        until(lambda: worker not in children_of(gateway.pid), "the dead one is noticed")
        until(lambda: is_ready(first) and is_ready(second), "it is started again")
        assert ask(gateway.url, key) == 429
        workers = children_of(gateway.pid)
        assert gateway.end(signal.SIGTERM) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_what_was_admitted_while_redis_was_away_is_booked_when_it_is_back() -> None:
    """Admitted under way, at a stop, and after a start without Redis: three requests of three."""
    policy = policy_text(amounts(3)).replace("  acme:\n", "  acme:\n    on_ledger_outage: admit\n")
    with running(policy, 1, shared=True, generation_seconds="0.2") as plant:
        (gateway,), redis = plant.gateways, plant.redis
        assert redis is not None
        key = plant.key("by-requests")
        redis.end(signal.SIGKILL)
        assert ask(gateway.url, key) == 200
        assert gateway.metric("gateway_ledger_owed") >= 1
        assert gateway.metric("gateway_ledger_outage_admitted_total") == 1
        redis.start()
        until(lambda: gateway.metric("gateway_ledger_owed") == 0, "the first debt is booked")
        redis.end(signal.SIGKILL)
        assert ask(gateway.url, key) == 200
        gateway.end(signal.SIGTERM)
        gateway.start()
        gateway.ready()
        assert ask(gateway.url, key) == 200
        redis.start()
        until(lambda: gateway.metric("gateway_ledger_owed") == 0, "the last debt is booked")
        assert until(lambda: ask(gateway.url, key) != 503 and ask(gateway.url, key), "Redis") == 429
        assert used_of(gateway) == 3
        assert len(json.loads(gateway.command("usage", "--by", "model", "--json"))) == 1
        words = ("usage", "reconcile", "--gateway", gateway.ops_url, "--json")
        assert json.loads(gateway.command(*words))["differences"] == []


def test_a_second_embedded_gateway_on_one_database_does_not_start() -> None:
    with running(policy_text(ROOMY), 1, shared=False) as plant:
        (gateway,) = plant.gateways
        with pytest.raises(RuntimeError, match="in use by another gateway"):
            gateway.command("serve", "--port", "0", "--ops-port", "0")
        assert ask(gateway.url, plant.key("by-requests")) == 200


def test_reservations_of_a_killed_gateway_are_booked_when_it_starts_again() -> None:
    with running(policy_text(ROOMY), 1, shared=False) as plant:
        (gateway,) = plant.gateways
        key = plant.key("by-requests")
        kill_in_a_request(gateway, key)
        database = sqlite3.connect(plant.database_url.removeprefix("sqlite:///"))
        assert database.execute("SELECT count(*) FROM reservations").fetchone() == (1,)
        gateway.start()
        gateway.ready()
        left = database.execute("SELECT count(*) FROM reservations").fetchone()
        booked = database.execute("SELECT outcome, requests, source FROM entries").fetchall()
        database.close()
        assert left == (0,)
        assert booked == [("abandoned", 1, "abandoned")]
        assert gateway.metric("gateway_reservations_abandoned_total") == 1
        assert gateway.metric("gateway_tokens_total") > 0
        words = ("usage", "reconcile", "--metrics", gateway.ops_url, "--json")
        assert json.loads(gateway.command(*words))["differences"] == []


def test_use_of_a_killed_replica_is_in_the_meters_of_another() -> None:
    policy = re.sub(r"_timeout: \ds", "_timeout: 1s", policy_text(ROOMY))
    short = {"reservation_margin_seconds": "1", "write_timeout_seconds": "1"}
    with running(policy, 2, shared=True, sweep_seconds="0.2", **short) as plant:
        killed, other = plant.gateways
        kill_in_a_request(killed, plant.key("by-requests"))
        tokens = until(lambda: other.metric("gateway_tokens_total"), "it is posted")
        (booked,) = json.loads(other.command("usage", "--json"))
        assert (booked["outcome"], booked["input_tokens"] + booked["output_tokens"]) == (
            "abandoned",
            tokens,
        )
        words = ("usage", "reconcile", "--metrics", other.ops_url, "--json")
        told = json.loads(other.command(*words))
        assert (told["series"], told["differences"]) == (4, [])


def kill_in_a_request(gateway: GatewayProcess, key: str) -> None:
    """As its stream has begun."""
    slow = {**BODY, "stream": True, "simulate": {"chunk_delay_seconds": 5}}
    request = urllib.request.Request(
        f"{gateway.url}/v1/chat/completions",
        json.dumps(slow).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30):
        gateway.end(signal.SIGKILL)


def used_of(gateway: GatewayProcess) -> int:
    """-1 while Redis cannot be asked."""
    try:
        _, counters = gateway.counters()
    except OSError:
        return -1
    return sum(one["used"] for one in counters if one["measure"] == "requests")


def is_ready(ops_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{ops_url}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def two_free_ports() -> int:
    """The first of two that follow each other."""
    while True:
        port = free_port()
        try:
            with_next = socket.create_server(("127.0.0.1", port + 1))
        except OSError:
            continue
        with_next.close()
        return port
