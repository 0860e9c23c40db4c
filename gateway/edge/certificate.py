"""When a certificate ends, read out of its PEM: the standard library tells it to clients only.

Source: RFC 5280, 4.1 (tbsCertificate: version, serialNumber, signature, issuer, validity, …), in
the DER of ITU-T X.690: a tag, a length, and as many bytes.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
FORMS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}  # UTCTime, GeneralizedTime
VERSION = 0xA0


def not_after(pem: bytes) -> float | None:
    """The end of the first certificate, in unix seconds; None where that cannot be read."""
    _, begin, rest = pem.partition(BEGIN)
    body, end, _ = rest.partition(END)
    try:
        der = ssl.PEM_cert_to_DER_cert((begin + body + end).decode("ascii"))
        _, certificate, _ = _element(der)
        _, fields, _ = _element(certificate)
        tag, _, after_first = _element(fields)
        if tag == VERSION:
            fields = after_first
        for _ in ("serialNumber", "signature", "issuer"):
            _, _, fields = _element(fields)
        _, validity, _ = _element(fields)
        _, _, rest = _element(validity)
        tag, text, _ = _element(rest)
        return datetime.strptime(text.decode("ascii"), FORMS[tag]).replace(tzinfo=UTC).timestamp()
    except (ValueError, IndexError, KeyError):
        return None


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """The first element: its tag, what it holds, and what follows it."""
    tag, length, start = der[0], der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if start + length > len(der):
        raise ValueError("it ends within an element")
    return tag, der[start : start + length], der[start + length :]
