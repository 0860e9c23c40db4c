"""`gateway health`: is the gateway of this machine ready? For the health check of a container.

An image needs neither a shell nor curl for it. `python -m gateway.cli.health` is the same without
the other commands, whose imports cost a second: nothing to spend every ten seconds.
"""

from __future__ import annotations

import http.client
import json
import sys

from gateway.cli.operations_port import host_of, link_to
from gateway.settings import Settings, SettingsError, load

TIMEOUT_SECONDS = 4.0


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
    found = ((port, _problem(settings, port)) for port in ports)
    return [f"{host_of(settings)}:{port}: {problem}" for port, problem in found if problem]


def _problem(settings: Settings, port: int) -> str | None:
    connection = link_to(settings, port, TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {getattr(error, 'strerror', None) or type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == 200 else _told(body)


def _told(body: bytes) -> str:
    """The checks that failed, as readiness tells them."""
    try:
        checks = json.loads(body)
        return "; ".join(f"{name}: {said}" for name, said in checks.items() if said != "ok")
    except (ValueError, AttributeError):
        return "this is not the operations port of a gateway"


if __name__ == "__main__":
    health()
