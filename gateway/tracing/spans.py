"""The spans of a request: one for all of it, a child for each verb, made at its end from times that
were noted on its way. Nothing in them is a text, a key, or a user of a caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.answer import Answer
from gateway.call import Call
from gateway.draft import Draft
from gateway.meters.genai import OPERATIONS, error_type
from gateway.tracing.context import ids_of
from gateway.usage.entry import Entry

ROUTES = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "models": "/v1/models",
}
Attributes = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Span:
    """Times are unix seconds. `kind` is server, client or internal; `error` is what went wrong, in
    one word, where it is somebody's fault whose span it is."""

    id: int
    name: str
    kind: str
    began: float
    ended: float
    attributes: Attributes
    error: str = ""


AFTER: Final = {"authenticate": "body", "match": "redact", "redact": "admit", "admit": "sent"}
"""What is done once a stage is done."""


class Timed(Draft):
    """A draft that notes when each verb began and ended, by the stopwatch. The last one of `verbs`
    may have been given up."""

    def __init__(self, call: Call, stopwatch: Callable[[], float]) -> None:
        self.verbs: list[tuple[str, float, float]] = []
        self.given_up = ""
        self.replied_at: float | None = None
        self._reply: Answer | None = None
        self._doing = "authenticate"
        super().__init__(call, stopwatch)
        self.began_at = self.over_at = self._mark

    @property
    def answer(self) -> Answer | None:
        return self._reply

    @answer.setter
    def answer(self, reply: Answer | None) -> None:
        self._reply = reply
        if reply is not None:
            self.replied_at = self._stopwatch()

    def did(self, stage: str) -> None:
        began = self._mark
        super().did(stage)
        self.verbs.append((stage, began, self._mark))
        self._doing = AFTER.get(stage, "")

    def mark(self) -> None:
        """After the body was read, and at the end of all but settling."""
        began = self._mark
        super().mark()
        self.over_at = self._mark
        if self._doing == "body":
            self._doing = "match"
        elif self._doing not in ("", "sent"):
            self.given_up = self._doing
            self.verbs.append((self._doing, began, self._mark))


def root_of(entry: Entry, began: float, ended: float, of_engine: bool = False) -> Span:
    route = ROUTES.get(entry.endpoint)
    if of_engine:
        route = "/v1/engines/{engine}/completions"
    method = "GET" if entry.endpoint == "models" else "POST"
    attributes = _known(entry) | {
        "gateway.request_id": entry.id,
        "gateway.organization": entry.organization,
        "gateway.project": entry.project,
        "gateway.outcome": entry.outcome.value,
        "gateway.redactions": sum(entry.redactions.values()),
        "gateway.cost_nano": entry.cost_nano,
        "gateway.currency": entry.currency,
    }
    if route:
        attributes |= {"http.request.method": method, "http.route": route}
    if entry.status:
        attributes["http.response.status_code"] = entry.status
    error = error_type(entry)
    if error:
        attributes["error.type"] = error
    return Span(
        id=ids_of(entry.id)[1],
        name=f"{method} {route}" if route else "HTTP",
        kind="server",
        began=began,
        ended=ended,
        attributes={name: value for name, value in attributes.items() if value != ""},
        error=error if entry.status >= 500 or not entry.status else "",
    )


def _known(entry: Entry) -> dict[str, str | int | float | bool]:
    """What the conventions for generative AI name."""
    operation = OPERATIONS.get(entry.endpoint)
    if operation is None or not entry.upstream:
        return {}
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": entry.upstream,
        "gen_ai.request.model": entry.model,
        "gen_ai.request.stream": entry.stream,
        "gen_ai.usage.input_tokens": entry.tokens.input,
        "gen_ai.usage.output_tokens": entry.tokens.output,
    }


def verbs_of(draft: Timed, entry: Entry, time: float) -> list[Span]:
    """The children, in order. `time` is when the draft began, in unix seconds."""
    _, _, forward_id = ids_of(entry.id)
    error = error_type(entry)

    def child(verb: str, began: float, ended: float, id: int) -> Span:
        return Span(
            id, verb, "internal", time + began - draft.began_at, time + ended - draft.began_at,
            {"gateway.verb": verb}, error if verb == draft.given_up else "",
        )  # fmt: skip

    spans = [
        child(verb, began, ended, forward_id ^ n)
        for n, (verb, began, ended) in enumerate(draft.verbs, 1)
    ]
    if draft.sent_at is not None:
        answered = draft.over_at if draft.replied_at is None else draft.replied_at
        sent = child("forward", draft.sent_at, answered, forward_id)
        spans.append(_forward(sent, draft, entry, error))
        if draft.replied_at is not None:
            spans.append(child("answer", answered, draft.over_at, forward_id ^ 0xFF))
    return spans


def _forward(sent: Span, draft: Timed, entry: Entry, error: str) -> Span:
    known = _known(entry) | {"gateway.verb": "forward"}
    failed = ""
    if draft.upstream_code.isdigit():
        known["http.response.status_code"] = int(draft.upstream_code)
        failed = draft.upstream_code if int(draft.upstream_code) >= 400 else ""
    else:
        failed = error or "error"
    if failed:
        known["error.type"] = failed
    name = f"{known['gen_ai.operation.name']} {entry.model}" if entry.upstream else sent.name
    return Span(sent.id, name, "client", sent.began, sent.ended, known, failed)
