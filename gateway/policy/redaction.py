"""Rows → redaction profiles, and what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.bundle import Bundle, Rows, rows_in
from gateway.policy.fields import Row
from gateway.policy.problems import Findings, quoted, suggestion
from gateway.privacy.profile import REVERSIBLE, Action, Profile, Rule


def build_profiles(bundle: Bundle) -> dict[str, Profile]:
    """By name. Only for a bundle without errors."""
    return {name: _profile(name, row) for name, row in rows_in(bundle.redaction)}


def check_redaction(bundle: Bundle, entities: frozenset[str], findings: Findings) -> None:
    """`entities` are what the detector can look for."""
    for _, row in rows_in(bundle.redaction):
        rules = (*row.get("entities", {}).items(), *row.get("answer", {}).items())
        for name, rule in rules:
            if name not in entities:
                close = suggestion(name, sorted(entities))
                findings.error(rule.place, f"no entity is called {quoted(name)}; {close}")
        for name, rule in row.get("answer", {}).items():
            if rule.value and rule.value.get("action") in REVERSIBLE:
                findings.error(
                    rule.place,
                    f"{quoted(name)} of an answer cannot come back; write mask, hash, report or "
                    "block",
                )


def _profile(name: str, row: Row) -> Profile:
    return Profile(
        name=name,
        rules=dict(_rules(row["entities"], row["score_min"])),
        answer=dict(_rules(row.get("answer", {}), row["score_min"])),
        images=row["images"],
        scope=row["placeholders_per"],
        note=row.get("note", ""),
    )


def _rules(rows: Rows, score_min: float) -> Iterator[tuple[str, Rule]]:
    for entity, placed in rows.items():
        row = placed.value
        if row["action"] is not Action.ALLOW:
            rule = Rule(
                action=row["action"],
                score_min=row.get("score_min", score_min),
                keep_last=row["keep_last"],
                count_min=row["count_min"],
                below=row["below"],
            )
            yield entity, rule
