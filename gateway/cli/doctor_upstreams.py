"""Checks of upstreams: the name, the connection, its certificate, and what GET /models answers."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from threading import Thread
from urllib.parse import SplitResult, urlsplit

from gateway.backends.http_upstream import trusted
from gateway.cli.diagnosis import Finding, Patient, State, skew
from gateway.policy.policy import UpstreamPolicy
from gateway.simulated import is_simulated

LEEWAY_SECONDS = 0.5  # for the connection's own time-out, which can say more, to come first
DATE_SECONDS = 1.0  # how exact a Date header is
REFUSED = (401, 403)


def upstreams(patient: Patient) -> Iterator[Finding]:
    """All that policies name, at the same time."""
    asked = [one for one in patient.upstreams() if not is_simulated(one, patient.environ)]
    found: dict[str, list[Finding]] = {}

    def ask(one: UpstreamPolicy) -> None:
        found[one.name] = list(_upstream(one, patient))

    threads = [Thread(target=ask, args=(one,), daemon=True) for one in asked]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + patient.seconds + LEEWAY_SECONDS
    for one, thread in zip(asked, threads, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        yield from found.get(one.name) or [
            _wrong(one, f"no answer within {patient.seconds:g} seconds", _NETWORK)
        ]


_NETWORK = "See whether a firewall, a NetworkPolicy or a proxy stands in between."
_NAME = "Correct base_url, or the name server."
_TRUST = "Name the authority that signed it in SSL_CERT_FILE."


def _wrong(one: UpstreamPolicy, found: str, do: str) -> Finding:
    return Finding("upstreams", State.WRONG, f"{one.name}: {found}", do)


def _upstream(one: UpstreamPolicy, patient: Patient) -> Iterable[Finding]:
    url = urlsplit(patient.url_of(one).rstrip("/") + "/models")
    where = f"{url.hostname}:{_port(url)}"
    began = time.monotonic()
    asked_at = patient.now()
    try:
        status, date = _asked(url, patient.environ.get(one.api_key_env or ""), patient.seconds)
    except socket.gaierror:
        return [_wrong(one, f"the host name {url.hostname} cannot be resolved", _NAME)]
    except ssl.SSLCertVerificationError as error:
        found = f"{where} has a certificate that is not trusted ({error.verify_message})"
        return [_wrong(one, found, _TRUST)]
    except ssl.SSLError:
        return [_wrong(one, f"{where} does not speak TLS", "Correct base_url: http or https?")]
    except TimeoutError:
        return [_wrong(one, f"{where} does not answer in time", _NETWORK)]
    except ConnectionRefusedError:
        return [_wrong(one, f"nothing listens at {where}", "Start it, or correct base_url.")]
    except (OSError, http.client.HTTPException, ValueError) as error:
        kind = type(error).__name__
        return [_wrong(one, f"{where} does not answer as HTTP ({kind})", "Correct base_url.")]
    took_ms = (time.monotonic() - began) * 1000
    return [_status(one, status, took_ms), *_skew(one, date, asked_at, patient.now())]


def _status(one: UpstreamPolicy, status: int, took_ms: float) -> Finding:
    answered = f"{one.name}: answers in {took_ms:.0f} ms"
    if status in REFUSED:
        do = f"Set {one.api_key_env or 'api_key_env in its policy'} to a good key."
        return _wrong(one, f"it refuses the key ({status})", do)
    if status >= 500 or status == 429:
        return Finding("upstreams", State.WARNING, f"{answered} with {status}", "Try again later.")
    if status >= 300:
        do = "Many upstreams list no models. If requests fail: base_url ends in /v1, as a rule."
        return Finding("upstreams", State.NOTE, f"{answered} with {status} for /models", do)
    return Finding("upstreams", State.OK, f"{answered}, and takes the key")


def _skew(one: UpstreamPolicy, date: str | None, asked_at: float, now: float) -> list[Finding]:
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return []
    theirs = min(max(theirs, asked_at), theirs + DATE_SECONDS)
    return skew("upstreams", theirs, asked_at, now, one.name)


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _asked(url: SplitResult, key: str | None, seconds: float) -> tuple[int, str | None]:
    """Status and Date of one GET. The body is not read."""
    host = url.hostname or ""
    link: http.client.HTTPConnection = http.client.HTTPConnection(host, _port(url), timeout=seconds)
    if url.scheme == "https":
        link = http.client.HTTPSConnection(host, _port(url), timeout=seconds, context=trusted())
    try:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        link.request("GET", url.path, headers=headers)
        answer = link.getresponse()
        return answer.status, answer.getheader("date")
    finally:
        link.close()
