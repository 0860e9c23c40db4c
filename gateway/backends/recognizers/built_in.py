"""The recognizers of ours: one for each of `entities.ENTITIES`."""

from __future__ import annotations

from gateway.backends.presidio import EntityRecognizer
from gateway.backends.recognizers.addresses import StreetAddress
from gateway.backends.recognizers.americas import BrazilianCnpj, BrazilianCpf
from gateway.backends.recognizers.births import DateOfBirth
from gateway.backends.recognizers.china import (
    ChineseBankCard,
    ChineseCreditCode,
    ChineseLicensePlate,
    ChinesePassport,
)
from gateway.backends.recognizers.credentials import Password, Secret
from gateway.backends.recognizers.east_asia import HongKongIdCard, JapanMyNumber, TaiwanIdNumber
from gateway.backends.recognizers.europe import DutchCitizenNumber, FrenchSocialSecurity
from gateway.backends.recognizers.network import Email, IpAddress
from gateway.backends.recognizers.numbers import ChineseIdCard, CreditCard, Iban, UsSocialSecurity
from gateway.backends.recognizers.organizations import Organization
from gateway.backends.recognizers.people import Person
from gateway.backends.recognizers.phones import ChineseMobile, Phone
from gateway.backends.recognizers.places import Place
from gateway.backends.recognizers.secrets import ApiKey, JsonWebToken, PrivateKey


def recognizers() -> list[EntityRecognizer]:
    """A new one of each; building them reads the metadata and suffixes in the wheels, no more."""
    return [
        ApiKey(),
        BrazilianCnpj(),
        BrazilianCpf(),
        ChineseBankCard(),
        ChineseCreditCode(),
        ChineseIdCard(),
        ChineseLicensePlate(),
        ChineseMobile(),
        ChinesePassport(),
        CreditCard(),
        DateOfBirth(),
        DutchCitizenNumber(),
        Email(),
        FrenchSocialSecurity(),
        HongKongIdCard(),
        Iban(),
        IpAddress(),
        JapanMyNumber(),
        JsonWebToken(),
        Organization(),
        Password(),
        Person(),
        Phone(),
        Place(),
        PrivateKey(),
        Secret(),
        StreetAddress(),
        TaiwanIdNumber(),
        UsSocialSecurity(),
    ]
