"""Rows → redaction profiles, with the recognizers and NER engines that they use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.policy.bundle import Bundle, Rows, rows_in
from gateway.policy.fields import Row
from gateway.privacy.profile import (
    NER_LABELS,
    Action,
    Custom,
    Ner,
    Pattern,
    Profile,
    Rule,
    Using,
)


def build_profiles(bundle: Bundle) -> dict[str, Profile]:
    """By name. Only for a bundle without errors."""
    customs = {name: build_custom(name, row) for name, row in rows_in(bundle.recognizers)}
    engines = {name: build_ner(name, row) for name, row in rows_in(bundle.ner)}
    return {name: _profile(name, row, customs, engines) for name, row in rows_in(bundle.redaction)}


def build_custom(entity: str, row: Row) -> Custom:
    return Custom(
        entity=entity,
        patterns=tuple(
            Pattern(item.value["regex"], item.value["score"]) for item in row.get("patterns", ())
        ),
        deny=texts_of(row, "deny"),
        allow=texts_of(row, "allow"),
        check=row.get("check"),
        context=texts_of(row, "context"),
        context_score=row["context_score"],
    )


def texts_of(row: Row, field: str) -> tuple[str, ...]:
    return tuple(item.value for item in row.get(field, ()))


def build_ner(name: str, row: Row) -> Ner:
    return Ner(
        name=name,
        kind=row["kind"],
        model=row["model"],
        labels=tuple(sorted(labels_of(row).items())),
        score=row["score"],
        timeout_seconds=row["timeout"],
        on_failure=row["on_detector_failure"],
    )


def labels_of(row: Row) -> dict[str, str]:
    """The model's labels → entities: those that are known, but for what the row says of them."""
    labels = row.get("labels", {}).items()
    written = {label: item.value for label, item in labels if item.value is not None}
    return {**NER_LABELS, **written}


def _profile(
    name: str, row: Row, customs: Mapping[str, Custom], engines: Mapping[str, Ner]
) -> Profile:
    rules = dict(_rules(row["entities"], row["score_min"]))
    answer = dict(_rules(row.get("answer", {}), row["score_min"]))
    wanted = rules.keys() | answer.keys()
    used = tuple(custom for entity, custom in sorted(customs.items()) if entity in wanted)
    ner = row.get("ner")
    return Profile(
        name=name,
        rules=rules,
        answer=answer,
        images=row["images"],
        scope=row["placeholders_per"],
        note=row.get("note", ""),
        using=Using(used, engines[ner] if ner else None),
    )


def _rules(rows: Rows, score_min: float) -> Iterator[tuple[str, Rule]]:
    for entity, placed in rows.items():
        row = placed.value
        if row["action"] is not Action.ALLOW:
            yield (
                entity,
                Rule(
                    action=row["action"],
                    score_min=row.get("score_min", score_min),
                    keep_last=row["keep_last"],
                    count_min=row["count_min"],
                    below=row["below"],
                ),
            )
