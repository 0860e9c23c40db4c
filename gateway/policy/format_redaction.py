"""What a policy file may say of private values: profiles, recognizers and NER engines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.policy.fields import Field, Named, OneOrMore, Several, Short, Table, Word
from gateway.policy.words import (
    LONG_TEXT,
    NAME,
    TEXT,
    choice,
    duration,
    fraction,
    matching,
    member,
    whole,
)
from gateway.privacy.profile import Action, Images, OnDetectorFailure, Scope

CHECKS = ("luhn", "mod97", "mod11", "verhoeff", "iban")
"""Checksums that a recognizer may ask for, by name; gateway/backends/recognizers/custom.py."""

ENTITY = matching(
    r"[A-Z][A-Z0-9]{0,31}(?:_[A-Z0-9]{1,31}){0,7}",
    "the name of an entity in capitals, such as EMAIL_ADDRESS",
)

RULE = Table(
    "redaction_rule",
    "What is done with one kind of private value; just the action is enough.",
    (
        Field(
            "action",
            member(Action),
            "`placeholder` and `replace` (a made-up value of the same form) come back as "
            "themselves in the answer; `mask` and `hash` do not; `block` refuses; `report` "
            "counts only; `allow` does not look.",
            required=True,
        ),
        Field("score_min", fraction(), "As in the profile, for this kind."),
        Field(
            "keep_last",
            whole(0, 8, "of characters"),
            "Of a masked value so many letters and digits stay to be seen, at most half of them.",
            default="0",
        ),
        Field(
            "count_min",
            whole(1, 1_000_000),
            "Acts where a request has at least so many different ones; not for answers.",
            default="1",
        ),
        Field(
            "below",
            member(Action, without=[Action.ALLOW]),
            "What is done with fewer than `count_min`.",
            default="report",
        ),
    ),
)

PATTERN = Table(
    "recognizer_pattern",
    "A regular expression, and how sure a match is; just the expression is enough.",
    (
        Field("regex", LONG_TEXT, "In RE2's syntax, so that it takes linear time.", required=True),
        Field("score", fraction(), "How sure a match is.", default="0.6"),
    ),
)

RECOGNIZER = Table(
    "recognizer",
    "Finds a kind of entity of your own, or more, or less, of one that is there. Its name is the "
    "entity's.",
    (
        Field("patterns", Several(Short("regex", PATTERN), "pattern"), "What it looks like."),
        Field("deny", Several(TEXT, "word"), "Words that are one, whatever stands around them."),
        Field(
            "allow",
            Several(TEXT, "word"),
            "Values that are none, whoever finds them, in any case; may stand alone.",
        ),
        Field("check", choice(CHECKS), "A checksum that the letters and digits must pass."),
        Field(
            "context",
            Several(TEXT, "word"),
            "Words that make a match surer where they stand shortly before it.",
        ),
        Field("context_score", fraction(), "By how much they raise the score.", default="0.35"),
        Field(
            "matches",
            OneOrMore(LONG_TEXT, "example"),
            "Texts in which something must be found; tried by `gateway check` and at each load.",
        ),
        Field("not", OneOrMore(LONG_TEXT, "example"), "Texts in which nothing may be found."),
    ),
)

NER = Table(
    "ner",
    "A model that knows names by what stands around them, in processes of its own.",
    (
        Field("kind", choice(("spacy", "huggingface", "gliner")), "Who runs it.", required=True),
        Field(
            "model",
            TEXT,
            "Its package, or the path of its folder; nothing is downloaded.",
            required=True,
        ),
        Field(
            "labels",
            Named(TEXT, ENTITY, "label"),
            "The model's labels → entities; those of OntoNotes and CoNLL are known.",
        ),
        Field("score", fraction(), "How sure its findings are.", default="0.85"),
        Field("timeout", duration(), "Time for the texts of one request.", default="2s"),
        Field(
            "on_detector_failure",
            member(OnDetectorFailure),
            "`refuse` with 503, or go on `without_ner`, where it fails or is late.",
            default="refuse",
        ),
    ),
)


def profile_table(entities: Iterable[str]) -> Table:
    """`entities` are those that are built in: an editor offers them."""
    built_in = {"enum": sorted(entities)}
    entity: Word = replace(ENTITY, json={"anyOf": [built_in, dict(ENTITY.json)]})
    rules = Named(entity, Short("action", RULE), "entity", may_be_empty=True)
    return Table(
        "redaction_profile",
        "What private values are looked for, and what is done with each kind.",
        (
            Field("score_min", fraction(), "Findings below this are not acted on.", default="0.4"),
            Field(
                "entities",
                rules,
                "What to do with each kind in a request. Kinds that are not named are not looked "
                "for, so {} looks for nothing.",
                required=True,
            ),
            Field(
                "answer",
                rules,
                "The same for what the model writes of itself; not `placeholder` and `replace`.",
            ),
            Field(
                "images",
                member(Images),
                "Pictures: let them pass unread, `refuse` them, or read them by `ocr` and cover "
                "what is private; that needs the extra `ocr`.",
                default="allow",
            ),
            Field(
                "placeholders_per",
                member(Scope),
                "Where the same value has the same placeholder and hash.",
                default="project",
            ),
            Field(
                "note",
                LONG_TEXT,
                "Told to the model as the first message of a chat in which placeholders stand.",
            ),
            Field("ner", NAME, "The NER engine that looks, too."),
        ),
    )
