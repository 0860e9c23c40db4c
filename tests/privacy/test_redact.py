"""What happens to the private values of a request before it leaves."""

import asyncio
import copy
import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeVar

import pytest

from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.decide import decide
from gateway.privacy.leads import in_texts, see
from gateway.privacy.placeholder import placeholder
from gateway.privacy.profile import Action, Custom, Ner, Pattern, Profile, Rule, Using
from gateway.privacy.redact import DetectionFailed, DetectorMissing, Redacted, redact
from gateway.privacy.spans import Span

T = TypeVar("T")
KEY = b"k" * 32
SHAPES = {
    "EMAIL_ADDRESS": r"[a-z]+@[a-z]+\.[a-z]+",
    "CREDIT_CARD": r"[0-9０-９]{16}",
    "PHONE_NUMBER": r"[0-9]{7,16}",
    "PRIVATE_KEY": r"-+BEGIN-+",
}


class Words:
    """A detector that knows a few words, and remembers what it was asked."""

    def __init__(self, score: float = 1.0) -> None:
        self.score = score
        self.asked: list[tuple[list[str], frozenset[str]]] = []

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *_: object
    ) -> list[list[Span]]:
        self.asked.append((list(texts), entities))
        return [
            [
                Span(*found.span(), entity, self.score)
                for entity in sorted(entities)
                for found in re.finditer(SHAPES[entity], text)
            ]
            for text in texts
        ]


class Broken:
    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *_: object
    ) -> list[list[Span]]:
        raise DetectionFailed("a recognizer broke")


class Forgetful:
    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *_: object
    ) -> list[list[Span]]:
        return []


def profile(score_min: float = 0.4, **actions: str) -> Profile:
    rules = {name: Rule(Action(action), score_min) for name, action in actions.items()}
    return Profile("test", rules)


def redacted(*texts: str, using: Profile, key: bytes = KEY) -> Redacted:
    return asyncio.run(redact(texts, using, Words(), key))


PLACEHOLDERS = profile(EMAIL_ADDRESS="placeholder", CREDIT_CARD="placeholder")


def test_a_value_leaves_as_a_placeholder_that_the_vault_knows() -> None:
    result = redacted("write to ann@example.com.", using=PLACEHOLDERS)
    name = placeholder(KEY, "EMAIL_ADDRESS", "ann@example.com")
    assert result.texts == (f"write to {name}.",)
    assert result.vault[name] == "ann@example.com"
    assert result.counts == {"EMAIL_ADDRESS:placeholder": 1}


def test_the_same_value_has_the_same_placeholder_in_every_text_and_turn() -> None:
    first = redacted("ann@x.de", "and bob@x.de", using=PLACEHOLDERS)
    later = redacted("bob@x.de", "ann@x.de", "ann@x.de!", using=PLACEHOLDERS)
    ann, bob = first.texts[0], first.texts[1].removeprefix("and ")
    assert ann != bob
    assert later.texts == (bob, ann, f"{ann}!")
    assert len(later.vault) == 2


def test_another_scope_has_other_placeholders() -> None:
    assert (
        redacted("ann@x.de", using=PLACEHOLDERS).texts
        != redacted("ann@x.de", using=PLACEHOLDERS, key=b"o" * 32).texts
    )


def test_each_entity_has_its_own_action() -> None:
    using = profile(EMAIL_ADDRESS="hash", CREDIT_CARD="mask", PHONE_NUMBER="report")
    result = redacted("ann@x.de 4111111111111111 5551234", using=using)
    hashed, mask, phone = result.texts[0].split()
    assert re.fullmatch("EMAIL_ADDRESS_[0-9a-f]{16}", hashed)
    assert (mask, phone) == ("********", "5551234")
    assert len(result.vault) == 0
    assert result.counts["EMAIL_ADDRESS:hash"] == result.counts["CREDIT_CARD:mask"] == 1


def test_a_mask_does_not_tell_the_length() -> None:
    using = profile(EMAIL_ADDRESS="mask")
    result = redacted("a@b.de", "somebody@example.com", using=using)
    assert result.texts == ("********", "********")


def test_what_is_allowed_is_counted_and_cannot_hide_what_is_not() -> None:
    using = profile(PHONE_NUMBER="report", CREDIT_CARD="mask")
    result = redacted("4111111111111111 5551234", using=using)
    assert result.texts == ("******** 5551234",)
    assert result.counts == {"PHONE_NUMBER:report": 1, "CREDIT_CARD:mask": 1}


