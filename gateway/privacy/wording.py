"""How what stands for a value may be written in an answer, and how much of it may still come. Pure.

A model may change the case of a placeholder, and write `_` as `\\_`, a space or `-`; a synthetic
value comes back to the letter. Nothing else is guessed.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence, Set
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from gateway.privacy.placeholder import TOKEN_LENGTH, canonical, may_begin, pattern
from gateway.privacy.spans import WORD_END, stands_alone, word_start

_WORD_END = re.compile(WORD_END)
_BACKSLASHES_MAX = (1, 4)
"""Before an underscore, of a plain text and of one that is JSON, also inside of JSON."""
_TAIL: Final = 1 + TOKEN_LENGTH  # of a placeholder, behind its entity
_FEW: Final = 8  # names


Hit = tuple[int, int, str]
"""Where a known name begins and ends, and itself."""


class Wording(Protocol):
    @property
    def begin(self) -> re.Pattern[str]:
        """What the begin of a known name may be, also of one that is yet to come: whether there is
        any is all that has to be asked of most pieces of a stream."""
        ...

    def find(self, text: str, start: int, is_json: bool) -> Hit | None:
        """The first known name at or behind `start`."""
        ...

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        """Where the first suffix of `text` begins that is, or may become, a known name."""
        ...


class _Kinds(NamedTuple):
    """Entities of which none begins another, how a placeholder of theirs may begin, and is written
    in a plain text and in JSON, its length at most, and how many gaps it has."""

    entities: frozenset[str]
    begin: re.Pattern[str]
    patterns: tuple[re.Pattern[str], ...]
    longest: int
    gaps_max: int


def wordings(placeholders: Set[str], literals: Collection[str]) -> list[Wording]:
    """Of so many names as few wordings as find them all."""
    made: list[Wording] = []
    if placeholders:
        layers = _layers(frozenset([name[:-_TAIL] for name in placeholders]))
        made += [Placeholders(placeholders, kinds) for kinds in layers]
    if literals:
        made.append(Literals(literals))
    return made


@lru_cache(256)  # few kinds are found together again and again
def _layers(entities: frozenset[str]) -> tuple[_Kinds, ...]:
    """`PERSON_CUSTOMER` may be a placeholder of PERSON, or the begin of one of PERSON_CUSTOMER: of
    such kinds each is looked for apart, and the longer hit counts."""
    layers: list[list[str]] = []
    for entity in sorted(entities, key=lambda one: (len(one), one)):
        for layer in layers:
            if not any(entity.startswith(f"{other}_") for other in layer):
                layer.append(entity)
                break
        else:
            layers.append([entity])
    return tuple(
        _Kinds(
            frozenset(layer),
            re.compile(may_begin(layer)),
            tuple(pattern(layer, most) for most in _BACKSLASHES_MAX),
            max(map(len, layer)) + _TAIL,
            max(entity.count("_") for entity in layer) + 1,
        )
        for layer in layers
    )


class Placeholders:
    """Those of `names` that are of these kinds; another of them is none of its own, and changes
    nothing."""

    __slots__ = (
        "_done",
        "_has_few",
        "_kinds",
        "_known",
        "_loud",
        "_names",
        "_next",
        "_text",
        "begin",
    )

    def __init__(self, names: Set[str], kinds: _Kinds) -> None:
        self._names = names
        self._kinds = kinds
        self.begin = kinds.begin
        self._known: list[str] | None = None
        self._has_few = len(names) <= _FEW
        self._text, self._loud, self._done = "", b"", 0
        self._next: dict[bytes, int] = {}  # where each token is in that text, and -1 where not

    def find(self, text: str, start: int, is_json: bool) -> Hit | None:
        """One that is not known may overlap one that is. Where a name has no token, no pattern has
        to look for it, and of a lone name not for its first one that is written as it was sent: an
        earlier one would have to lie around it, and none is longer than itself."""
        names, kinds, at = self._names, self._kinds, start
        if self._has_few:
            if (token := self._next_token(text, start)) < 0:
                return None
            if len(names) == 1:
                (name,) = names
                at, end = token + TOKEN_LENGTH - len(name), token + TOKEN_LENGTH
                if at >= start and text.startswith(name, at) and stands_alone(text, at, end):
                    return at, end, name
            reach = kinds.longest - TOKEN_LENGTH + kinds.gaps_max * _BACKSLASHES_MAX[is_json]
            at = max(start, token - reach)
        search = kinds.patterns[is_json].search
        while found := search(text, at):
            written = found[0]
            name = written if written in names else canonical(written)
            if name in names:
                return found.start(), found.end(), name
            at = found.start() + 1
        return None

    def _next_token(self, text: str, start: int) -> int:
        """Where the first token of a name is behind `start`; -1 where none is. Any name has its
        token to the letter, but for the case. A text is made loud once, and read once for each."""
        if start < self._done or text is not self._text:
            self._text, self._loud = text, text.encode("ascii", "replace").upper()
            self._next = {name[-TOKEN_LENGTH:].encode(): 0 for name in self._names}
        self._done, first = start, -1
        for token, at in self._next.items():
            if 0 <= at <= start:
                at = self._next[token] = self._loud.find(token, start)
            if at >= 0 and (first < 0 or at < first):
                first = at
        return first

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        kinds = self._kinds
        longest = kinds.longest + kinds.gaps_max * _BACKSLASHES_MAX[is_json]
        for found in self.begin.finditer(text, max(floor, len(text) - longest)):
            suffix, known = text[found.start() :], self._sorted()
            if _is_prefix(suffix, known):  # as it was sent, as nearly always
                return found.start()
            if suffix.isascii() and _is_prefix(canonical(suffix), known):
                return found.start()
        return len(text)

    def _sorted(self) -> list[str]:
        """The names, once an answer's text has to be held back for one."""
        if self._known is None:
            entities = self._kinds.entities
            self._known = sorted([name for name in self._names if name[:-_TAIL] in entities])
        return self._known


