"""What is likely to be a slip in redaction profiles, recognizers and NER engines, though it can be
used: rules that can never act, and words that say nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from unicodedata import normalize

from gateway.policy.bundle import Bundle, Rows, row_of, rows_in
from gateway.policy.fields import Placed, Row
from gateway.policy.problems import Findings, quoted
from gateway.policy.redaction import labels_of
from gateway.privacy.profile import NER_LABELS, Action

SIDES = ("entities", "answer")


def hint_use(bundle: Bundle, built_in: Collection[str], findings: Findings) -> None:
    """Who writes a profile, a recognizer or an engine wants it to look."""
    profiles = [row for _, row in rows_in(bundle.redaction)]
    named = {name for row in profiles for side in SIDES for name in row.get(side, ())}
    for name, placed in bundle.recognizers.items():
        if name not in named:
            findings.warning(
                placed.place,
                f"no redaction profile names {quoted(name)}, so this recognizer is never used",
            )
    engines = {row.get("ner") for row in profiles}
    for name, placed in bundle.ner.items():
        if name not in engines:
            findings.warning(
                placed.place,
                f"no redaction profile has `ner: {name}`, so this engine is never used",
            )
    known = {*named, *built_in, *bundle.recognizers, *NER_LABELS.values()}
    for _, row in rows_in(bundle.ner):
        for label, item in row.get("labels", {}).items():
            if item.value is not None and item.value not in known:
                findings.warning(
                    item.place,
                    f"no redaction profile names {quoted(item.value)}, so what the model calls "
                    f"{quoted(label)} is never looked for",
                )
    _hint_profiles(bundle, findings)


def _hint_profiles(bundle: Bundle, findings: Findings) -> None:
    if any(placed.value is None for placed in (*bundle.organizations.values(), *_plans(bundle))):
        return  # who uses which is not known
    used = set(_used(bundle))
    for name, placed in bundle.redaction.items():
        if name not in used:
            findings.warning(
                placed.place,
                f"no project, plan or organization has `redaction: {name}`, so this profile is "
                "never used",
            )


def _plans(bundle: Bundle) -> Iterator[Placed]:
    projects = (row.get("projects", {}) for _, row in rows_in(bundle.organizations))
    yield from bundle.plans.values()
    yield from (placed for of_one in projects for placed in of_one.values())


def _used(bundle: Bundle) -> Iterator[str | None]:
    yield from (placed.value.get("redaction") for placed in _plans(bundle))
    for _, row in rows_in(bundle.organizations):
        if defaults := row.get("defaults"):
            yield defaults.get("redaction")


def hint_profile(name: str, row: Row, bundle: Bundle, findings: Findings) -> None:
    entities: Rows = row.get("entities", {})
    looked_for = {entity for entity, rule in entities.items() if _looks(rule)}
    if row.wrote("entities") and not looked_for:
        findings.note(
            row.at("entities"), f"profile {quoted(name)} looks for nothing in what is sent"
        )
    engine = row_of(bundle.ner, row.get("ner"))
    if engine and looked_for.isdisjoint(labels_of(engine).values()):
        findings.warning(
            row.at("ner"),
            f"profile {quoted(name)} looks for nothing that {quoted(row['ner'])} can find; name "
            "one of its entities, such as PERSON, or remove `ner`",
        )
    for side in SIDES:
        for entity, rule in row.get(side, {}).items():
            recognizer = row_of(bundle.recognizers, entity)
            if recognizer and _looks(rule) and rule.value:
                score_min = rule.value.get("score_min", row.get("score_min", 0.0))
                _hint_scores(name, score_min, recognizer, findings)


def _looks(rule: Placed) -> bool:
    return rule.value is None or rule.value.get("action") is not Action.ALLOW


def _hint_scores(profile: str, score_min: float, recognizer: Row, findings: Findings) -> None:
    raised = recognizer.get("context_score", 0.0) if recognizer.wrote("context") else 0.0
    for item in recognizer.get("patterns", ()):
        score = item.value.get("score", 1.0) if item.value else 1.0
        most = round(min(1.0, score + raised), 6)
        if most < score_min:
            findings.warning(
                item.place,
                f"this pattern scores {most:g} at most, and profile {quoted(profile)} acts from "
                f"{score_min:g} on: what it finds is left there; raise `score`, or lower "
                "`score_min`",
            )


def hint_recognizer(row: Row, findings: Findings) -> None:
    if row.wrote("context_score") and not row.wrote("context"):
        findings.warning(
            row.at("context_score"),
            "`context_score` is what a word of `context` adds, and there is none; add `context`, "
            "or remove this",
        )
    allowed = {_folded(item.value) for item in row.get("allow", ()) if item.value is not None}
    for item in row.get("deny", ()):
        if item.value is not None and _folded(item.value) in allowed:
            findings.warning(
                item.place,
                f"{quoted(item.value)} is in `deny` and in `allow`; `allow` holds, so remove one",
            )
    seen: set[str] = set()
    for item in row.get("patterns", ()):
        regex = item.value.get("regex") if item.value else None
        if regex in seen:
            findings.warning(item.place, f"the pattern {quoted(regex)} is there twice; keep one")
        elif regex is not None:
            seen.add(regex)


def _folded(word: str) -> str:
    return normalize("NFKC", word).casefold()
