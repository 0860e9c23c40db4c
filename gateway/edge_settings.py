"""The options of the two ports: where they listen, over TLS or not, and what a caller may take."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.setting_kinds import choice, integer, networks, seconds, setting, text_of

_PORT = integer(0, 65535)


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """The first part of Settings. Sizes in bytes, times in seconds."""

    host: str = setting("127.0.0.1", text_of("an address"), "Address of the API.")
    port: int = setting(8080, _PORT, "Port of the API; 0 takes a free one.")
    reuse_port: str = setting(
        "off", choice("on", "off"), "Whether other processes may listen on the API's port, too."
    )
    ops_host: str = setting("127.0.0.1", text_of("an address"), "Address of metrics and probes.")
    ops_port: int = setting(9090, _PORT, "Port of metrics and probes; 0 takes a free one.")
    tls_certificate: str | None = setting(
        None,
        text_of("a PEM file"),
        "The certificate and its chain, which makes the API's port HTTPS. Needs GATEWAY_TLS_KEY. "
        "Renewed files are taken over without a restart.",
    )
    tls_key: str | None = setting(
        None, text_of("a PEM file"), "The certificate's private key, without a passphrase."
    )
    tls_client_ca: str | None = setting(
        None,
        text_of("a PEM file"),
        "With it, the API's port is open only to clients whose certificate one of these "
        "authorities has signed. Their keys are asked for nevertheless.",
    )
    tls_minimum: str = setting("1.2", choice("1.2", "1.3"), "The oldest version of TLS spoken.")
    tls_reload_seconds: float = setting(
        10.0, seconds(0.05, 86_400), "How often the files of TLS are looked at for a renewal."
    )
    ops_tls: str = setting(
        "off",
        choice("on", "off"),
        "Whether the operations port is HTTPS, too, with the same certificate. It never asks for a "
        "client's.",
    )
    trusted_proxies: str | None = setting(
        None,
        networks,
        "Proxies that are believed about whom they forward for. Without it, nobody is.",
    )
    forwarded_header: str = setting(
        "x-forwarded-for",
        choice("x-forwarded-for", "forwarded"),
        "The header in which trusted proxies tell it. The other one is never read.",
    )
    log_addresses: str = setting(
        "off",
        choice("on", "off"),
        "Whether the log line of a request has `client`, the address of its caller. It may be "
        "personal data; entries of usage never have it.",
    )
    body_bytes_max: int = setting(
        20 * 2**20, integer(1024, 2**31), "Largest request body; more is answered with 413."
    )
    body_timeout_seconds: float = setting(
        30.0, seconds(0.1, 3600), "A request body must have arrived by then; else 408."
    )
    header_bytes_max: int = setting(
        65536,
        integer(1024, 2**20),
        "Largest request head, and the most that the chunks of a body, in a row, may carry besides "
        "it; more is answered with 431.",
    )
    headers_max: int = setting(
        128, integer(8, 10**5), "Most headers of a request; more are answered with 431."
    )
    header_timeout_seconds: float = setting(
        10.0,
        seconds(0.1, 3600),
        "A request head must have arrived by then, and a TLS handshake be done; else 408.",
    )
    keep_alive_seconds: float = setting(
        75.0, seconds(0, 3600), "An idle connection of a client is closed after that."
    )
    pipelined_max: int = setting(
        16,
        integer(0, 1000),
        "Requests that may wait on one connection for answers before theirs; one more is refused.",
    )
    connections_max: int = setting(
        10_000,
        integer(1, 10**6),
        "Connections to one port at once; more are answered with 503 and closed.",
    )
    connections_per_address_max: int = setting(
        5000,
        integer(1, 10**6),
        "Connections of one address (IPv6: of one /64) at once, so that none takes all; more are "
        "answered with 503 and closed. Of a trusted proxy it bounds the requests in work of each "
        "address behind it instead; more are answered with 429.",
    )
    write_timeout_seconds: float = setting(
        60.0,
        seconds(0.1, 3600),
        "A caller must take each piece of the answer within this; else it is gone.",
    )
