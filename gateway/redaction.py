"""The step redact of an exchange: the texts of a request out of its body, redacted, and back in."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gateway.draft import Draft
from gateway.errors import BadRequest, TooLarge
from gateway.openai.images import has_images
from gateway.openai.request import Request
from gateway.openai.texts import Place, free_texts, lay_back, read_texts
from gateway.openai.tokens import utf8_length
from gateway.parts import Parts
from gateway.policy.match import Rules
from gateway.policy.policy import Endpoint
from gateway.privacy.mint import Vault
from gateway.privacy.profile import Images, Scope
from gateway.privacy.redact import redact
from gateway.privacy.watch import Watch

T = TypeVar("T")
Aside = Callable[[Callable[[], T]], Awaitable[T]]


async def redact_request(
    draft: Draft, request: Request, rules: Rules, parts: Parts, aside: Aside[Any]
) -> tuple[Request, Vault, Watch | None]:
    """The request with its private values replaced, the vault that can put them back, and who looks
    at the answer, if the policy has rules for it.

    `aside` does what is long beside the event loop. Raises BadRequest (images_refused), TooLarge,
    and what `redact` does."""
    profile, body = rules.project.redaction, request.body
    if profile.images is Images.REFUSE and has_images(body):
        raise BadRequest(
            "The policy lets no pictures out, as nobody can read what stands in them. Take them "
            "out and send the request again.",
            code="images_refused",
            param="messages",
        )
    places = await aside(lambda: free_texts(request.endpoint, body))
    texts = await aside(lambda: read_texts(body, places))
    size, most = await aside(lambda: sum(map(utf8_length, texts))), parts.settings
    if size > most.redaction_bytes_max and profile.rules:
        raise TooLarge(
            f"The texts of this request are too long to be redacted: {size} bytes, and at most "
            f"{most.redaction_bytes_max} are scanned. Send less at once, or have "
            "GATEWAY_REDACTION_BYTES_MAX raised."
        )
    scope_key = parts.secret("redaction", *_scope(rules, body, places, texts))
    redacted = await redact(texts, profile, parts.detector, scope_key, aside)
    draft.redactions = dict(redacted.counts)
    body = await aside(lambda: lay_back(body, places, redacted.texts))
    if profile.note and redacted.vault.placeholders() and request.endpoint == Endpoint.CHAT:
        body = {**body, "messages": [_told(profile.note), *body["messages"]]}
    watch = Watch(profile, parts.watching, scope_key) if profile.answer else None
    return replace(request, body=body), redacted.vault, watch


def _scope(
    rules: Rules, body: Mapping[str, Any], places: Sequence[Place], texts: Sequence[str]
) -> list[str]:
    """Names of what the same value has the same placeholder in. Of a conversation that depends on
    how it began, as every turn sends it again."""
    scope, names = rules.project.redaction.scope, [rules.organization.name]
    if scope is not Scope.ORGANIZATION:
        names.append(rules.project.name)
    if scope is Scope.CONVERSATION:
        began = _opening(body, places, texts).encode("utf-8", "surrogatepass")
        names.append(hashlib.sha256(began).hexdigest())
    return names


def _opening(body: Mapping[str, Any], places: Sequence[Place], texts: Sequence[str]) -> str:
    """What a user said first in a chat; other endpoints have no turns."""
    for place, text in zip(places, texts, strict=True):
        match place.path:
            case ("messages", int(at), "content", *_) if body["messages"][at]["role"] == "user":
                return text
    return ""


def _told(note: str) -> dict[str, str]:
    return {"role": "system", "content": note}
