"""A gateway that is started before its database is there, or before its tables are."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from plant import GatewayProcess, Postgres, Redis, free_port, until
from policy import amounts, policy_text


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def gateway_of(folder: Path, stack: ExitStack, url: str, **settings: str) -> GatewayProcess:
    """On a database at `url`, and a Redis of its own. Not started."""
    redis = Redis(folder / "redis")
    stack.callback(redis.end, signal.SIGKILL)
    (folder / "policies").mkdir()
    text = policy_text(amounts(10)).replace("@UPSTREAM@", "http://127.0.0.1:9/v1")
    (folder / "policies" / "exact.yaml").write_text(text)
    environment = {
        "GATEWAY_PEPPER": "a pepper of tests, of 32 letters",
        "GATEWAY_POLICIES": str(folder / "policies"),
        "GATEWAY_BOOTSTRAP": "never",
        "GATEWAY_LOG_LEVEL": "info",
        "GATEWAY_DATABASE_URL": url,
        "GATEWAY_REDIS_URL": redis.url,
        "EXACT_UPSTREAM_KEY": "sk-upstream-0123456789abcdef",
    } | {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
    gateway = GatewayProcess(folder / "gateway", environment)
    stack.callback(gateway.end, signal.SIGKILL)
    return gateway


def probe(gateway: GatewayProcess, path: str) -> tuple[int, str]:
    """Status and body; 0 where nobody answers."""
    try:
        return 200, gateway.get(path)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def logged(gateway: GatewayProcess, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(one) for one in gateway.log.read_text().splitlines() if one[:1] == "{"]
    return [line for line in lines if line["event"] == event]


def is_refused(gateway: GatewayProcess) -> bool:
    """Whether the API's port refuses a connection, at once."""
    url = urlsplit(gateway.url)
    try:
        socket.create_connection((str(url.hostname), url.port or 0), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_start_waits_for_its_tables_and_a_newer_release_may_make_more_of_them(
    tmp_path: Path, stack: ExitStack
) -> None:
    postgres = Postgres(stack)
    gateway = gateway_of(tmp_path, stack, postgres.url)
    gateway.start()
    until(lambda: logged(gateway, "waiting_for_database"), "it says what it waits for")
    assert probe(gateway, "/livez")[0] == 200
    status, body = probe(gateway, "/readyz")
    assert (status, "run `gateway migrate`" in json.loads(body)["start"]) == (503, True)
    assert probe(gateway, "/metrics")[0] == 503
    assert is_refused(gateway)
    gateway.command("migrate")
    gateway.ready()
    assert not is_refused(gateway)
    assert len(logged(gateway, "waiting_for_database")) <= 8  # one in ten seconds

    with psycopg.connect(postgres.url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_of_the_next_release'")
    status, body = probe(gateway, "/readyz?verbose")
    assert (status, json.loads(body)["schema"]) == (200, "ok")
    assert gateway.end(signal.SIGTERM) == 0
    gateway.start()
    gateway.ready()
    assert ["finish the upgrade" in line["text"] for line in logged(gateway, "schema_newer")] == [
        True
    ]


def test_a_start_ends_when_it_has_waited_long_enough_or_is_told_to(
    tmp_path: Path, stack: ExitStack
) -> None:
    url = f"postgresql://me:hunter22@127.0.0.1:{free_port()}/gateway"
    gateway = gateway_of(tmp_path, stack, url, database_wait_seconds="1.5")
    gateway.start()
    until(lambda: logged(gateway, "waiting_for_database"), "it says what it waits for")
    assert gateway.end(signal.SIGCONT) == 3
    said = gateway.log.read_text()
    assert "nothing listens there" in said
    assert "GATEWAY_DATABASE_WAIT_SECONDS=1.5 are over" in said
    assert "hunter22" not in said
    assert "Traceback" not in said

    gateway.log.unlink()
    gateway.environment = {**gateway.environment, "GATEWAY_DATABASE_WAIT_SECONDS": "3600"}
    gateway.start()
    until(lambda: logged(gateway, "waiting_for_database"), "it waits again")
    assert gateway.end(signal.SIGTERM) == 0
    assert [one["event"] for one in logged(gateway, "stopped")] == ["stopped"]
