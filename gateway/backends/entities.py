"""What the recognizers find, for whoever checks a policy: cheap to import, unlike Presidio."""

from __future__ import annotations

from typing import Final

ENTITIES: Final = frozenset(
    {
        "API_KEY",
        "BR_CNPJ",
        "BR_CPF",
        "CN_BANK_CARD",
        "CN_ID_CARD",
        "CN_LICENSE_PLATE",
        "CN_MOBILE",
        "CN_PASSPORT",
        "CN_USCC",
        "CREDIT_CARD",
        "DATE_OF_BIRTH",
        "EMAIL_ADDRESS",
        "FR_NIR",
        "HK_ID_CARD",
        "IBAN_CODE",
        "IP_ADDRESS",
        "JP_MY_NUMBER",
        "JWT",
        "NL_BSN",
        "PASSWORD",
        "PHONE_NUMBER",
        "PRIVATE_KEY",
        "SECRET",
        "STREET_ADDRESS",
        "TW_ID_NUMBER",
        "US_SSN",
    }
)
"""The entities that a policy may name. Those that Presidio has too bear Presidio's name."""
