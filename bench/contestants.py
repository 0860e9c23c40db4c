"""Who is measured, and how each is started: nobody, nginx, the gateway under four governances.

All have the same fake upstream. The gateway's parts are started by the programs of tests/exact."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import yaml

from kernel_counts import on_core
from plant import GatewayProcess, Postgres, Redis, free_port
from yard import Contestant, Yard

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("bench", "bench-50ms")
COUNT = "SELECT count(*) FROM entries"

LIMITS = {
    "organization": [
        {"name": "org-money", "measure": "money", "amount": "1_000_000 USD", "per": "month"},
        {"name": "org-tokens", "measure": "tokens", "amount": 10**14, "per": "day"},
    ],
    "project": [
        {"name": "project-rate", "measure": "requests", "amount": 10**9, "per": "minute"},
        {"name": "project-tokens", "measure": "tokens", "amount": 10**13, "per": "day"},
    ],
    "key": [
        {"name": "key-rate", "measure": "requests", "amount": 10**8, "per": "minute"},
        {"name": "key-money", "measure": "money", "amount": "900_000 USD", "per": "month"},
    ],
}
"""Three levels, six limits, all so large that none ever refuses."""

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 64k;
  keepalive_requests 100000000;
  upstream fake {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://fake;
      proxy_http_version 1.1;
      proxy_set_header connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def direct(yard: Yard) -> Contestant:
    """Nothing between the load and the upstream: what all others are compared with."""
    return Contestant("direct", yard.upstream_port)


def nginx(yard: Yard) -> Contestant:
    """A reverse proxy that governs nothing. Raises FileNotFoundError where it is not installed."""
    program = shutil.which("nginx")
    if program is None:
        raise FileNotFoundError("nginx is not installed")
    folder, port = yard.folder / "nginx", free_port()
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, upstream=yard.upstream_port, port=port))
    return yard.program("nginx", [program, "-c", str(file)], port, {})


def gateway_open(yard: Yard) -> Contestant:
    """The least governance there is: a key and an entry, no limit, no redaction."""
    return _gateway(yard, "gateway-open", policy(yard.upstream_port))


def gateway_quotas(yard: Yard) -> Contestant:
    """Three levels, six limits; no redaction."""
    return _gateway(yard, "gateway-quotas", policy(yard.upstream_port, limits=LIMITS))


def gateway_redaction(yard: Yard) -> Contestant:
    """Quotas, and the redaction of the default policy."""
    return _gateway(yard, "gateway-redaction", full_policy(yard))


def gateway_shared(yard: Yard) -> Contestant:
    """The same on Redis and Postgres, of the wheels that tests use."""
    with on_core(yard.cores.stores):
        postgres = Postgres(yard.stack)
        redis = Redis(yard.folder / "redis")
    yard.stack.callback(redis.end, signal.SIGKILL)
    stores = {"GATEWAY_DATABASE_URL": postgres.url, "GATEWAY_REDIS_URL": redis.url}
    made = _gateway(yard, "gateway-shared", full_policy(yard), stores)
    made.stores = (postgres.pid, redis.pid)
    return made


STARTERS: Mapping[str, Callable[[Yard], Contestant]] = {
    "direct": direct,
    "nginx": nginx,
    "gateway-open": gateway_open,
    "gateway-quotas": gateway_quotas,
    "gateway-redaction": gateway_redaction,
    "gateway-shared": gateway_shared,
}


def policy(
    upstream_port: int,
    limits: Mapping[str, list[dict[str, Any]]] | None = None,
    redaction: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A policy file with one organization, one project; `limits` by level."""
    levels = limits or {}
    model = {
        "upstream": "fake",
        "endpoints": ["chat"],
        "price": {"input": 0.15, "cached_input": 0.075, "output": 0.60},
        "context": 128_000,
        "max_output": 16_384,
        "default_output": 256,
        "tokenizer": "o200k",
    }
    of_keys = [{**limit, "each": "key"} for limit in levels.get("key", [])]
    project = {"models": ["bench*"], "limits": [*levels.get("project", []), *of_keys]}
    return {
        "upstreams": {"fake": {"base_url": f"http://127.0.0.1:{upstream_port}/v1"}},
        "models": dict.fromkeys(MODELS, model),
        "redaction": {"bench": redaction or {"entities": {}}},
        "organizations": {
            "acme": {
                "timezone": "Europe/Berlin",
                "currency": "USD",
                "defaults": {"redaction": "bench"},
                "limits": levels.get("organization", []),
                "projects": {"search": project},
            }
        },
    }


def full_policy(yard: Yard) -> dict[str, Any]:
    default = yaml.safe_load((ROOT / "policies/default.yaml").read_text())
    return policy(yard.upstream_port, LIMITS, default["redaction"]["standard"])


def _gateway(
    yard: Yard, name: str, rules: Mapping[str, Any], stores: Mapping[str, str] | None = None
) -> Contestant:
    return yard.started(*prepared(yard, name, rules, stores))


def prepared(
    yard: Yard, name: str, rules: Mapping[str, Any], stores: Mapping[str, str] | None = None
) -> tuple[GatewayProcess, Contestant]:
    """A gateway of its own with one key, made by the command, in the state of a first start."""
    folder = yard.folder / name
    (folder / "policies").mkdir(parents=True)
    written = yaml.dump(rules, Dumper=_Plain, sort_keys=False)
    (folder / "policies" / "bench.yaml").write_text(written)
    environment = {
        "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
        "GATEWAY_PEPPER": "a pepper of benches, of 32 letters",
        "GATEWAY_POLICIES": str(folder / "policies"),
        "GATEWAY_BOOTSTRAP": "never",
        **(stores or {}),
        **{f"GATEWAY_{option.upper()}": value for option, value in yard.settings.items()},
    }
    process = GatewayProcess(folder, environment)
    process.command("migrate")
    made = process.command("key", "create", "--project", "search", "--name", "bench", "--json")
    yard.stack.callback(process.end, signal.SIGTERM)
    return process, Contestant(
        name,
        int(process.url.rpartition(":")[2]),
        headers={"authorization": f"Bearer {json.loads(made)['key']}"},
        entries=lambda: entries_in(environment["GATEWAY_DATABASE_URL"]),
    )


class _Plain(yaml.SafeDumper):
    """Without anchors, which policies do not have."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def entries_in(database_url: str) -> int:
    """How many usage entries a gateway's database has."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as book:
            return int(book.execute(COUNT).fetchone()[0])
    with psycopg.connect(database_url) as link:
        row = link.execute(COUNT).fetchone()
        return int(row[0]) if row else 0
