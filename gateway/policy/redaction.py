"""Rows → redaction profiles, and what is wrong between them, recognizers and NER engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.policy.bundle import Bundle, Rows, row_of, rows_in
from gateway.policy.fields import Placed, Row
from gateway.policy.problems import Findings, quoted, suggestion
from gateway.privacy.profile import (
    NER_LABELS,
    REVERSIBLE,
    Action,
    Custom,
    Images,
    Ner,
    Pattern,
    Profile,
    Rule,
    Using,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one item of a recognizer's field: `patterns`, `matches` or `not`."""

    field: str
    index: int
    message: str


Examine = Callable[[Custom, Sequence[str], Sequence[str]], Iterable[Fault]]
"""Tries a recognizer on texts in which it must find something, and on those in which it may not."""


def unexamined(custom: Custom, matches: Sequence[str], nots: Sequence[str]) -> Iterable[Fault]:
    return ()


Lacks = Callable[[Images], str | None]
"""Why pictures cannot be treated so on this machine, or None."""


def lacks_nothing(images: Images) -> str | None:
    return None


def build_profiles(bundle: Bundle) -> dict[str, Profile]:
    """By name. Only for a bundle without errors."""
    customs = {name: build_custom(name, row) for name, row in rows_in(bundle.recognizers)}
    engines = {name: _ner(name, row) for name, row in rows_in(bundle.ner)}
    return {name: _profile(name, row, customs, engines) for name, row in rows_in(bundle.redaction)}


def check_redaction(
    bundle: Bundle, entities: frozenset[str], examine: Examine, lacks: Lacks, findings: Findings
) -> None:
    """`entities` are those that are built in."""
    for name, row in rows_in(bundle.recognizers):
        _check_recognizer(name, row, examine, findings)
    for _, row in rows_in(bundle.redaction):
        _check_profile(row, bundle, entities, findings)
        if (images := row.get("images")) and (why := lacks(images)):
            findings.error(row.at("images"), why)


def _check_profile(row: Row, bundle: Bundle, entities: frozenset[str], findings: Findings) -> None:
    engine = row_of(bundle.ner, row.get("ner"))
    written = entities | bundle.recognizers.keys()
    known = written | (set(_labels(engine).values()) if engine else set())
    rules = (*row.get("entities", {}).items(), *row.get("answer", {}).items())
    for name, rule in rules:
        if name not in known:
            findings.error(
                rule.place, f"no entity is called {quoted(name)}; {suggestion(name, sorted(known))}"
            )
    for name, rule in row.get("answer", {}).items():
        if name in known - written:
            findings.error(
                rule.place,
                f"{quoted(name)} is found by an NER engine only, and those do not look at answers",
            )
        if rule.value and rule.value.get("action") in REVERSIBLE:
            findings.error(
                rule.place,
                f"{quoted(name)} of an answer cannot come back; write mask, hash, report or block",
            )
    if row.get("ner") and row["ner"] not in bundle.ner:
        findings.error(
            row.at("ner"),
            f"no NER engine is called {quoted(row['ner'])}; {suggestion(row['ner'], bundle.ner)}",
        )


def _check_recognizer(name: str, row: Row, examine: Examine, findings: Findings) -> None:
    if not row.get("patterns") and not row.get("deny"):
        findings.error(row.place, f"recognizer {quoted(name)} lacks `patterns` or `deny`; add one")
        return
    if any(item.value.get("regex") is None for item in row.get("patterns", ())):
        return
    for fault in examine(build_custom(name, row), _texts(row, "matches"), _texts(row, "not")):
        items: Sequence[Placed] = row[fault.field]
        findings.error(items[fault.index].place, fault.message)


def build_custom(entity: str, row: Row) -> Custom:
    return Custom(
        entity=entity,
        patterns=tuple(
            Pattern(item.value["regex"], item.value["score"]) for item in row.get("patterns", ())
        ),
        deny=_texts(row, "deny"),
        allow=_texts(row, "allow"),
        check=row.get("check"),
        context=_texts(row, "context"),
        context_score=row["context_score"],
    )


def _texts(row: Row, field: str) -> tuple[str, ...]:
    return tuple(item.value for item in row.get(field, ()))


def _ner(name: str, row: Row) -> Ner:
    return Ner(
        name=name,
        kind=row["kind"],
        model=row["model"],
        labels=tuple(sorted(_labels(row).items())),
        score=row["score"],
        timeout_seconds=row["timeout"],
        on_failure=row["on_detector_failure"],
    )


def _labels(row: Row) -> dict[str, str]:
    """The model's labels → entities: those that are known, but for what the row says of them."""
    written = {label: item.value for label, item in row.get("labels", {}).items()}
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
