"""The first start: an admin key and a demo key, each shown once, and what to do with them."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import typer

from gateway.backends.database import Database
from gateway.backends.sql_keyring import SqlKeyring
from gateway.keys.key import Role
from gateway.policy.policy import Policy
from gateway.settings import Settings

DEMO = "demo"
SAMPLE = "Mail ada@example.com about card 4111 1111 1111 1111."


@dataclass(frozen=True, slots=True)
class FirstKeys:
    admin: str
    demo: str | None


async def make_first_keys(settings: Settings, policy: Policy, pepper: bytes) -> FirstKeys | None:
    """Keys for a database that has none, on loopback only; None where that is not so."""
    if settings.bootstrap == "never" or not is_loopback(settings.host):
        return None
    database = Database(settings.database_url, 1)
    try:
        keyring = SqlKeyring(database)
        if await keyring.count():
            return None
        organization = next(
            (o for o in policy.organizations.values() if DEMO in o.projects),
            next(iter(policy.organizations.values())),
        )
        admin = await keyring.create(
            pepper,
            organization.name,
            "",
            "first admin",
            role=Role.ADMIN,
            now=time.time(),
            random_bytes=os.urandom,
        )
        if DEMO not in organization.projects:
            return FirstKeys(admin.text, None)
        demo = await keyring.create(
            pepper,
            organization.name,
            DEMO,
            "first demo",
            now=time.time(),
            random_bytes=os.urandom,
        )
        return FirstKeys(admin.text, demo.text)
    finally:
        await database.aclose()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def greeting(
    api_url: str,
    ops_url: str,
    keys: FirstKeys | None,
    simulated: Sequence[str],
    settings: Settings,
    troubles: Collection[str] = (),
) -> None:
    """Say on standard output where everything is, and what to paste."""
    say = typer.echo
    say(f"\nCompletion Gateway listens on {api_url}/v1 (operations: {ops_url}/metrics)")
    if simulated:
        say(f"Answered by the built-in simulated upstream: {', '.join(simulated)}.")
        say(f"What leaves the gateway for it is logged in {settings.simulator_log}")
    for trouble in troubles:
        say(f"NOT WHOLE: {trouble}")
    if keys is None:
        return
    say("\nNo keys yet, so these were made. They are shown this once:")
    say(f"  admin key  {keys.admin}   (for the admin API to come; not for completions)")
    if keys.demo is None:
        return
    say(f"  demo key   {keys.demo}")
    say("\nTry it. The answer repeats what you sent; the log above shows what left:\n")
    say(_curl(api_url, keys.demo))
    say("\nOr with the official Python client (it is in .venv of a checkout):\n")
    say(_python(api_url, keys.demo))


def _curl(api_url: str, key: str) -> str:
    body = '{"model": "echo", "messages": [{"role": "user", "content": "' + SAMPLE + '"}]}'
    return (
        f"curl -s {api_url}/v1/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )


def _python(api_url: str, key: str) -> str:
    return f"""\
.venv/bin/python - <<'EOF'
from openai import OpenAI

client = OpenAI(base_url="{api_url}/v1", api_key="{key}")
stream = client.chat.completions.create(
    model="echo",
    stream=True,
    messages=[{{"role": "user", "content": "{SAMPLE}"}}],
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
EOF"""
