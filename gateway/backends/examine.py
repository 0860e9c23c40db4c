"""Tries the recognizers of a policy before it is in force, with the engine that runs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from threading import Event
from typing import Final

from gateway.backends.engine import Engine
from gateway.backends.entities import COUNTRY_ENTITIES, ENTITIES
from gateway.backends.presidio import EntityRecognizer
from gateway.backends.recognizers.allowed import allowed_by
from gateway.backends.recognizers.built_in import recognizers
from gateway.backends.recognizers.countries import country_recognizers
from gateway.backends.recognizers.custom import CustomRecognizer, compiled
from gateway.backends.recognizers.plain import PLAIN
from gateway.policy.problems import quoted
from gateway.policy.redaction_checks import Fault
from gateway.privacy.profile import Custom, Pattern
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span

PROGRAM_MAX: Final = 5_000
"""RE2's time is that of a text times this, at worst. `.{0,1000}` has 8,000 steps."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CODE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_NAMED: Final = "a group called {} says nothing: only `value` does, that is then the finding"
_NAMES: Final = re.compile(r"\(\?P?<(\w+)>")


def examine(custom: Custom, matches: Sequence[str], nots: Sequence[str]) -> Iterable[Fault]:
    """What is wrong with a recognizer: patterns that RE2 cannot hold, or that can match nothing,
    and examples that it, and what is built in under its name, does not do right."""
    faults = list(_faults_of_patterns(custom.patterns))
    if any(fault.is_error for fault in faults) or not (matches or nots):
        return faults
    return [*faults, *_faults_of_examples(custom, matches, nots)]


def _faults_of_examples(
    custom: Custom, matches: Sequence[str], nots: Sequence[str]
) -> Iterator[Fault]:
    engine = Engine([*_finders(custom)], allowed_by((custom,)))
    name = custom.entity
    for index, text in enumerate(matches):
        if not _found(engine, name, text):
            yield Fault("matches", index, f"{name} finds nothing in {quoted(text)}")
    for index, text in enumerate(nots):
        for span in _found(engine, name, text)[:1]:
            value = quoted(text[span.start : span.end])
            yield Fault("not", index, f"{name} finds {value} in {quoted(text)}")


def _found(engine: Engine, entity: str, text: str) -> list[Span]:
    try:
        return engine.look(text, {entity}, Event())
    except DetectionFailed:  # a pattern of Presidio's that has no end here
        return []


def _finders(custom: Custom) -> Iterator[EntityRecognizer]:
    if custom.entity in COUNTRY_ENTITIES:
        yield country_recognizers()[custom.entity]
    if custom.entity in ENTITIES:
        yield from (one for one in _ours() if custom.entity in one.supported_entities)
    if custom.finds:
        yield CustomRecognizer(custom)


@lru_cache(1)
def _ours() -> tuple[EntityRecognizer, ...]:
    return tuple(recognizers())


def _faults_of_patterns(patterns: Sequence[Pattern]) -> Iterator[Fault]:
    for index, pattern in enumerate(patterns):
        if why := _fault(pattern):
            yield Fault("patterns", index, why)
        else:
            for name in sorted(compiled(pattern).groupindex.keys() - {"value"}):
                yield Fault("patterns", index, _NAMED.format(quoted(name)), is_error=False)


def _fault(pattern: Pattern) -> str | None:
    if control := _CONTROL.search(pattern.regex):
        return (
            f"the pattern holds the control character {quoted(control[0])}: in YAML's double "
            r"quotes `\b` is a backspace; write the pattern in single quotes"
        )
    if (unreadable := _unreadable(pattern.regex)) is not None:
        return (
            f"{quoted(unreadable)} is read as {quoted(PLAIN[unreadable])} before anything is "
            "looked for; write that"
        )
    names = _NAMES.findall(pattern.regex)
    if names.count("value") > 1:
        return "the pattern has two groups called `value`; write two patterns"
    try:
        shape = compiled(pattern)
    except ValueError as problem:
        return str(problem)
    if shape.programsize > PROGRAM_MAX:
        return (
            f"the pattern is too large: {shape.programsize} steps for RE2, and at most "
            f"{PROGRAM_MAX}; write repeats such as {{0,1000}} with smaller numbers or narrower "
            "characters than `.`"
        )
    if shape.fullmatch(""):
        return "the pattern matches an empty text; make it ask for a character"
    return None


def _unreadable(regex: str) -> str | None:
    """A character of the pattern that no text has by the time it is looked at."""
    codes = (int(long or short, 16) for long, short in _CODE.findall(regex))
    written = (chr(code) for code in codes if code < 0x110000)
    return next((one for one in (*regex, *written) if one in PLAIN), None)