def test_a_blocked_entity_refuses_the_request_and_names_no_value() -> None:
    using = profile(EMAIL_ADDRESS="placeholder", CREDIT_CARD="block", PRIVATE_KEY="block")
    with pytest.raises(TextBlocked) as refusal:
        redacted("ann@x.de", "--BEGIN--", "4111111111111111", using=using)
    assert (refusal.value.code, refusal.value.param) == ("pii_blocked", "messages")
    assert "CREDIT_CARD, PRIVATE_KEY" in refusal.value.message
    assert "4111" not in refusal.value.message
    assert refusal.value.counts == {
        "EMAIL_ADDRESS:placeholder": 1,
        "CREDIT_CARD:block": 1,
        "PRIVATE_KEY:block": 1,
    }


def test_a_blocked_entity_is_blocked_also_where_its_word_joins_another() -> None:
    using = profile(EMAIL_ADDRESS="placeholder", PRIVATE_KEY="block")
    with pytest.raises(TextBlocked):
        redacted("--BEGIN--ann@example.com", using=using)


class Assigned:
    """A detector that knows a password by the word before it."""

    async def detect(self, texts: Sequence[str], *_: object) -> list[list[Span]]:
        self.asked = list(texts)
        shape = re.compile(r'(?:pass)?word": "([^"]+)|"4111[^ ]*')
        return [
            [Span(*m.span(1 if m[1] else 0), "PASSWORD", 0.9) for m in shape.finditer(text)]
            for text in texts
        ]


def test_a_lead_is_shown_to_the_detector_and_nothing_of_it_is_replaced() -> None:
    using, detector = profile(PASSWORD="mask"), Assigned()
    texts, leads = ["Tr0ub4dor", "Tr0ub4dor", "", "x y"], ["password", "", "password", "4111"]
    result = asyncio.run(redact(texts, using, detector, KEY, leads=leads))
    assert detector.asked == [
        '"password": "Tr0ub4dor"',
        "Tr0ub4dor",
        '"password": ""',
        '"4111": "x y"',
    ]
    assert result.texts == ("********", "Tr0ub4dor", "", "x y")
    assert result.counts == {"PASSWORD:mask": 1}


class Anchored:
    """A detector that knows a staff number where nothing else stands; another one in all texts."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], frozenset[str], Using]] = []

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using
    ) -> list[list[Span]]:
        self.asked.append((list(texts), entities, using))
        return [[Span(0, len(text), "STAFF", 0.9)] * text.startswith("E-") for text in texts]


NER = Ner("small", "spacy", "no_model", labels=(("PERSON", "PERSON"),))
LED = ["E-123456", "E-654321", "x"], ["id", "", "id"]


def test_an_anchored_pattern_of_the_policy_finds_what_stands_behind_a_lead() -> None:
    custom = (Custom("STAFF", (Pattern("^E-[0-9]{6}$"),)), Custom("TEAM", deny=("ops",)))
    using = replace(profile(STAFF="mask", TEAM="mask", URL="mask"), using=Using(custom, NER))
    detector = Anchored()
    result = asyncio.run(redact(LED[0], using, detector, KEY, leads=LED[1]))
    assert result.texts == ("********", "********", "x")
    assert result.counts == {"STAFF:mask": 2}
    (_, everything, _), (alone, own, by) = detector.asked
    assert everything == {"STAFF", "TEAM", "URL"}
    assert (alone, own, by) == (["E-123456", "x"], {"STAFF"}, Using(custom))


@pytest.mark.parametrize(
    ("custom", "texts"),
    [
        ((), LED),
        ((Custom("STAFF", deny=("E-123456",)),), LED),
        ((Custom("OTHER", (Pattern("^E$"),)),), LED),
        ((Custom("STAFF", (Pattern("^E$"),)),), (LED[0], [])),
    ],
    ids=["built-in", "words", "not asked for", "no lead"],
)
def test_without_a_lead_or_a_pattern_texts_are_looked_at_once(
    custom: tuple[Custom, ...], texts: tuple[list[str], list[str]]
) -> None:
    using, detector = replace(profile(STAFF="mask"), using=Using(custom)), Anchored()
    asyncio.run(redact(texts[0], using, detector, KEY, leads=texts[1]))
    assert len(detector.asked) == 1


def test_a_second_look_that_fails_fails_the_request() -> None:
    class Once(Anchored):
        async def detect(self, *asked: Any) -> list[list[Span]]:
            found = await super().detect(*asked)
            return found if len(self.asked) == 1 else []

    using = replace(profile(STAFF="mask"), using=Using((Custom("STAFF", (Pattern("^E$"),)),)))
    with pytest.raises(Unavailable) as failure:
        asyncio.run(redact(LED[0], using, Once(), KEY, leads=LED[1]))
    assert failure.value.code == "redaction_failed"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('Zebra99"x', """"pw": 'Zebra99"x'"""),
        ("""Zebra"9'x""", """"pw": `Zebra"9'x`"""),
        ("""Zebra"9'`x""", """"pw": Zebra"9'`x"""),
    ],
)
def test_a_quote_in_a_text_with_a_lead_does_not_seem_to_end_it(text: str, seen: str) -> None:
    whole = see([text], ["pw"])
    assert whole.shown == [seen]
    at = seen.index(text)
    spans = [Span(at, at + len(text), "PASSWORD", 0.8), Span(1, 3, "PASSWORD", 0.8)]
    assert in_texts(whole, [spans], ()) == [[Span(0, len(text), "PASSWORD", 0.8)]]


