"""Street addresses, in the orders in which countries write them."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.backends.recognizers import (
    east_asian_addresses,
    english_addresses,
    european_addresses,
)
from gateway.backends.recognizers.finder import Finder, Found
from gateway.backends.recognizers.reading import has_digits


class StreetAddress(Finder):
    """A street with a house number; with unit, town and postal code where they follow it.

    A street without a number and a town alone are none: those are places."""

    ENTITY = "STREET_ADDRESS"

    def find(self, text: str) -> Iterator[Found]:
        if has_digits(text):
            yield from english_addresses.find(text)
            yield from european_addresses.find(text)
        if not text.isascii():
            yield from east_asian_addresses.find(text)
