"""How commands ask the operations port of a gateway on this machine.

Imports little: a health check runs every ten seconds.
"""

from __future__ import annotations

import http.client
import ssl

from gateway.settings import Settings

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where "all addresses" can be called


def host_of(settings: Settings) -> str:
    return _LOOPBACK.get(settings.ops_host, settings.ops_host)


def link_to(settings: Settings, port: int, seconds: float) -> http.client.HTTPConnection:
    """Over TLS where that port has it. Its certificate names what callers call, not this machine,
    so it is not looked at: nothing secret is sent."""
    host = host_of(settings)
    if settings.ops_tls != "on":
        return http.client.HTTPConnection(host, port, timeout=seconds)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