def test_a_password_with_a_quote_is_found_whole_behind_its_key() -> None:
    using, detector = profile(PASSWORD="mask"), PresidioDetector(1, Patience(60))

    async def run() -> None:
        await detector.warm()
        for text in ('Zebra99"x', """Zebra"99'x""", """Zebra"99'`x""", 'Zebra99",x'):
            found = await redact([text], using, detector, KEY, leads=["password"])
            assert found.texts == ("********",), text
        await detector.aclose()

    asyncio.run(run())


def test_a_finding_that_reaches_out_of_its_text_is_cut_to_it() -> None:
    spans = (Span(3, 14, "URL", 0.9), Span(0, 4, "URL", 0.9), Span(17, 99, "URL", 0.9))
    using, told = profile(URL="mask"), list[Any]()
    shown = asyncio.run(
        redact(["0123456789"], using, Told(*spans), KEY, told=told.append, leads=["home"])
    )
    assert [(one.span.start, one.span.end) for one in told[0][0]] == [(0, 10)]
    assert shown.texts == ("********",)


def test_of_a_very_long_lead_the_end_is_shown() -> None:
    detector = Assigned()
    using = profile(PASSWORD="mask")
    result = asyncio.run(redact(["abc"], using, detector, KEY, leads=["x" * 99_999 + "password"]))
    assert result.texts == ("********",)
    assert len(detector.asked[0]) < 100


class Told:
    """A detector that finds what it was told to, in every text."""

    def __init__(self, *spans: Span) -> None:
        self.spans = list(spans)

    async def detect(self, texts: Sequence[str], *_: object) -> list[list[Span]]:
        return [self.spans for _ in texts]


def acted(using: Profile, *spans: Span) -> Redacted:
    return asyncio.run(redact(["0123456789 0123456789"], using, Told(*spans), KEY))


INSIDE = (Span(0, 21, "EMAIL_ADDRESS", 0.9), Span(5, 10, "URL", 1.0))


def test_a_smaller_finding_inside_another_neither_blocks_nor_counts() -> None:
    """The domain of an e-mail address is a URL, too."""
    result = acted(profile(EMAIL_ADDRESS="mask", URL="block"), *INSIDE)
    assert (result.texts, result.counts) == (("********",), {"EMAIL_ADDRESS:mask": 1})
    with pytest.raises(TextBlocked) as refusal:
        acted(profile(EMAIL_ADDRESS="block", URL="mask"), *INSIDE)
    assert refusal.value.counts == {"EMAIL_ADDRESS:block": 1}


def test_of_findings_that_overlap_partly_the_longest_says_what_is_done() -> None:
    partly = (Span(0, 10, "EMAIL_ADDRESS", 0.9), Span(5, 21, "URL", 0.5))
    with pytest.raises(TextBlocked):
        acted(profile(EMAIL_ADDRESS="mask", URL="block"), *partly)
    result = acted(profile(EMAIL_ADDRESS="block", URL="mask"), *partly)
    assert (result.texts, result.counts) == (("********",), {"URL:mask": 1})


