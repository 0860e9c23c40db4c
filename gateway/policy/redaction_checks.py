"""What is wrong, or likely to be, between redaction profiles, recognizers and NER engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.policy.bundle import Bundle, row_of, rows_in
from gateway.policy.fields import Placed, Row
from gateway.policy.problems import Findings, quoted, suggestion
from gateway.policy.redaction import build_custom, build_ner, labels_of, texts_of
from gateway.policy.redaction_hints import SIDES, hint_profile, hint_recognizer, hint_use
from gateway.privacy.profile import REVERSIBLE, Action, Custom, Images, Ner

NEAR_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one item of a recognizer's field: `patterns`, `matches` or `not`. One that
    is no error is likely to be a slip."""

    field: str
    index: int
    message: str
    is_error: bool = True


Examine = Callable[[Custom, Sequence[str], Sequence[str]], Iterable[Fault]]
"""Tries a recognizer on texts in which it must find something, and on those in which it may not."""


def unexamined(custom: Custom, matches: Sequence[str], nots: Sequence[str]) -> Iterable[Fault]:
    return ()


Missing = Callable[[Ner | Images], str | None]
"""What is not installed of what an NER engine, or reading pictures, needs, if that can be told."""


def unasked(wanted: Ner | Images) -> str | None:
    return None


def check_redaction(
    bundle: Bundle,
    entities: frozenset[str],
    examine: Examine,
    missing: Missing,
    findings: Findings,
) -> None:
    """`entities` are those that are built in."""
    for name, row in rows_in(bundle.ner):
        is_usable = row.wrote("kind") and row.wrote("model")
        is_usable = is_usable and row.places.keys() <= row.values.keys()
        if is_usable and (said := missing(build_ner(name, row))):
            findings.warning(row.at("model"), said)
    learned = {name for _, row in rows_in(bundle.ner) for name in labels_of(row).values()}
    for name, row in rows_in(bundle.recognizers):
        _check_recognizer(name, row, entities | learned, examine, findings)
    for name, row in rows_in(bundle.redaction):
        _check_profile(row, bundle, entities, findings)
        if (images := row.get("images")) and (said := missing(images)):
            findings.warning(row.at("images"), said)
        hint_profile(name, row, bundle, findings)
    if all(placed.value for placed in bundle.redaction.values()):
        hint_use(bundle, entities, findings)


def _check_profile(row: Row, bundle: Bundle, entities: frozenset[str], findings: Findings) -> None:
    engine = row_of(bundle.ner, row.get("ner"))
    written = entities | {
        name
        for name, placed in bundle.recognizers.items()
        if placed.value is None or placed.value.wrote("patterns") or placed.value.wrote("deny")
    }
    known = written | (set(labels_of(engine).values()) if engine else set())
    for side in SIDES:
        for name, rule in row.get(side, {}).items():
            if name not in known:
                findings.error(
                    rule.place, f"no entity is called {quoted(name)}; {_meant(name, known)}"
                )
            if rule.value:
                _check_rule(rule.value, findings)
    for name, rule in row.get("answer", {}).items():
        if name in known - written:
            findings.error(
                rule.place,
                f"{quoted(name)} is found by an NER engine only, and those do not look at answers",
            )
        if rule.value:
            _check_answer(name, rule, findings)
    if row.get("ner") and row["ner"] not in bundle.ner:
        findings.error(
            row.at("ner"),
            f"no NER engine is called {quoted(row['ner'])}; {suggestion(row['ner'], bundle.ner)}",
        )


def _meant(name: str, known: Iterable[str]) -> str:
    """Those that are near; a list of all hundred would tell nobody anything."""
    every = sorted(known)
    said = suggestion(name, every)
    if said.startswith("did you mean"):
        return said
    words = set(name.split("_"))
    near = [one for one in every if not words.isdisjoint(one.split("_"))]
    if 0 < len(near) <= NEAR_MAX:
        return f"did you mean {' or '.join(map(quoted, near))}?"
    return "docs/guides/redaction.md lists all that are built in"


def _check_rule(rule: Row, findings: Findings) -> None:
    action, below = rule.get("action"), rule.get("below")
    if action and rule.wrote("keep_last") and Action.MASK not in (action, below):
        findings.warning(
            rule.at("keep_last"), "`keep_last` is for `mask`, which this rule never does; remove it"
        )
    if rule.wrote("below") and not rule.wrote("count_min"):
        findings.warning(
            rule.at("below"),
            "`below` is what is done with fewer than `count_min`, which is not there; add it, or "
            "remove `below`",
        )


def _check_answer(name: str, rule: Placed, findings: Findings) -> None:
    if rule.value.get("action") in REVERSIBLE:
        findings.error(
            rule.place,
            f"{quoted(name)} of an answer cannot come back; write mask, hash, report or block",
        )
    if rule.value.get("action") is Action.ALLOW:
        findings.error(
            rule.place,
            f"what is not named is not looked for in an answer; remove {quoted(name)}, or write "
            "mask, hash, report or block",
        )
    if rule.value.wrote("count_min"):
        findings.error(
            rule.value.at("count_min"),
            "`count_min` counts in a whole request; an answer is told while it comes, so nobody "
            "knows yet how many there will be; remove it",
        )


def _check_recognizer(
    name: str, row: Row, known: frozenset[str], examine: Examine, findings: Findings
) -> None:
    if not any(row.wrote(field) for field in ("patterns", "deny", "allow")):
        findings.error(
            row.place,
            f"recognizer {quoted(name)} lacks `patterns`, `deny` or `allow`; add one",
        )
        return
    if not row.wrote("patterns"):
        for field in ("check", "context", "context_score"):
            if row.wrote(field):
                findings.warning(
                    row.at(field), f"`{field}` is for `patterns`, and there are none; remove it"
                )
        if not row.wrote("deny") and name not in known:
            findings.error(
                row.place,
                f"nothing finds {quoted(name)}, so nothing of it can be allowed; "
                + _meant(name, known),
            )
    hint_recognizer(row, findings)
    patterns = [item.value for item in row.get("patterns", ())]
    if not all(one.wrote("regex") for one in patterns):
        return
    if not all(one.places.keys() <= one.values.keys() for one in (row, *patterns)):
        return  # what cannot be read was told
    for fault in examine(build_custom(name, row), texts_of(row, "matches"), texts_of(row, "not")):
        items: Sequence[Placed] = row[fault.field]
        tell = findings.error if fault.is_error else findings.warning
        tell(items[fault.index].place, fault.message)
