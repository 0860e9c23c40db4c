"""Identity numbers of Brazil, of persons and of companies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.backends.recognizers.cues import cue
from gateway.backends.recognizers.finder import (
    NOT_A_FRACTION,
    NUMBER_END,
    STARTED,
    Finder,
    Found,
    digits_of,
)
from gateway.privacy.spans import WORD_END, word_start

_FIRST = rf"{STARTED}{NOT_A_FRACTION}"


class BrazilianCpf(Finder):
    """Brazilian taxpayers (CPF): eleven digits, two of them check digits (Receita Federal).

    In its groups; bare only behind its name, since others count eleven digits too."""

    ENTITY = "BR_CPF"
    DIGITS_MIN = 11
    _GROUPS = re.compile(
        rf"[0-9](?=[0-9]{{2}}[0-9.]){_FIRST}[0-9]{{2}}"
        rf"(?:\.[0-9]{{3}}\.[0-9]{{3}}[-/]|[0-9]{{6}}-)[0-9]{{2}}{NUMBER_END}"
    )
    _BARE = re.compile(rf"[0-9]{_FIRST}[0-9]{{10}}{NUMBER_END}")
    _CUE = cue("cpf", "(?<![a-z])cpf")
    _WEIGHTS_MAX = 11

    def find(self, text: str) -> Iterator[Found]:
        for found in self._GROUPS.finditer(text):
            if self._checked(digits_of(found[0])):
                yield (*found.span(), 0.95)
        for found in self._CUE.behind(text, self._BARE):
            if self._checked(found[0]):
                yield (*found.span(), 0.9)

    def _checked(self, digits: str) -> bool:
        return len(set(digits)) > 1 and _two_checks(digits, self._WEIGHTS_MAX)


class BrazilianCnpj(Finder):
    """Brazilian companies (CNPJ): twelve digits, or from July 2026 on also letters (Instrução
    Normativa RFB 2.229/2024), and two check digits. In its groups, or bare behind its name."""

    ENTITY = "BR_CNPJ"
    DIGITS_MIN = 2
    _A = "[0-9A-Za-z]"
    _GROUPS = re.compile(
        rf"/{word_start(11)}(?<={_A}{{2}}\.{_A}{{3}}\.{_A}{{3}}/){_A}{{4}}-[0-9]{{2}}{NUMBER_END}"
    )
    _BARE = re.compile(rf"{_A}{STARTED}{_A}{{11}}[0-9]{{2}}{WORD_END}")
    _BEFORE_SLASH = 10
    _CUE = cue("cnpj", "(?<![a-z])cnpj", r"[^0-9\n]{0,12}")
    _WEIGHTS_MAX = 9

    def find(self, text: str) -> Iterator[Found]:
        for found in self._GROUPS.finditer(text):
            start = found.start() - self._BEFORE_SLASH
            if self._checked(text[start : found.end()]):
                yield start, found.end(), 0.95
        for found in self._CUE.behind(text, self._BARE):
            if self._checked(found[0]):
                yield (*found.span(), 0.9)

    def _checked(self, written: str) -> bool:
        number = re.sub("[./-]", "", written).upper()
        return len(set(number)) > 1 and _two_checks(number, self._WEIGHTS_MAX)


def _two_checks(number: str, weights_max: int) -> bool:
    """Whether both last digits are the check digits of what stands before each of them.

    Weights go from 2 up, from the right, and begin anew behind `weights_max`; a character counts as
    its place behind `0` in ASCII."""
    for length in (len(number) - 2, len(number) - 1):
        values = [ord(character) - ord("0") for character in reversed(number[:length])]
        weights = (2 + place % (weights_max - 1) for place in range(length))
        rest = sum(w * v for w, v in zip(weights, values, strict=True)) % 11
        if int(number[length]) != (11 - rest if rest > 1 else 0):
            return False
    return True