def test_what_is_only_reported_hides_nothing_and_is_not_counted_inside_another() -> None:
    told: list[Any] = []
    using = profile(EMAIL_ADDRESS="mask", URL="report")
    spans = (*INSIDE[1:], Span(0, 10, "EMAIL_ADDRESS", 0.9), Span(9, 20, "URL", 0.5))
    text = ["0123456789 0123456789"]
    result = asyncio.run(redact(text, using, Told(*spans), KEY, told=told.append))
    assert result.counts == {"EMAIL_ADDRESS:mask": 1, "URL:report": 1}
    assert [(one.span.entity, one.span.start) for one in told[0][0]] == [
        ("EMAIL_ADDRESS", 0),
        ("URL", 9),
    ]


def test_a_quote_that_a_recognizer_takes_along_stays_in_the_text() -> None:
    text = '{"u":"b.corp.com"}'
    found = Told(Span(5, 17, "URL", 0.5))
    (sent,) = asyncio.run(redact([text], profile(URL="mask"), found, KEY)).texts
    assert sent == '{"u":"********"}'


def test_reported_values_are_kept_by_each_kind_that_rules_for_answers_are_about() -> None:
    rules = dict.fromkeys(("URL", "API_KEY", "PERSON"), Rule(Action.REPORT))
    spans = (Span(0, 10, "URL", 0.6), Span(5, 10, "API_KEY", 1.0), Span(11, 21, "PERSON", 0.9))
    using = Profile("test", rules, answer={"URL": Rule(Action.MASK), "API_KEY": Rule(Action.MASK)})
    result = acted(using, *spans)
    assert result.reported == {"URL": {"0123456789"}, "API_KEY": {"56789"}}
    assert result.counts == {"URL:report": 1, "PERSON:report": 1}


def test_a_finding_that_is_not_sure_enough_hides_nothing() -> None:
    rules = {
        "EMAIL_ADDRESS": Rule(Action.MASK, score_min=0.95),
        "URL": Rule(Action.BLOCK),
    }
    with pytest.raises(TextBlocked):
        acted(Profile("test", rules), *INSIDE)


def test_a_score_below_the_minimum_is_not_acted_on() -> None:
    using = profile(score_min=0.6, EMAIL_ADDRESS="block")
    unsure = asyncio.run(redact(["ann@x.de"], using, Words(score=0.5), KEY))
    assert (unsure.texts, unsure.counts) == (("ann@x.de",), {})
    with pytest.raises(TextBlocked):
        asyncio.run(redact(["ann@x.de"], using, Words(score=0.6), KEY))


def test_where_what_looks_is_missing_nobody_needs_to_try_again() -> None:
    class Missing:
        async def detect(self, *_: object) -> list[list[Span]]:
            raise DetectorMissing("no model")

    with pytest.raises(Unavailable) as refusal:
        asyncio.run(redact(["ann@x.de"], PLACEHOLDERS, Missing(), KEY))
    assert (refusal.value.code, refusal.value.retry) == ("redaction_failed", False)
    assert "tell whoever runs it" in refusal.value.message


@pytest.mark.parametrize("detector", [Broken(), Forgetful()])
def test_a_detector_that_fails_or_forgets_a_text_refuses_the_request(
    detector: Broken | Forgetful,
) -> None:
    with pytest.raises(Unavailable) as refusal:
        asyncio.run(redact(["ann@x.de"], PLACEHOLDERS, detector, KEY))
    assert refusal.value.code == "redaction_failed"
    assert refusal.value.__context__ is None, "the detector's frames hold text"


def test_a_profile_without_entities_does_not_look_at_the_text() -> None:
    result = asyncio.run(redact(["ann@x.de"], profile(), Broken(), KEY))
    assert (result.texts, len(result.vault), result.counts) == (("ann@x.de",), 0, {})


def test_no_texts_are_not_looked_at_either() -> None:
    assert asyncio.run(redact([], PLACEHOLDERS, Broken(), KEY)).texts == ()


def test_only_the_entities_of_the_profile_are_looked_for() -> None:
    detector = Words()
    asyncio.run(redact(["a", "b"], PLACEHOLDERS, detector, KEY))
    assert detector.asked == [(["a", "b"], frozenset({"EMAIL_ADDRESS", "CREDIT_CARD"}))]


