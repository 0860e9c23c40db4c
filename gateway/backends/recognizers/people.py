"""Names of people in Latin letters, by lists of first and last names and the words before them.

Precision comes first: one word alone is a name only behind a cue, or where the same text has it in
a whole name. What is a word as well (Will, Mark, May) needs a cue or a last name that is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.backends.recognizers.finder import Finder, Found
from gateway.backends.recognizers.people_chinese import ChineseNames
from gateway.backends.recognizers.words import LEAD_START, Capital, capitals, listed

_TITLE = re.compile(
    rf"{LEAD_START}(?:(?:mr|mrs|ms|miss|mx|dr|prof|professor|doctor|herrn?|frau|doktor|monsieur"
    r"|madame|mademoiselle|mme|mlle|docteur|señora?|señorita|sra?|srta|dra|don|doña)\.?"
    r"|(?:my|his|her|full) name is|mein name ist|ich hei(?:ß|ss)e|je m['\u2019]appelle"
    r"|mon nom est|me llamo|mi nombre es|se llama|dear|liebe[rs]?|ch[eè]re?|querid[oa]"
    r"|estimad[oa]) \Z",
    re.IGNORECASE,
)
_LABEL = re.compile(
    rf"(?:(?:{LEAD_START}|_)(?:name|names|from|to|cc|attn|attention|contact|author|signed|sender"
    r"|recipient|patient|employee|customer|client|ansprechpartner|kontakt|nom|prénom|contacto"
    r"|nombre|apellidos?|vorname|nachname|von|an|de|para|à|firstname|lastname|fullname)"
    r"(?: by)?[\"']?[:=] ?[\"']?"
    rf"|{LEAD_START}(?:i am|i['\u2019]m|this is|hi|hello|hey|hallo|bonjour|salut|hola|signed|attn"
    r"|by|ask|tell|told|asked|met|meet|called|emailed|contact|thanks|ich bin|je suis|soy|patient"
    r"|aunt|uncle|nurse|colleague|manager|m\.|d\.),? "
    rf"|{LEAD_START}(?:regards|sincerely|yours|cheers|best|thanks|love|gr(?:ü|u)(?:ß|ss)en?"
    r"|cordialement|saludos|atentamente|amicalement),?(?: |\\n|\n){1,3}[-–]?)\Z",
    re.IGNORECASE,
)
_LAST_LABEL = re.compile(
    rf"(?:{LEAD_START}|_)(?:(?:last|family)[_ -]?name|surname|nachname|apellidos?)[\"']?"
    r"[:=] ?[\"']?\Z",
    re.IGNORECASE,
)
_NAME_LABEL = re.compile(
    rf"{LEAD_START}(?:(?:full|customer|client|patient|employee|contact)[_ -]?)?name[\"']?"
    r": ?[\"']?\Z",
    re.IGNORECASE,
)
_NEVER_ALONE = frozenset({"Will"})
"""A name only with a last name or a title: most sentences that begin so ask something."""
_LEAD_MAX = 32
_ENDS_OF_LEADS = frozenset(
    ["Is", "Ist", "Est", "Heiße", "Heisse", "Appelle", "Llamo", "Llama", "Am", "Bin", "Suis", "By"]
)
"""The last words of those leads that are of several."""

_PARTICLES = frozenset(
    ["de", "von", "van", "da", "di", "del", "la", "du", "dos", "des", "le", "zu", "zur", "ter",
     "bin", "al", "y", "van der", "van den", "de la", "de las", "de los", "von der", "vom"]
)  # fmt: skip
_GAP_MAX = max(map(len, _PARTICLES)) + 2
_GERMAN = re.compile(r" (?:und|der|die|das|ist|nicht|mit|für|ich|wir|den|dem|ein|hat|von) ")
_GERMAN_REACH = 120
_SURNAME = re.compile(
    r"(?:Mc|Mac|De|Di|Van|Le|La|O['\u2019]|D['\u2019])?[^a-z'\u2019-][^A-Z'\u2019-]{2,20}+"
    r"(?:-[A-Z][^A-Z-]{2,20}+)?"
)
_WORDS_MAX = 6

CERTAIN, LIKELY, POSSIBLE = 0.85, 0.6, 0.5


class Person(Finder):
    """Whole names, names behind a title or another cue, and what repeats a part of them."""

    ENTITY = "PERSON"

    def load(self) -> None:
        """Read the lists."""
        self._first = listed("first_names.txt")
        self._last = listed("last_names.txt")
        self._words = listed("words.txt")
        self._places = listed("places.txt") | listed("places_cued.txt")
        self._sure_places = listed("places.txt")
        self._chinese = ChineseNames()
        self._no_leads = {
            name
            for name in (self._first | self._last) - _ENDS_OF_LEADS
            if not _TITLE.search(f"{name} ") and not _LABEL.search(f"{name} ")
        }

    def find(self, text: str) -> Iterator[Found]:
        words = capitals(text)
        parts: set[str] = set()
        alone = []
        at = 0
        while at < len(words):
            taken, score = self._name_at(text, words, at)
            if taken:
                yield words[at].start, words[at + taken - 1].end, score
                parts.update(one.word for one in words[at : at + taken])
                at += taken
            else:
                alone.append(words[at])
                at += 1
        for one in alone if parts else ():
            if one.word in parts and self._is_distinct(one.word):
                yield one.start, one.end, POSSIBLE
        yield from self._chinese.find(text)

    def _name_at(self, text: str, words: Sequence[Capital], at: int) -> tuple[int, float]:
        """How many words from there on are one name, and how sure that is; (0, 0) if none."""
        word = words[at].word
        is_first, is_last = self._is_first(word), self._is_last(word)
        if not is_first and not is_last and (word.lower() in self._words or len(word) == 2):
            return 0, 0.0
        chain = _chain(text, words, at)
        lead = self._lead(text, words, at)
        if _TITLE.search(lead) and (taken := self._titled(chain)):
            return taken, CERTAIN if is_first or is_last else LIKELY
        cued = (is_first or len(chain) > 1) and _LABEL.search(lead) is not None
        if is_first:
            taken, score = self._whole(text, chain, cued)
            if taken:
                return taken, score
        if is_last and self._is_reversed(text, words, at):
            return 2, POSSIBLE
        if is_first and cued and word not in _NEVER_ALONE:
            return 1, LIKELY
        if len(word) == 1 and (taken := self._behind_initials(chain)):
            return taken, POSSIBLE
        return self._labelled(lead, chain) if ":" in lead or "=" in lead else (0, 0.0)

    def _labelled(self, lead: str, chain: Sequence[Capital]) -> tuple[int, float]:
        """Behind `last_name:` a last name of the lists, in quotes any word that may be one; behind
        `name:` two such words."""
        taken = self._titled(chain)
        if taken and _LAST_LABEL.search(lead):
            if self._is_last(chain[0].word):
                return taken, LIKELY
            return (taken, POSSIBLE) if lead.endswith(("'", '"')) else (0, 0.0)
        return (taken, POSSIBLE) if taken > 1 and _NAME_LABEL.search(lead) else (0, 0.0)

    def _lead(self, text: str, words: Sequence[Capital], at: int) -> str:
        """What stands before the word; nothing where that is a name, which leads to none."""
        start = words[at].start
        follows = at > 0 and text[words[at - 1].end : start] == " "
        if follows and words[at - 1].word in self._no_leads:
            return ""
        return text[max(0, start - _LEAD_MAX) : start]

    def _whole(self, text: str, chain: Sequence[Capital], cued: bool) -> tuple[int, float]:
        """A first name, others or initials, and last names. A last name that is on no list must
        look like one; German nouns do, so there it needs the cue."""
        first = chain[0].word
        taken = 1
        while taken < len(chain) and (
            len(chain[taken].word) == 1
            or self._is_first(chain[taken].word)
            or self._is_last(chain[taken].word)
        ):
            taken += 1
        while taken > 1 and not self._is_last(chain[taken - 1].word):
            taken -= 1
        if taken > 1:
            last = chain[taken - 1].word
            doubtful = self._is_word(first) or first in self._places
            if cued or not (doubtful and (self._is_word(last) or last in self._sure_places)):
                return taken, CERTAIN
            return 0, 0.0
        at = 1
        while at < len(chain) and (len(chain[at].word) == 1 or self._is_first(chain[at].word)):
            at += 1
        if at == len(chain):
            return (at, LIKELY) if at > 1 and self._is_distinct(first) else (0, 0.0)
        if not self._may_be_last(chain[at].written) or not (cued or self._is_distinct(first)):
            return 0, 0.0
        around = text[max(0, chain[0].start - _GERMAN_REACH) : chain[0].end + _GERMAN_REACH]
        return (at + 1, LIKELY) if cued or not _GERMAN.search(around) else (0, 0.0)

    def _titled(self, chain: Sequence[Capital]) -> int:
        """How many words behind a title are a name. It may be on no list, but must be no word."""
        taken = 0
        for one in chain:
            known = self._is_first(one.word) or self._is_last(one.word) or len(one.word) == 1
            if not known and not self._may_be_last(one.written):
                break
            taken += 1
        while taken and len(chain[taken - 1].word) == 1:
            taken -= 1
        return taken

    def _behind_initials(self, chain: Sequence[Capital]) -> int:
        """`J. Smith`, `J. R. R. Tolkien`."""
        taken = 0
        while taken < len(chain) and len(chain[taken].word) == 1:
            taken += 1
        if taken == len(chain) or chain[taken].start - chain[taken - 1].end != 2:
            return 0
        return taken + 1 if self._is_distinct(chain[taken].word) else 0

    def _is_reversed(self, text: str, words: Sequence[Capital], at: int) -> bool:
        """`Smith, John`."""
        if at + 1 == len(words) or text[words[at].end : words[at + 1].start] != ", ":
            return False
        first = words[at + 1].word
        return (
            self._is_distinct(words[at].word) and self._is_first(first) and self._is_distinct(first)
        )

    def _is_first(self, word: str) -> bool:
        return word in self._first or ("-" in word and self._first.issuperset(word.split("-")))

    def _is_last(self, word: str) -> bool:
        return word in self._last or ("-" in word and not self._last.isdisjoint(word.split("-")))

    def _is_word(self, word: str) -> bool:
        return word.lower() in self._words

    def _is_distinct(self, word: str) -> bool:
        """A name and nothing else."""
        known = self._is_first(word) or self._is_last(word)
        return known and not self._is_word(word) and word not in self._places

    def _may_be_last(self, written: str) -> bool:
        return (
            _SURNAME.fullmatch(written) is not None
            and not self._is_word(written)
            and written not in self._sure_places
        )


def _chain(text: str, words: Sequence[Capital], at: int) -> list[Capital]:
    """The word and those behind it that a name could go on with."""
    chain = [words[at]]
    for one in words[at + 1 : at + _WORDS_MAX]:
        last = chain[-1]
        gap = text[last.end : one.start] if one.start - last.end <= _GAP_MAX else ""
        initial = last.end - last.start == 1 and gap in (".", ". ")
        if not initial and gap != " " and gap[1:-1] not in _PARTICLES:
            break
        chain.append(one)
    return chain
