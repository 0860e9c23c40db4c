"""The made-up values of one request: each stands for one value, and no text holds it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.privacy.synthetic import synthetic
from gateway.privacy.wording import Literals

_BYTES_MIN = 6
_SALTS = 48  # a form with so few values gets a placeholder
_ROUNDS = 8

Private = tuple[str, str]
"""Entity and value."""


class MadeUp:
    """`values`: what each stands for. All texts are read at once for all that were drawn, and once
    more for those drawn instead of what they held: the time is linear in texts and values."""

    def __init__(self, scope_key: bytes, texts: Iterable[str]) -> None:
        self.values: dict[str, str] = {}
        self._scope_key = scope_key
        self._texts = tuple(texts)
        self._chosen: dict[Private, str | None] = {}
        self._held: set[str] = set()
        self._free: set[str] = set()  # looked for, and held by no text
        self._used_up: set[tuple[str, int]] = set()  # entities, of values so long

    def of(self, entity: str, value: str) -> str | None:
        """What is sent instead; None where its form leaves too little to choose."""
        if (entity, value) not in self._chosen:
            self.choose([(entity, value)])
        return self._chosen[entity, value]

    def choose(self, private: Iterable[Private]) -> None:
        """The first to come chooses first, so that what follows in a later turn changes nothing."""
        wanted = [one for one in dict.fromkeys(private) if one not in self._chosen]
        for _ in range(_ROUNDS):
            drawn = self._draw(wanted)
            unseen = drawn.keys() - self._free
            held = Literals(unseen).held(self._texts) if unseen else set()
            self._free |= unseen - held
            self._held |= held
            if not held:
                break
        kept = {one: made for made, one in drawn.items() if made in self._free}
        self._chosen |= {one: kept.get(one) for one in wanted}
        self.values |= {made: value for (_, value), made in kept.items()}

    def _draw(self, wanted: Iterable[Private]) -> Mapping[str, Private]:
        """For each a name of its own, as far as there are any that no text is known to hold."""
        drawn: dict[str, Private] = {}
        used_up = self._used_up.copy()
        for entity, value in wanted:
            form = (entity, len(value))
            if form not in used_up and (made := self._name(entity, value, drawn)):
                drawn[made] = (entity, value)
            else:
                used_up.add(form)
        return drawn

    def _name(self, entity: str, value: str, drawn: Mapping[str, Private]) -> str | None:
        for salt in range(_SALTS):
            made = synthetic(self._scope_key, entity, value, salt)
            if made is None:
                return None
            is_taken = made in drawn or made in self.values or made in self._held
            if not is_taken and _can_be_told(made):
                return made
        return None


def _can_be_told(made: str) -> bool:
    """From the words of any answer, and from the escapes of JSON."""
    long_enough = len(made.encode("utf-8", "surrogatepass")) >= _BYTES_MIN
    return long_enough and made.isprintable() and not {'"', "\\"} & {*made}
