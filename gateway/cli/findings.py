"""What `gateway redact` shows: texts as they would leave, and what was found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from gateway.cli.console import counted
from gateway.errors import ApiError
from gateway.openai.places import Place
from gateway.openai.request import Request
from gateway.privacy.profile import Action
from gateway.privacy.redact import Finding, Findings

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
    `texts` are those that came, at `places`; `findings` and `counts` as redaction tells them."""

    request: Request
    places: Sequence[Place] = ()
    texts: Sequence[str] = ()
    findings: Findings = ()
    body: Mapping[str, Any] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    refusal: ApiError | None = None

    def is_text(self) -> bool:
        """Whether it was given as a text, not as a body."""
        return not self.request.model


def show(looked: Looked, black_out: bool, console: Console) -> None:
    """Print the texts, each under the name of its place unless there is one only. A terminal shows
    colours and no control codes; a pipe gets the text as it would leave."""
    for place, text, findings in zip(looked.places, looked.texts, looked.findings, strict=True):
        pieces = _pieces(text, findings, black_out)
        if not looked.is_text():
            pieces = [(f"── {_name(place)}\n", None), *pieces, ("\n", None)]
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
    """One sentence on what was found, and one on what would be refused."""
    found = sum(looked.counts.values())
    what = ", ".join(f"{name} {count}" for name, count in sorted(looked.counts.items()))
    said = f"gateway: {counted(found, 'finding')} under {profile}{': ' if what else ''}{what}"
    return said if looked.refusal is None else f"{said}\ngateway: refused: {looked.refusal.message}"


def as_data(looked: Looked, profile: str, black_out: bool) -> dict[str, Any]:
    """The same for scripts; `start` and `end` are code points of the text that came."""
    refusal = looked.refusal
    texts = [
        {
            "place": _name(place),
            "text": "".join(piece for piece, _ in _pieces(text, findings, black_out)),
            "findings": [_finding(one, black_out) for one in findings],
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
        **({} if looked.is_text() or black_out else {"body": looked.body}),
    }


def _finding(finding: Finding, black_out: bool) -> dict[str, Any]:
    span = finding.span
    told = {
        "start": span.start,
        "end": span.end,
        "entity": span.entity,
        "score": span.score,
        "action": finding.action.value,
    }
    return told if black_out else told | {"sent": finding.sent}


def _pieces(
    text: str, findings: Sequence[Finding], black_out: bool
) -> list[tuple[str, Finding | None]]:
    """The text as it would leave, in pieces; those of a finding with it."""
    pieces: list[tuple[str, Finding | None]] = []
    done = 0
    for finding in _visible(findings):
        pieces.append((text[done : finding.span.start], None))
        hidden = black_out or finding.action is Action.BLOCK
        pieces.append((f"[{finding.span.entity}]" if hidden else finding.sent, finding))
        done = finding.span.end
    return [*pieces, (text[done:], None)]


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


def _name(place: Place) -> str:
    return ".".join(map(str, (*place.path, *(place.inner or ()))))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in _KEPT else "\ufffd" for c in text)
