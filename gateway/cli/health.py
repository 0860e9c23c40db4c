"""`gateway health`: is the gateway of this machine ready? For the health check of a container.

An image needs neither a shell nor curl for it. `python -m gateway.cli.health` is the same without
the other commands, whose imports cost a second: nothing to spend every ten seconds.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys

from gateway.settings import Settings, SettingsError, load

TIMEOUT_SECONDS = 4.0
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where "all addresses" can be called


def health() -> None:
    """Ask the operations port of each worker on this machine whether it is ready.

    Prints `ok`, or what is wrong, and exits with 1 then: also where nothing listens. Takes the
    settings of `gateway serve` from the environment."""
    try:
        problems = problems_of(load({}))
    except SettingsError as problem:
        problems = [str(problem)]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        raise SystemExit(1)
    print("ok")


def problems_of(settings: Settings) -> list[str]:
    if settings.ops_port == 0:
        return ["GATEWAY_OPS_PORT is 0, so nobody knows the port. Set it to a number."]
    ports = range(settings.ops_port, settings.ops_port + settings.workers)
    host = LOOPBACK.get(settings.ops_host, settings.ops_host)
    found = ((port, _problem(host, port, settings.ops_tls == "on")) for port in ports)
    return [f"{host}:{port}: {problem}" for port, problem in found if problem]


def _problem(host: str, port: int, tls: bool) -> str | None:
    connection = _over_tls(host, port) if tls else _plain(host, port)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {getattr(error, 'strerror', None) or type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == 200 else _told(body)


def _plain(host: str, port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)


def _over_tls(host: str, port: int) -> http.client.HTTPConnection:
    """The certificate names what callers call, not this machine, and nothing secret is sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)


def _told(body: bytes) -> str:
    """The checks that failed, as readiness tells them."""
    try:
        checks = json.loads(body)
        return "; ".join(f"{name}: {said}" for name, said in checks.items() if said != "ok")
    except (ValueError, AttributeError):
        return "this is not the operations port of a gateway"


if __name__ == "__main__":
    health()
