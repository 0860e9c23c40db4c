"""Checks of TLS: that the port's certificate can be used, and for how long."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.cli.diagnosis import Finding, Patient, State
from gateway.cli.welcome import is_loopback
from gateway.edge.tls import TlsProblem, load_tls
from gateway.logs.log import build_log

DAY_SECONDS = 86_400
DAYS_LEFT_MIN = 14


def tls(patient: Patient) -> Iterable[Finding]:
    ends: list[float] = []
    try:
        found = load_tls(patient.settings, build_log("error"), ends.append)
    except TlsProblem as problem:
        return [Finding("tls", State.WRONG, str(problem), "The gateway does not start with it.")]
    if found is None:
        return [_plain(patient.settings.host)]
    if not ends:
        return [Finding("tls", State.OK, "the certificate and its key can be used")]
    days = (ends[0] - patient.now()) / DAY_SECONDS
    do = "Renew it; a gateway that runs takes the new files over by itself."
    if days <= 0:
        return [Finding("tls", State.WRONG, "the certificate has ended", do)]
    told = f"the certificate and its key can be used; it ends in {days:.1f} days"
    if days < DAYS_LEFT_MIN:
        return [Finding("tls", State.WARNING, told, do)]
    return [Finding("tls", State.OK, told)]


def _plain(host: str) -> Finding:
    if is_loopback(host):
        return Finding("tls", State.OK, f"the API is plain HTTP, on {host} only")
    do = "Set GATEWAY_TLS_CERTIFICATE and GATEWAY_TLS_KEY, unless an ingress ends TLS before it."
    return Finding("tls", State.NOTE, f"the API is plain HTTP on {host}: keys can be read", do)
