"""`gateway doctor` beside a gateway that runs on Postgres and Redis."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from plant import GATEWAY, GatewayProcess, environment_of, running
from policy import amounts, policy_text


def told(gateway: GatewayProcess, **settings: str) -> dict[str, dict[str, Any]]:
    """The worst finding of each check."""
    changed = {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [*GATEWAY, "doctor", "--json"], capture_output=True, text=True, check=False, timeout=60,
        cwd=gateway.folder, env=environment_of(gateway.folder, {**gateway.environment, **changed}),
    )  # fmt: skip
    assert done.stderr == ""
    order = ["ok", "note", "warning", "wrong"]
    findings = sorted(
        json.loads(done.stdout)["findings"], key=lambda one: order.index(one["state"])
    )
    return {one["check"]: one for one in findings}


def test_what_a_gateway_runs_on_is_looked_at(tmp_path: Path) -> None:
    with running(policy_text(amounts(10)), 1, shared=True) as plant:
        (gateway,), redis = plant.gateways, plant.redis
        assert redis is not None
        well = told(gateway)
        names = ("database", "redis", "upstreams", "gateway")
        assert {name: well[name]["state"] for name in names} == dict.fromkeys(names, "ok")
        assert "Postgres" in well["database"]["found"]

        tell(redis.port, "CONFIG SET appendonly no")
        forgetful = told(gateway)["redis"]
        assert (forgetful["state"], "appendonly" in forgetful["found"]) == ("warning", True)
        tell(redis.port, "CONFIG SET maxmemory-policy allkeys-lru")
        evicting = told(gateway)["redis"]
        assert (evicting["state"], "noeviction" in evicting["found"]) == ("wrong", True)

        with psycopg.connect(plant.database_url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999_of_the_next'")
        assert told(gateway)["database"]["state"] == "warning"
        with psycopg.connect(plant.database_url) as connection:
            connection.execute("DROP TABLE alembic_version")
        empty = told(gateway)
        assert (empty["database"]["state"], empty["gateway"]["state"]) == ("wrong", "wrong")
        assert "gateway migrate" in empty["database"]["do"]


def tell(port: int, words: str) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        link.sendall(words.encode() + b"\r\n")
        assert link.recv(100).startswith(b"+OK")