def test_what_a_detector_finds_unasked_is_left_alone() -> None:
    class Eager:
        async def detect(
            self, texts: Sequence[str], entities: frozenset[str], *_: object
        ) -> list[list[Span]]:
            return [[Span(0, 4, "PERSON", 1.0)] for _ in texts]

    assert asyncio.run(redact(["Anna"], PLACEHOLDERS, Eager(), KEY)).texts == ("Anna",)


def test_a_placeholder_that_somebody_wrote_stays_and_the_value_gets_another() -> None:
    taken = placeholder(KEY, "EMAIL_ADDRESS", "ann@x.de")
    typed = taken.replace("_", r"\_").lower()
    result = redacted(f"what is {typed}?", "ann@x.de", using=PLACEHOLDERS)
    assert result.texts[0] == f"what is {typed}?"
    assert result.texts[1] == placeholder(KEY, "EMAIL_ADDRESS", "ann@x.de", salt=1)
    assert taken not in result.vault


@pytest.mark.parametrize(("values", "padding"), [(1, 0), (60, 0), (1, 40_000), (60, 40_000)])
def test_a_name_is_taken_however_many_values_and_letters_a_request_has(
    values: int, padding: int
) -> None:
    """Names are looked for one by one in a few short texts, and all at once in others."""
    mails = [f"{chr(97 + number % 26)}{chr(97 + number // 26)}@x.de" for number in range(values)]
    names = [placeholder(KEY, "EMAIL_ADDRESS", mail) for mail in mails]
    tokens = [name[-8:].lower() for name in names]
    written = f"see email-{tokens[-1]}. " + "lorem " * (padding // 6)
    inside = f"x{tokens[0]}y z{tokens[0]}z"  # not a word by itself, so it passes for none
    first, second, last = redacted(written, inside, " ".join(mails), using=PLACEHOLDERS).texts
    assert (first, second) == (written, inside)
    salted = placeholder(KEY, "EMAIL_ADDRESS", mails[-1], salt=1)
    assert last == " ".join([*names[:-1], salted])


def test_the_same_number_in_full_width_comes_back_in_full_width() -> None:
    narrow, wide = "4111111111111111", "４１１１１１１１１１１１１１１１"
    result = redacted(f"{narrow} {wide} {narrow}", using=PLACEHOLDERS)
    one, other, again = result.texts[0].split()
    assert one == again != other
    assert (result.vault[one], result.vault[other]) == (narrow, wide)


def test_a_number_in_thousands_of_ways_to_write_it_costs_little_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each way needs another salt; trying all of them for each would hold a core for hours."""
    made: list[str] = []

    def counted(*args: Any, **named: Any) -> str:
        made.append(placeholder(*args, **named))
        return made[-1]

    monkeypatch.setattr("gateway.privacy.mint.placeholder", counted)
    written = ["".join(d) for d in product(*("4４", "1１") * 5, *["1"] * 6)]
    result = redacted(" ".join(written), using=PLACEHOLDERS)
    assert [result.vault[name] for name in result.texts[0].split()] == written
    assert len(made) <= 3 * len(written)


def test_what_follows_detection_is_done_aside() -> None:
    """A hundred thousand values take seconds, in which an event loop has to turn."""
    done: list[str] = []

    class Watched(Words):
        async def detect(
            self, texts: Sequence[str], entities: frozenset[str], *_: object
        ) -> list[list[Span]]:
            done.append("detected")
            return [[Untouchable(0, 8, "EMAIL_ADDRESS", 1.0)] for _ in texts]

    class Untouchable(Span):
        def __getattribute__(self, name: str) -> Any:
            assert done[-1] == "aside", f"{name} was looked at in the event loop"
            return super().__getattribute__(name)

    async def aside(work: Callable[[], T]) -> T:
        done.append("aside")
        try:
            return await asyncio.to_thread(work)
        finally:
            done.append("back")

    result = asyncio.run(redact(["ann@x.de"], PLACEHOLDERS, Watched(), KEY, aside))
    assert result.texts == (placeholder(KEY, "EMAIL_ADDRESS", "ann@x.de"),)
    assert done == ["aside", "back", "detected", "aside", "back"]
    using = profile(EMAIL_ADDRESS="block")
    with pytest.raises(TextBlocked):
        asyncio.run(redact(["ann@x.de"], using, Watched(), KEY, aside))


def test_a_placeholder_stands_apart_from_what_surrounds_its_value() -> None:
    result = redacted("--BEGIN--abc", using=profile(PRIVATE_KEY="placeholder"))
    assert result.texts == (placeholder(KEY, "PRIVATE_KEY", "--BEGIN--abc"),)


def test_the_vault_shows_counts_only_and_cannot_be_carried_away() -> None:
    vault = redacted("ann@x.de bob@x.de 4111111111111111", using=PLACEHOLDERS).vault
    assert repr(vault) == str(vault) == f"{vault}" == "Vault(CREDIT_CARD=1, EMAIL_ADDRESS=2)"
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            carry(vault)


def test_the_result_shows_no_text() -> None:
    assert "hello" not in repr(redacted("hello ann@x.de", using=PLACEHOLDERS))


def ruled(**rules: Rule) -> Profile:
    return Profile("test", rules)


def test_a_mask_can_keep_the_last_characters_but_never_most_of_a_value() -> None:
    using = ruled(PHONE_NUMBER=Rule(Action.MASK, keep_last=4))
    result = redacted("4111111111111111 5551234", using=using)
    assert result.texts == ("********1111 ********",)


def test_each_entity_has_its_own_least_score() -> None:
    using = ruled(
        EMAIL_ADDRESS=Rule(Action.MASK, score_min=0.9),
        PHONE_NUMBER=Rule(Action.MASK, score_min=0.5),
    )
    found = asyncio.run(redact(["a@b.de 5551234"], using, Words(0.6), KEY))
    assert found.texts == ("a@b.de ********",)


def test_a_rule_acts_from_its_least_count_over_all_texts_on() -> None:
    using = ruled(EMAIL_ADDRESS=Rule(Action.BLOCK, count_min=3, below=Action.MASK))
    assert redacted("a@b.de", "c@d.de", using=using).texts == ("********", "********")
    with pytest.raises(TextBlocked):
        redacted("a@b.de", "c@d.de e@f.de", using=using)


def test_the_same_value_again_and_again_counts_once() -> None:
    """A chat about one person sends the name again with each turn."""
    using = ruled(CREDIT_CARD=Rule(Action.BLOCK, count_min=2, below=Action.MASK))
    wide = "４１１１１１１１１１１１１１１１"
    assert redacted(f"{wide} 4111111111111111", "4111111111111111", using=using).texts == (
        "******** ********",
        "********",
    )
    with pytest.raises(TextBlocked):
        redacted("4111111111111111", "4222222222222222", using=using)


def test_values_that_differ_in_case_count_once() -> None:
    rules = {"PERSON": Rule(Action.BLOCK, count_min=2)}
    spans = [[Span(0, 5, "PERSON", 1.0)]] * 4
    same = ["Strau", "STRAU", "ＳＴＲＡＵ", "strau"]
    assert decide(same, spans, rules)[1] == {"PERSON": Action.REPORT}
    assert decide([*same[:3], "Stray"], spans, rules)[1] == {"PERSON": Action.BLOCK}


def test_below_its_least_count_a_value_is_left_and_reported() -> None:
    using = ruled(EMAIL_ADDRESS=Rule(Action.BLOCK, count_min=2))
    result = redacted("a@b.de", using=using)
    assert (result.texts, result.counts) == (("a@b.de",), {"EMAIL_ADDRESS:report": 1})


def test_a_replaced_value_is_another_of_the_same_form_that_the_vault_knows() -> None:
    using = ruled(CREDIT_CARD=Rule(Action.REPLACE), EMAIL_ADDRESS=Rule(Action.REPLACE))
    result = redacted("4111111111111111 a@b.de", "a@b.de", using=using)
    card, mail = result.texts[0].split()
    assert result.texts[1] == mail
    assert re.fullmatch("4[0-9]{15}", card)
    assert (result.vault[card], result.vault[mail]) == ("4111111111111111", "a@b.de")


def test_a_form_with_too_few_values_gets_placeholders() -> None:
    texts = [f"{first}@{second}.de" for first, second in product("abcdef", repeat=2)]
    using = ruled(EMAIL_ADDRESS=Rule(Action.REPLACE))
    result = redacted(*texts, using=using)
    assert len(set(result.texts)) == len(texts)
    assert [result.vault[name] for name in result.texts] == texts
