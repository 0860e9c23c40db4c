"""What a policy file may say of private values: profiles, and the rules in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.policy.fields import Field, Named, Short, Table, Word
from gateway.policy.words import LONG_TEXT, fraction, matching, member, whole
from gateway.privacy.profile import Action, Images, Scope

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
            "Of a masked value so many characters stay to be seen, at most half of it.",
            default="0",
        ),
        Field(
            "count_min",
            whole(1, 1_000_000),
            "Acts where a request has at least so many of them.",
            default="1",
        ),
        Field(
            "below",
            member(Action, without=[Action.ALLOW]),
            "What is done with fewer.",
            default="report",
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
                "Pictures: let them pass, or `refuse` them, as nobody reads what stands in them.",
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
        ),
    )
