"""What is put into the texts of one request in place of its private values: the mint, and the vault
that knows what stands for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, KeysView, Mapping, Sequence
from typing import NoReturn

from gateway.privacy.made_up import MadeUp, Private
from gateway.privacy.placeholder import TOKEN_LENGTH, hashed, look_alikes, masked, placeholder
from gateway.privacy.profile import Action
from gateway.privacy.spans import Span

_FEW = 32  # placeholders
_LOUD_MAX = 16_384  # characters
_MASK, _HASH, _REPLACE = Action.MASK, Action.HASH, Action.REPLACE

Changes = Sequence[tuple[Span, Action, int]]
"""What is done at disjoint, sorted spans of a text, and how much of a masked value stays."""


def with_stand_ins(text: str, spans: Sequence[Span], stand_ins: Sequence[str]) -> str:
    """`text` with one of `stand_ins` at each of the disjoint, sorted spans."""
    pieces: list[str] = []
    done = 0
    for span, stand_in in zip(spans, stand_ins, strict=True):
        pieces += (text[done : span.start], stand_in)
        done = span.end
    pieces.append(text[done:])
    return "".join(pieces)


class Vault:
    """What stands for what in one request: `placeholders` as a model may write them, `synthetic`
    values to the letter. It lives in that request's frame and nowhere else: it shows counts only,
    and refuses to be copied or pickled."""

    __slots__ = ("_placeholders", "_synthetic")

    def __init__(
        self,
        placeholders: Mapping[str, str] | None = None,
        synthetic: Mapping[str, str] | None = None,
    ) -> None:
        self._placeholders = dict(placeholders or {})
        self._synthetic = dict(synthetic or {})

    def __len__(self) -> int:
        return len(self._placeholders) + len(self._synthetic)

    def __contains__(self, name: object) -> bool:
        return name in self._placeholders or name in self._synthetic

    def __getitem__(self, name: str) -> str:
        value = self._placeholders.get(name)
        return self._synthetic[name] if value is None else value

    def placeholders(self) -> KeysView[str]:
        return self._placeholders.keys()

    def synthetic(self) -> KeysView[str]:
        return self._synthetic.keys()

    def entities(self) -> Mapping[str, int]:
        """How many values of each entity have a placeholder."""
        return Counter(name.rpartition("_")[0] for name in self._placeholders)

    def __repr__(self) -> str:
        counts = [*sorted(self.entities().items())]
        if self._synthetic:
            counts.append(("synthetic", len(self._synthetic)))
        return f"Vault({', '.join(f'{name}={count}' for name, count in counts)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault stays in its request")


class Mint:
    """Makes what stands for values, over all `texts` of one request: each a name of its own. The
    texts are read for names that are taken once the first name is made."""

    def __init__(self, scope_key: bytes, texts: Iterable[str]) -> None:
        self._scope_key = scope_key
        self._texts = tuple(texts)
        self._taken: set[str] | None = None
        self._loud: str | None = None
        self._placeholders: dict[str, str] = {}
        self._made_up: MadeUp | None = None
        self._given: dict[tuple[Action, str, str], str] = {}
        self._salts: dict[str, int] = {}  # by unsalted placeholder: those below are taken

    def vault(self) -> Vault:
        return Vault(self._placeholders, self._made_up.values if self._made_up else None)

    def stand_ins(self, texts: Sequence[str], changes: Sequence[Changes]) -> list[list[str]]:
        """What stands for the value of each of the changes, of each text."""
        made_up: MadeUp | None = None
        made: list[list[str]] = []
        for text, of_text in zip(texts, changes, strict=True):
            names: list[str] = []
            made.append(names)
            for (start, end, entity, _), action, keep_last in of_text:
                value = text[start:end]
                if action is _MASK:
                    names.append(masked(value, keep_last))
                    continue
                if action is _HASH:
                    names.append(hashed(self._scope_key, entity, value))
                    continue
                if action is _REPLACE and made_up is None:
                    made_up = self._choose(texts, changes)
                known = self._given.get((action, entity, value))
                if known is None:
                    if made_up is not None and action is _REPLACE:
                        known = made_up.of(entity, value)
                    known = known or self._placeholder(entity, value)
                    self._given[action, entity, value] = known
                names.append(known)
        return made

    def _choose(self, texts: Sequence[str], changes: Sequence[Changes]) -> MadeUp:
        """What is made up for all values together that are replaced."""
        if self._made_up is None:
            self._made_up = MadeUp(self._scope_key, self._texts)
        replaced: list[Private] = []
        for text, of_text in zip(texts, changes, strict=True):
            for (start, end, entity, _), action, _ in of_text:
                if action is _REPLACE:
                    replaced.append((entity, text[start:end]))
        self._made_up.choose(replaced)
        return self._made_up

    def _placeholder(self, entity: str, value: str) -> str:
        """Salted where it is taken: by another value (also one that only differs in how its
        characters are encoded, and one number can be written in thousands of ways), or by what
        somebody wrote into a text."""
        made = unsalted = placeholder(self._scope_key, entity, value)
        salt = self._salts.get(unsalted, 0)
        if salt:
            made = placeholder(self._scope_key, entity, value, salt)
        while made in self._placeholders or self._is_taken(made[-TOKEN_LENGTH:]):
            salt += 1
            made = placeholder(self._scope_key, entity, value, salt)
        self._salts[unsalted] = salt + 1
        self._placeholders[made] = value
        return made

    def _is_taken(self, name: str) -> bool:
        """Whether a text holds what may pass for a placeholder with this token. Of a few short
        texts hardly any holds its letters, and they need not be read for all that they hold."""
        if self._taken is None:
            if self._loud is None and sum(map(len, self._texts)) <= _LOUD_MAX:
                self._loud = "\n".join(self._texts).upper()
            if self._loud is not None and name not in self._loud and len(self._given) <= _FEW:
                return False
            self._taken = set()
            for text in self._texts:
                self._taken |= look_alikes(text)
        return name in self._taken