class Literals:
    """Names that are looked for as they are; what JSON escapes is not in them.

    Beside each of the sorted names stand those that it begins with, itself included: the names that
    begin a text are among those of the last name that does not come behind the text."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = sorted(known)
        self._families = _families(self._known)
        self._longest = max(map(len, self._known))
        first = "".join(sorted({re.escape(name[0]) for name in known}))
        self.begin = re.compile(f"[{first}]{word_start(1)}")

    def find(self, text: str, start: int, is_json: bool) -> Hit | None:
        for found in self.begin.finditer(text, start):
            at = found.start()
            for name in reversed(self._at(text, at)):
                if _WORD_END.match(text, at + len(name)):
                    return at, at + len(name), name
        return None

    def held(self, texts: Iterable[str]) -> set[str]:
        """The names with which a word of the texts begins, also where they overlap."""
        held: set[str] = set()
        for text in texts:
            for found in self.begin.finditer(text):
                held.update(self._at(text, found.start()))
        return held

    def _at(self, text: str, at: int) -> Sequence[str]:
        """The names with which the text goes on there, a shorter one before a longer."""
        rest = text[at : at + self._longest]
        last = bisect_right(self._known, rest) - 1
        if last < 0:
            return ()
        family = self._families[last]
        if rest.startswith(family[-1]):
            return family
        count = bisect_left(
            family, True, hi=len(family) - 1, key=lambda name: not rest.startswith(name)
        )
        return family[:count]

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        for found in self.begin.finditer(text, max(floor, len(text) - self._longest)):
            if _is_prefix(text[found.start() :], self._known):
                return found.start()
        return len(text)


def _families(known: list[str]) -> list[tuple[str, ...]]:
    """Together no longer than the names are."""
    families: list[tuple[str, ...]] = []
    open_names: list[str] = []
    for name in known:
        while open_names and not name.startswith(open_names[-1]):
            open_names.pop()
        open_names.append(name)
        families.append(tuple(open_names))
    return families


def _is_prefix(written: str, known: list[str]) -> bool:
    at = bisect_left(known, written)
    return at < len(known) and known[at].startswith(written)
