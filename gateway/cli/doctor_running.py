"""A gateway that runs here already: what its own readiness says."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable

from gateway.cli.diagnosis import Finding, Patient, State
from gateway.cli.operations_port import host_of, link_to

ANSWER_BYTES_MAX = 100_000


def running(patient: Patient) -> Iterable[Finding]:
    settings = patient.settings
    where = f"{host_of(settings)}:{settings.ops_port}"
    link: http.client.HTTPConnection | None = None
    try:
        link = link_to(settings, settings.ops_port, patient.seconds)
        link.request("GET", "/readyz?verbose")
        answer = link.getresponse()
        told = json.loads(answer.read(ANSWER_BYTES_MAX))
    except ConnectionRefusedError:
        return [Finding("gateway", State.NOTE, f"none runs at {where}")]
    except (OSError, http.client.HTTPException, ValueError):
        do = "Stop it, or choose another GATEWAY_OPS_PORT."
        found = f"something else, or a gateway that hangs, is at {where}"
        return [Finding("gateway", State.WARNING, found, do)]
    finally:
        if link:
            link.close()
    if answer.status == 200:
        return [Finding("gateway", State.OK, f"one runs at {where} and is ready")]
    checks = told.items() if isinstance(told, dict) else ()
    wrong = [f"{name}: {text}" for name, text in checks if name != "status" and text != "ok"]
    found = f"one runs at {where} and is not ready: {'; '.join(wrong)}"
    return [Finding("gateway", State.WRONG, found, "Its log says more.")]
