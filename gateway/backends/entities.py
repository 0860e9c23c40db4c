"""What the recognizers find, for whoever checks a policy: cheap to import, unlike Presidio."""

from __future__ import annotations

from typing import Final

ENTITIES: Final = frozenset(
    {
        "API_KEY",
        "CN_ID_CARD",
        "CN_MOBILE",
        "CREDIT_CARD",
        "EMAIL_ADDRESS",
        "IBAN_CODE",
        "IP_ADDRESS",
        "JWT",
        "PHONE_NUMBER",
        "PRIVATE_KEY",
        "US_SSN",
    }
)
"""The entities that a policy may name. Those that Presidio has too bear Presidio's name."""
