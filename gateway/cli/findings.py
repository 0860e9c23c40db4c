"""What `gateway redact` shows: texts as they would leave, and what was found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from gateway.cli.console import counted
from gateway.errors import ApiError
from gateway.openai.field_names import public_name
from gateway.openai.places import Place
from gateway.openai.request import Request
from gateway.privacy.changes import Finding, Findings
from gateway.privacy.profile import Action
from gateway.privacy.spans import resolve

STYLES: Final = {
    Action.PLACEHOLDER: "bold green",
    Action.REPLACE: "bold cyan",
    Action.MASK: "bold yellow",
    Action.HASH: "bold magenta",
    Action.BLOCK: "bold white on red",
    Action.REPORT: "underline",
}
_KEPT: Final = "\n\t"


@dataclass(slots=True)
class Looked:
    """One request, and what its policy makes of it: the `body` that would leave, or the `refusal`.
    `texts` are those that came, at `places`; `findings` and `counts` as redaction tells them;
    `is_text` where it was given as a text, not as a body."""

    request: Request
    places: Sequence[Place] = ()
    texts: Sequence[str] = ()
    findings: Findings = ()
    body: Mapping[str, Any] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    refusal: ApiError | None = None
    is_text: bool = False


def show(looked: Looked, black_out: bool, console: Console) -> None:
    """Print the texts, each under the name of its place unless there is one only. A terminal shows
    colours and no control codes; a pipe gets the text as it would leave."""
    for place, text, findings in zip(looked.places, looked.texts, looked.findings, strict=True):
        pieces = _pieces(text, findings, black_out or looked.refusal is not None)
        if not looked.is_text:
            pieces = [(f"── {_name(place, black_out)}\n", None), *pieces, ("\n", None)]
        if console.is_terminal:
            console.print(_coloured(pieces), soft_wrap=True, highlight=False)
        else:
            console.file.write("".join(piece for piece, _ in pieces))


def _coloured(pieces: Sequence[tuple[str, Finding | None]]) -> Text:
    text = Text()
    for piece, finding in pieces:
        text.append(_printable(piece), STYLES[finding.action] if finding else "")
    return text


def summary(looked: Looked, profile: str) -> str:
    """One sentence on what was found, if it was looked for, and one on what would be refused."""
    found = sum(looked.counts.values())
    what = ", ".join(f"{name} {count}" for name, count in sorted(looked.counts.items()))
    said = []
    if looked.refusal is None or looked.counts:
        how_many = counted(found, "finding")
        said.append(f"gateway: {how_many} under {profile}{': ' if what else ''}{what}")
    if looked.refusal is not None:
        said.append(f"gateway: refused: {looked.refusal.message}")
    return "\n".join(said)


def as_data(looked: Looked, profile: str, black_out: bool) -> dict[str, Any]:
    """The same for scripts, of one shape whatever came of it; `start` and `end` are code points of
    the text that came. docs/guides/redaction.md describes it."""
    refusal = looked.refusal
    hidden = black_out or refusal is not None
    texts = [
        {
            "place": _name(place, black_out),
            "text": "".join(piece for piece, _ in _pieces(text, findings, hidden)),
            "findings": [_finding(one, hidden) for one in findings],
        }
        for place, text, findings in zip(
            looked.places, looked.texts, looked.findings, strict=True
        )
    ]  # fmt: skip
    return {
        "profile": profile,
        "refused": refusal and {"code": refusal.code, "message": refusal.message},
        "counts": dict(looked.counts),
        "texts": texts,
        **({} if looked.is_text or black_out else {"body": looked.body}),
    }


def _finding(finding: Finding, hidden: bool) -> dict[str, Any]:
    span = finding.span
    told = {
        "start": span.start,
        "end": span.end,
        "entity": span.entity,
        "score": span.score,
        "action": finding.action.value,
    }
    return told if hidden else told | {"sent": finding.sent}


def _pieces(
    text: str, findings: Sequence[Finding], hidden: bool
) -> list[tuple[str, Finding | None]]:
    """The text as it would leave, in pieces; those of a finding with it. If `hidden`, no value
    that was found, but what kind stood there."""
    pieces: list[tuple[str, Finding | None]] = []
    done = 0
    for finding in _covering(findings) if hidden else _visible(findings):
        pieces.append((text[done : finding.span.start], None))
        pieces.append((f"[{finding.span.entity}]" if hidden else finding.sent, finding))
        done = finding.span.end
    return [*pieces, (text[done:], None)]


def _covering(findings: Sequence[Finding]) -> list[Finding]:
    """Disjoint ones that cover everything that was found."""
    actions = {finding.span.entity: finding.action for finding in findings}
    spans = resolve(finding.span for finding in findings)
    return [Finding(span, actions[span.entity]) for span in spans]


def _visible(findings: Sequence[Finding]) -> list[Finding]:
    """Disjoint ones: what is only reported shows where nothing else is done."""
    visible: list[Finding] = []
    for finding in findings:
        overlaps = bool(visible) and finding.span.start < visible[-1].span.end
        if overlaps and finding.action is Action.REPORT:
            continue
        if overlaps:
            visible.pop()
        visible.append(finding)
    return visible


def _name(place: Place, black_out: bool) -> str:
    """A name of an object's key may be as private as a value."""
    path = (*place.path, *(place.inner or ()))
    return public_name(path) if black_out else ".".join(map(str, path))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in _KEPT else "\ufffd" for c in text)
