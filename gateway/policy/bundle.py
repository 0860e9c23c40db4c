"""All files as one bundle of rows, and what a project takes from its plan and its organization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from gateway.policy.fields import Placed, Row
from gateway.policy.problems import Findings, quoted

Rows = dict[str, Placed]
"""Name → Row, at the name's place; None instead of a Row that is unusable."""


@dataclass(frozen=True, slots=True)
class Bundle:
    upstreams: Rows = field(default_factory=dict)
    models: Rows = field(default_factory=dict)
    redaction: Rows = field(default_factory=dict)
    recognizers: Rows = field(default_factory=dict)
    ner: Rows = field(default_factory=dict)
    plans: Rows = field(default_factory=dict)
    organizations: Rows = field(default_factory=dict)

    def priced(self, model: str) -> Row | None:
        """The model's row, if it says a price."""
        row = row_of(self.models, model)
        return row if row and row.wrote("price") else None


@dataclass(frozen=True, slots=True)
class Member:
    """A project with what it inherits. `models` are names, after patterns were resolved; `limits`
    are its plan's and its own; `redaction` is None where nobody names a profile, and `names_models`
    False where nobody names models; if not `complete`, its plan is unusable and might have."""

    name: str
    row: Row
    models: frozenset[str]
    limits: tuple[Row, ...]
    redaction: str | None
    names_models: bool
    complete: bool


def merge(files: Iterable[Row], findings: Findings) -> Bundle:
    """One namespace for each section, whatever file a name stands in."""
    bundle = Bundle()
    for row in files:
        for section, entries in row.values.items():
            _add(section, getattr(bundle, section), entries, findings)
    return bundle


def _add(section: str, known: Rows, entries: Mapping[str, Placed], findings: Findings) -> None:
    for name, entry in entries.items():
        if name in known:
            findings.error(
                entry.place,
                f"{quoted(name)} is in `{section}` twice, first at "
                f"{known[name].place.seen_from(entry.place)}; all files are one bundle, keep one",
            )
        else:
            known[name] = entry


def row_of(rows: Mapping[str, Placed], name: str | None) -> Row | None:
    found = rows.get(name) if name is not None else None
    return found.value if found else None


def rows_in(rows: Mapping[str, Placed]) -> Iterator[tuple[str, Row]]:
    """Those that are usable."""
    return ((name, entry.value) for name, entry in rows.items() if entry.value is not None)


def limits_of(row: Row | None) -> tuple[Row, ...]:
    return tuple(item.value for item in row.get("limits", ())) if row else ()


def matching_models(patterns: Iterable[str], names: Iterable[str]) -> frozenset[str]:
    """The names that any of the shell patterns matches; upper and lower case differ."""
    every = tuple(names)
    return frozenset(n for pattern in patterns for n in every if fnmatchcase(n, pattern))


def members(bundle: Bundle, organization: Row) -> Iterator[Member]:
    """The organization's projects that are usable. The project wins over its plan, the plan over
    the organization's defaults; limits add up."""
    defaults: Row = organization.get("defaults") or Row(organization.place)
    for name, row in rows_in(organization.get("projects", {})):
        plan_name = row.get("plan") or defaults.get("plan")
        plan = row_of(bundle.plans, plan_name)
        said = [r for r in (row, plan) if r is not None]
        patterns = next((r.get("models", ()) for r in said if r.wrote("models")), ())
        redaction = (r.get("redaction") for r in (*said, defaults) if r.get("redaction"))
        yield Member(
            name,
            row,
            matching_models((item.value for item in patterns), bundle.models),
            (*limits_of(plan), *limits_of(row)),
            next(redaction, None),
            any(r.wrote("models") for r in said),
            plan is not None or plan_name is None,
        )
