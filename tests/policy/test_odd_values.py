"""Any value of a good policy may be left out or be something else: that is a problem, and never
something that ends the work of whoever reads policies."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest
import yaml
from golden import POLICIES

from gateway.backends.entities import SELECTABLE
from gateway.backends.examine import examine
from gateway.policy.parse import parse

ODD: Final = (
    None, "", " ", "x", "X", "~", -1, 0, 1, 2, 1.5, 10**30, True, [], {}, [[]], ["x", "x"],
    {"x": 1}, {"regex": "("}, "1e9", "NaN", "(?P<value>)", "\b", "０", "[", "en", "luhn",
)  # fmt: skip
_PRIVATE: Final = r"""
recognizers:
  STAFF:
    patterns: ['\bS-(?P<value>[0-9]{4})\b', {regex: 'E-(?P<value>[0-9]{6})', score: 0.5}]
    deny: [Nightfall]
    allow: ['0000']
    check: luhn
    context: [employee]
    context_score: 0.2
    matches: [S-0018]
    not: [S-1]
  EMAIL_ADDRESS: {allow: [info@example.com]}
ner:
  english: {kind: spacy, model: m, labels: {GPE: LOCATION}, score: 0.5, timeout: 2s,
            on_detector_failure: refuse}
redaction:
  private:
    score_min: 0.3
    ner: english
    images: refuse
    placeholders_per: project
    note: Words in capitals stand for values.
    entities:
      STAFF: {action: mask, keep_last: 2, count_min: 2, below: mask, score_min: 0.2}
      EMAIL_ADDRESS: placeholder
      LOCATION: hash
    answer: {STAFF: {action: mask, keep_last: 1}}
"""


def base() -> dict[str, Any]:
    found = yaml.safe_load((POLICIES / "examples" / "team-budgets.yaml").read_text("utf-8"))
    private = yaml.safe_load(_PRIVATE)
    found["redaction"] |= private.pop("redaction")
    return {**found, **private}


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    inner = node.items() if isinstance(node, dict) else ()
    inner = enumerate(node) if isinstance(node, list) else inner
    for key, value in inner:
        yield from places(value, (*path, key))


def without(document: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return changed


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


BASE: Final = base()
PLACES: Final = list(places(BASE))


def answered(document: Any) -> None:
    text = json.dumps(document, default=str)
    found = parse({"a.yaml": text.encode()}, SELECTABLE, {}, examine)
    errors = [one for one in found.problems if one.severity == "error"]
    assert (found.policy is None) == bool(errors), text


def test_the_policy_is_a_good_one() -> None:
    found = parse(
        {"a.yaml": json.dumps(BASE).encode()}, SELECTABLE, {"OPENAI_API_KEY": "s"}, examine
    )
    (unused,) = found.problems
    assert unused.message.endswith("so this profile is never used")


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_any_value_can_be_missing_or_odd(path: tuple[Any, ...]) -> None:
    answered(without(BASE, path))
    for odd in ODD:
        answered(put(BASE, path, odd))


def test_two_odd_values_are_answered_too() -> None:
    inside = [path for path in PLACES if path[0] in ("recognizers", "ner") and len(path) > 2]
    for one, other in product(inside, inside):
        if one != other[: len(one)] and other != one[: len(other)]:
            answered(put(put(BASE, one, 2), other, "x"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "{patterns: [{regex: abc, score: 2}]}",
            "`score` cannot be `2`; write a number from 0 to 1",
        ),
        (
            "{patterns: [abc], context_score: 3}",
            "`context_score` cannot be `3`; write a number from 0 to 1",
        ),
    ],
)
def test_a_number_that_is_out_of_range_is_told(written: str, said: str) -> None:
    text = (POLICIES / "default.yaml").read_text("utf-8") + f"\nrecognizers: {{Y: {written}}}\n"
    found = parse({"a.yaml": text.encode()}, SELECTABLE, {"OPENAI_API_KEY": "s"}, examine)
    assert [one.message for one in found.problems if one.severity == "error"] == [said]
